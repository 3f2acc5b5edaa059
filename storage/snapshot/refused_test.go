package snapshot

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"heddle/storage"
)

const (
	refusedAtOnce = "the snapshot is damaged; the store is restored from the changelog alone"
	refusedLater  = "the snapshot is damaged; it is removed, and the store is restored from elsewhere"
)

// TestSnapshotThatTheEngineRefuses: all of its checksums are right, and the
// engine finds it damaged all the same, when it opens it or when it reads it.
// With one warning it is thrown away, and the store comes from the changelog.
func TestSnapshotThatTheEngineRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prefix string // of the files that are spoilt
		suffix string
		says   []string // one of them
	}{
		{"its list of tables", "MANIFEST-", "", []string{refusedAtOnce}},
		// The engine's own work may meet them while it still opens.
		{"its tables", "", ".sst", []string{refusedAtOnce, refusedLater}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCounting(t, "counts", map[string]string{"heddle.home": t.TempDir()})
			c.make()
			c.start()
			c.commit("a", "b", "c")
			c.w.pass(2 * interval)
			c.commit("d")
			c.end()
			names := c.names(manifestsFolder)
			if len(names) != 1 {
				t.Fatalf("snapshots: %v", names)
			}
			m, err := readManifest(t.Context(), worldFS{w: c.w}, names[0])
			check(t, err)
			spoilt := 0
			for i := range m.Files {
				f := &m.Files[i]
				if !strings.HasPrefix(f.Name, tt.prefix) || !strings.HasSuffix(f.Name, tt.suffix) {
					continue
				}
				spoilt++
				if !f.inline() {
					t.Fatalf("%s is not small", f.Name)
				}
				f.Data = bytes.Clone(f.Data)
				for j := 0; j < len(f.Data); j += 16 {
					f.Data[j] ^= 0x10
				}
				f.Sum = sumOf(f.Data)
			}
			if spoilt == 0 {
				t.Fatalf("it has none of these files: %+v", m.Files)
			}
			b, err := encodeManifest(m)
			check(t, err)
			check(t, os.WriteFile(names[0], b, 0o600))

			c.base = t.TempDir() // another host
			log := c.start()
			said := slices.ContainsFunc(tt.says, func(s string) bool { return strings.Contains(log, s) })
			if warnings(log) != 1 || !said || !strings.Contains(log, "snapshot downloaded") {
				t.Errorf("%s", log)
			}
			if c.last.Source != storage.FromChangelog || c.last.Records != 4 || c.entries()["old"] != 4 {
				t.Errorf("%+v, %v", c.last, c.entries())
			}
			// What was restored is good, and so is the next snapshot.
			c.w.pass(2 * interval)
			c.commit("e")
			c.end()
			if log := c.start(); c.last.Source != storage.FromLocalState || c.last.Records != 0 || warnings(log) != 0 {
				t.Errorf("%+v\n%s", c.last, log)
			}
			c.end()
			c.base = t.TempDir()
			if log := c.start(); c.last.Source != storage.FromSnapshot || warnings(log) != 0 || c.entries()["old"] != 5 {
				t.Errorf("%+v, %v\n%s", c.last, c.entries(), log)
			}
			c.end()
		})
	}
}
