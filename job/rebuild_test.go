package job

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/coordinator"
	"heddle/storage"
	_ "heddle/storage/engine/pebble"
	"heddle/system"
	"heddle/system/memory"
)

// restoredFolder holds a store of two tasks: "Partition 0" with a1, a2, b and
// "Partition 1" with c.
func restoredFolder(t *testing.T) string {
	t.Helper()
	b := memory.NewBroker()
	if err := b.Create(system.StreamSpec{Name: "log", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	for p, keys := range [][]string{{"a1", "a2", "b"}, {"c"}} {
		for i, k := range keys {
			if _, err := b.Append("log", int32(p), []byte(k), []byte{0, 0, 0, 0, 0, 0, 0, byte(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sys := memory.New("kafka", b)
	defer sys.Close()
	dir := t.TempDir()
	f := rebuiltStore{Version: rebuiltVersion, Store: "counts", KeySerde: "string", MsgSerde: "long", To: ToEnd}
	for p := range int32(2) {
		folder := fmt.Sprintf("task-%d", p)
		if _, err := (storage.Rebuild{
			Spec: storage.Spec{Name: "counts", Changelog: system.StreamID{System: "kafka", Stream: "log"}}, Partition: p, ToEnd: true,
			Dir: filepath.Join(dir, folder), Now: time.Now,
		}).Run(t.Context(), sys, nil); err != nil {
			t.Fatal(err)
		}
		f.Tasks = append(f.Tasks, RebuiltTask{Task: fmt.Sprintf("Partition %d", p), Folder: folder})
	}
	if err := writeRebuilt(dir, f); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestARestoredStoreIsReadWithoutAJob(t *testing.T) {
	f, err := OpenFolder(restoredFolder(t), "counts")
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		q    StateQuery
		want string
	}{
		"all":        {StateQuery{}, "a1=1 a2=2 b=3 c=1"},
		"key":        {StateQuery{Key: text("c")}, "c=1"},
		"no such":    {StateQuery{Key: text("x")}, ""},
		"prefix":     {StateQuery{Prefix: text("a")}, "a1=1 a2=2"},
		"from to":    {StateQuery{From: text("a2"), To: text("c")}, "a2=2 b=3"},
		"task":       {StateQuery{Task: "Partition 1"}, "c=1"},
		"limit":      {StateQuery{Limit: 2}, "a1=1 a2=2"},
		"limit over": {StateQuery{Limit: 4}, "a1=1 a2=2 b=3 c=1"},
	} {
		var got []string
		n, err := f.Entries(t.Context(), c.q, func(p coordinator.StatePage) error {
			for _, e := range p.Entries {
				got = append(got, fmt.Sprintf("%s=%s", plain(e.Key), e.Value))
			}
			return nil
		})
		if s := strings.Join(got, " "); err != nil || s != c.want || int(n) != len(got) {
			t.Errorf("%s: %q (%d), %v; want %q", name, s, n, err, c.want)
		}
		if c.q.Limit > 0 || c.q.Key != nil {
			continue
		}
		count, err := f.Count(t.Context(), c.q, func(int64) {})
		if err != nil || int(count.Count) != len(got) {
			t.Errorf("%s: counted %+v, %v; want %d", name, count, err, len(got))
		}
		// A task without an entry in the range has 0 of them, and says so.
		var out bytes.Buffer
		if err := PrintJSON(&out, count); err != nil || strings.Count(out.String(), `"count":`) != 1+len(count.Tasks) {
			t.Errorf("%s: %s, %v", name, out.String(), err)
		}
	}
	for name, q := range map[string]StateQuery{"there are Partition 0, Partition 1": {Task: "x"}, "leave out --to": {To: text("")}} {
		if _, err := f.Entries(t.Context(), q, nil); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), name) {
			t.Errorf("%v lacks %q", err, name)
		}
	}
}

func TestFoldersThatAreNoRestoredStore(t *testing.T) {
	dir := restoredFolder(t)
	for name, f := range map[string]func() error{
		"not \"other\"":      func() error { _, err := OpenFolder(dir, "other"); return err },
		"no folder that":     func() error { _, err := OpenFolder(t.TempDir(), "counts"); return err },
		"is not empty":       func() error { return emptyFolder(dir) },
		"not a directory":    func() error { return emptyFolder(filepath.Join(dir, rebuiltFile)) },
		"is damaged, or of ": func() error { d := damaged(t); _, err := OpenFolder(d, "counts"); return err },
	} {
		if err := f(); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), name) {
			t.Errorf("%v lacks %q", err, name)
		}
	}
	if err := emptyFolder(filepath.Join(t.TempDir(), "new", "one")); err != nil {
		t.Error(err)
	}
}

func damaged(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, rebuiltFile), []byte(`{"version":`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPrintRebuilt(t *testing.T) {
	var b bytes.Buffer
	if err := PrintRebuilt(&b, []RebuiltTask{{Task: "Partition 3", Partition: 3, From: 1, To: 5, End: 7, Records: 4, Bytes: 2048, TookMs: 1500}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Partition 3", "1 to 5", "1.5s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q lacks %q", b.String(), want)
		}
	}
}

func TestADamagedRestoredStoreIsToBeRestoredAgain(t *testing.T) {
	dir := restoredFolder(t)
	found, err := filepath.Glob(filepath.Join(dir, "task-1", "MANIFEST-*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, name := range found {
		if err := os.Truncate(name, 10); err != nil {
			t.Fatal(err)
		}
	}
	f, err := OpenFolder(dir, "counts")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Count(t.Context(), StateQuery{}, func(int64) {})
	if err == nil || ExitCode(err) != ExitUsage {
		t.Fatalf("%v; want exit code %d", err, ExitUsage)
	}
	for _, want := range []string{"--dir=" + dir, `store "counts" of task "Partition 1"`, "restore the store again"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
