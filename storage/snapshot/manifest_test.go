package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"heddle/storage"
	"heddle/system"
)

func manifest() Manifest {
	big := File{Name: "000005.sst", Size: 1 << 20, Sum: strings.Repeat("0f", 32)}
	small := File{Name: "MANIFEST-000001", Size: 3, Data: []byte("abc"), Sum: sumOf([]byte("abc"))}
	empty := File{Name: "LOCK", Empty: true, Sum: sumOf(nil)}
	at := time.UnixMilli(1763899200123).UTC()
	return Manifest{Identity: whose, Taken: at, Mark: storage.Mark{Offset: 42, Checkpoint: "1763899200000-1", At: at}, Files: []File{big, small, empty}}
}

func TestManifestComesBack(t *testing.T) {
	m := manifest()
	for _, change := range []func(){
		func() {}, func() { m.Mark = storage.Mark{Offset: storage.NoOffset} }, func() { m.Mark.Offset = math.MaxInt64 },
		func() { m.Mark.Topic = system.TopicID{1, 15: 2} },
	} {
		change()
		b, err := encodeManifest(m)
		check(t, err)
		got, err := decodeManifest(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v, %v", got, err)
		}
		for n := range len(b) - 1 {
			if _, err := decodeManifest(b[:n]); !errors.Is(err, errDamaged) {
				t.Fatalf("cut off after %d of %d bytes: %v", n, len(b), err)
			}
		}
		// Whatever byte is another: it is not taken for another state.
		for i := range b {
			c := bytes.Clone(b)
			c[i] ^= 2
			if other, err := decodeManifest(c); err == nil && !reflect.DeepEqual(other, m) {
				t.Fatalf("with another byte at %d it is %+v", i, other)
			}
		}
	}
}

// TestManifestOfBeforeTopicIDs: what an older Heddle wrote is read, and without
// an id the same is written.
func TestManifestOfBeforeTopicIDs(t *testing.T) {
	old := `{"format":1,"crc32c":"CRC","snapshot":{"identity":{"job.name":"w2","job.id":"1","store":"counts","task":"Partition 0","changelog":"kafka.w2-1-counts-changelog","partition":0,"key.serde":"serde.Text","msg.serde":"serde.Long","engine":"pebble","layout":"plain"},"taken.ms":1763899200123,"changelog.offset":42,"checkpoint":"1763899200000-1","mark.ms":1763899200123,"files":[{"name":"MANIFEST-000001","size":3,"sha256":"` + sumOf([]byte("abc")) + `","data":"YWJj"}]}}`
	_, body, _ := strings.Cut(strings.TrimSuffix(old, "}"), `"snapshot":`)
	old = strings.Replace(old, "CRC", crcOf([]byte(body)), 1) + "\n"
	m, err := decodeManifest([]byte(old))
	if err != nil || m.Mark.Offset != 42 || m.Mark.Topic != (system.TopicID{}) || m.Identity != whose {
		t.Fatalf("%+v, %v", m, err)
	}
	if b, err := encodeManifest(m); err != nil || string(b) != old {
		t.Errorf("%s%v, want\n%s", b, err, old)
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(m *Manifest){
		"a name that leads out":  func(m *Manifest) { m.Files[0].Name = "../000005.sst" },
		"an absolute name":       func(m *Manifest) { m.Files[0].Name = "/etc/passwd" },
		"the folder itself":      func(m *Manifest) { m.Files[0].Name = "." },
		"no name":                func(m *Manifest) { m.Files[0].Name = "" },
		"a name twice":           func(m *Manifest) { m.Files[1].Name = m.Files[0].Name },
		"a size below nothing":   func(m *Manifest) { m.Files[0].Size = -1 },
		"a sum that is a path":   func(m *Manifest) { m.Files[0].Sum = strings.Repeat("../", 21) + "x" },
		"content of another sum": func(m *Manifest) { m.Files[1].Data = []byte("abd") },
		"content of another size": func(m *Manifest) {
			m.Files[1].Size = 4
		},
		"no files":             func(m *Manifest) { m.Files = nil },
		"an offset before all": func(m *Manifest) { m.Mark.Offset = -2 },
		"empty with a size":    func(m *Manifest) { m.Files[2].Size = 7 },
	} {
		m := manifest()
		change(&m)
		b, err := encodeManifest(m)
		check(t, err)
		if _, err := decodeManifest(b); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	b, err := encodeManifest(manifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(`{"format":1,"crc32c":"00000000","snapshot":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			// The same with a right checksum, so that what it guards is reached.
			raw := bytes.Clone(b)
			if m, err = decodeManifest(fmt.Appendf(nil, `{"format":1,"crc32c":%q,"snapshot":%s}`, crcOf(raw), raw)); err != nil {
				return
			}
		}
		if err := m.check(); err != nil {
			t.Fatal(err)
		}
		again, err := encodeManifest(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeManifest(again); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

func TestNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"Partition 0", "Partition+0", "Partition_0", "SystemStreamPartition [kafka, clicks, 0]", "a/b", "a%2Fb", "a:b", "..", ".", "",
		strings.Repeat("x", 300), strings.Repeat("x", 299) + "y", "\u00e4", "a\x00b",
	} {
		s := pathName(name)
		if s == "" || s == "." || s == ".." || len(s) > maxPathName || strings.ContainsAny(s, "/:\x00 ") || seen[s] != "" {
			t.Errorf("%q is %q, as is %q", name, s, seen[s])
		}
		seen[s] = name
	}
	n := manifestName(12, "abc")
	if s, w, ok := parseManifestName(n); s != 12 || w != "abc" || !ok {
		t.Errorf("%s is %d, %q, %v", n, s, w, ok)
	}
	for _, bad := range []string{"", "12-abc.json", "0000000000000012-.json", "0000000000000012-abc", "-000000000000012-abc.json", "." + n + ".X.part"} {
		if _, _, ok := parseManifestName(bad); ok {
			t.Errorf("%q is a manifest", bad)
		}
	}
}

// TestTurns: the stores of a thousand tasks have their turns evenly, and always
// at the same times.
func TestTurns(t *testing.T) {
	const interval = 10 * time.Minute
	now := time.Date(2026, 11, 23, 12, 3, 0, 0, time.UTC)
	perMinute := make([]int, 10)
	for i := range 1000 {
		id := whose
		id.Task = fmt.Sprint("Partition ", i)
		p := phase(id, interval)
		due := nextDue(now, p, interval)
		if wait := due.Sub(now); wait <= 0 || wait > interval {
			t.Fatalf("it waits %v", wait)
		}
		if next := nextDue(due, p, interval); next.Sub(due) != interval {
			t.Fatalf("and then %v", next.Sub(due))
		}
		perMinute[due.Sub(now)/time.Minute%10]++
	}
	for _, n := range perMinute {
		if n < 60 || n > 140 {
			t.Errorf("turns by minute: %v", perMinute)
			break
		}
	}
	for n, want := range map[int]time.Duration{0: firstBackoff, 1: firstBackoff, 2: 2 * firstBackoff, 4: 8 * firstBackoff, 7: maxBackoff, 1000: maxBackoff} {
		if got := backoff(n); got != want {
			t.Errorf("after %d failures %v", n, got)
		}
	}
}
