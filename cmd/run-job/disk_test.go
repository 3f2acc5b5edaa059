//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sales is the topn example with a store on disk, in a folder of its own.
type sales struct {
	t    *testing.T
	dir  string
	base string // of local state
	want map[string]string
	runs float64 // that counted
}

func newSales(t *testing.T, base string) *sales {
	t.Helper()
	s := &sales{t: t, dir: inFolder(t, "topn")}
	s.want = expected(t, s.dir, "category")
	if s.base = base; base == "" {
		s.base = filepath.Join(s.dir, ".heddle", "state")
	}
	return s
}

// try runs the job over 300 more sales.
func (s *sales) try(more ...string) (log, stderr string, code int) {
	s.t.Helper()
	args := append([]string{"--config-path=topn.properties", "--until-caught-up",
		"--config", "heddle.task.program=" + filepath.Join(binaries, "run-container"),
		"--config", "job.logged.store.base.dir=" + s.base}, more...)
	return start(s.t, s.dir, args...)
}

// run fails the test unless the job ends well, with so many warnings that hold
// the text, and no others.
func (s *sales) run(warnings int, says string, more ...string) string {
	s.t.Helper()
	log, stderr, code := s.try(more...)
	s.runs++
	found, other := 0, 0
	for line := range strings.Lines(log) {
		switch {
		case !strings.Contains(line, " WARN ") && !strings.Contains(line, " ERROR "):
		case says != "" && strings.Contains(line, says):
			found++
			for _, part := range []string{"sales", "Partition", s.base} {
				if !strings.Contains(line, part) {
					s.t.Errorf("the warning does not say %q: %s", part, line)
				}
			}
		default:
			other++
		}
	}
	if code != 0 || found != warnings && warnings >= 0 || other != 0 {
		s.t.Errorf("exit code %d, %d warnings with %q and %d others; want 0, %d and 0; stderr:\n%s\nstdout:\n%s", code, found, says, other, warnings, stderr, log)
	}
	return log
}

// exact fails the test unless the totals are those of all that was read.
func (s *sales) exact() {
	s.t.Helper()
	equal(s.t, "totals", times(s.t, 1, lastByKey(s.t, s.dir, "kafka.TopProducts", "topn.properties")), times(s.t, s.runs, s.want))
}

// files are those in the folders of the tasks' states that match.
func (s *sales) files(pattern string) []string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.base, "heddle-v1", "top-products-1", "sales", "Partition_[0-9]", pattern))
	if err != nil || len(found) == 0 {
		s.t.Fatalf("no %s below %s (%v)", pattern, s.base, err)
	}
	return found
}

func (s *sales) each(pattern string, do func(file string) error) {
	s.t.Helper()
	for _, f := range s.files(pattern) {
		if err := do(f); err != nil {
			s.t.Fatal(err)
		}
	}
}

// flip changes each 16th byte of a file's first half.
func flip(file string) error {
	b, err := os.ReadFile(file)
	for i := 0; i < len(b)/2; i += 16 {
		b[i] ^= 0x40
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

func halve(file string) error {
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	return os.Truncate(file, st.Size()/2)
}

// TestSpoiledLocalState spoils what a run left on the disk, in every way: the
// next one says so once for each task whose state it is, restores from the
// changelog, and counts on exactly.
func TestSpoiledLocalState(t *testing.T) {
	const (
		tasks = 4
		some  = -1 // in none or in all: what a manifest says depends on where it ends
	)
	inShort := []string{"no manifest"}
	for _, tt := range []struct {
		name     string
		spoil    func(s *sales)
		warnings int
		says     string
	}{
		{"not at all", func(*sales) {}, 0, ""},
		{"a flipped table", func(s *sales) { s.each("state/*.sst", flip) }, tasks, "damaged"},
		{"a table cut off", func(s *sales) { s.each("state/*.sst", halve) }, tasks, "damaged"},
		{"no table", func(s *sales) { s.each("state/*.sst", os.Remove) }, tasks, "damaged"},
		{"no manifest", func(s *sales) { s.each("state/MANIFEST-*", os.Remove) }, tasks, "damaged"},
		{"a manifest cut off", func(s *sales) { s.each("state/MANIFEST-*", halve) }, some, "damaged"},
		{"a manifest without its marker", func(s *sales) { s.each("state/marker.manifest.*", os.Remove) }, tasks, "damaged"},
		{"an empty state folder", func(s *sales) {
			s.each("state", os.RemoveAll)
			s.each("IDENTITY", func(file string) error { return os.Mkdir(filepath.Join(filepath.Dir(file), "state"), 0o700) })
		}, 0, ""},
		{"an identity cut off", func(s *sales) { s.each("IDENTITY", halve) }, tasks, "nothing tells whose it is"},
		{"an empty identity", func(s *sales) { s.each("IDENTITY", func(file string) error { return os.Truncate(file, 0) }) }, tasks, "nothing tells whose it is"},
		{"no identity", func(s *sales) { s.each("IDENTITY", os.Remove) }, 0, ""},
		{"the state of another job", func(s *sales) {
			// It reads the same sales, which it gets 300 more of.
			s.run(0, "", "--config", "job.name=other", "--config", "stores.sales.changelog=kafka.other-changelog")
			jobs := filepath.Join(s.base, "heddle-v1")
			if err := os.RemoveAll(filepath.Join(jobs, "top-products-1")); err != nil {
				s.t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(jobs, "other-1"), filepath.Join(jobs, "top-products-1")); err != nil {
				s.t.Fatal(err)
			}
		}, tasks, "is another's and is not used"},
		{"no disk any more", func(s *sales) { s.each("", os.RemoveAll) }, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && !slices.Contains(inShort, tt.name) {
				t.Skip("takes some seconds")
			}
			t.Parallel()
			s := newSales(t, "")
			s.run(0, "")
			tt.spoil(s)
			log := s.run(tt.warnings, tt.says)
			s.exact()
			// It is in order again.
			s.run(0, "")
			s.exact()
			if t.Failed() {
				t.Log(log)
			}
		})
	}
}

// TestStateInUse: what a living process has locked is left alone.
func TestStateInUse(t *testing.T) {
	t.Parallel()
	s := newSales(t, "")
	s.run(0, "")
	var before []string
	s.each("LOCK", func(file string) error {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { f.Close() })
		before = append(before, file)
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	})
	was := contentsOf(t, s.files(""))
	s.run(len(before), "in use by a living process")
	s.exact()
	if now := contentsOf(t, s.files("")); now != was {
		t.Errorf("what another process has was changed:\n%s\n%s", was, now)
	}
}

// contentsOf describes the files in folders.
func contentsOf(t *testing.T, dirs []string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			i, err := d.Info()
			if err == nil {
				fmt.Fprintln(&b, path, i.Size(), i.ModTime().UnixNano())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestStateAheadOfItsTopics puts the Kafka back to an earlier time, but not the
// local state, as if topics had been made anew: the state is of no use then.
func TestStateAheadOfItsTopics(t *testing.T) {
	t.Parallel()
	s := newSales(t, "")
	s.run(0, "")
	kafka := filepath.Join(s.dir, ".heddle", "kafka")
	if err := os.CopyFS(kafka+"-before", os.DirFS(kafka)); err != nil {
		t.Fatal(err)
	}
	s.run(0, "")
	s.exact()
	if err := os.RemoveAll(kafka); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kafka+"-before", kafka); err != nil {
		t.Fatal(err)
	}
	s.runs--                                // which is forgotten
	s.run(3, "the local state is not used") // one task has no sales
	s.exact()
}

// mount gives a file system of its own, of so many bytes.
func mount(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("no small disk can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, data); err != nil {
		t.Fatal(err)
	}
}

// fails fails the test unless the job failed with one line that says it all.
func (s *sales) fails(says []string, more ...string) {
	s.t.Helper()
	_, stderr, code := s.try(more...)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	if code != 1 {
		s.t.Errorf("exit code %d; stderr:\n%s", code, stderr)
	}
	for _, part := range append(says, `store "sales"`, `task "Partition `, s.base) {
		if !strings.Contains(last, part) {
			s.t.Errorf("the last line does not say %q: %s\nstderr:\n%s", part, last, stderr)
		}
	}
}

// refuses fails the test unless the job was refused, with one line that says it
// all, before anything was changed.
func (s *sales) refuses(says ...string) {
	s.t.Helper()
	_, stderr, code := s.try()
	if code != 2 || strings.Count(stderr, "\n") != 1 {
		s.t.Errorf("exit code %d; stderr:\n%s", code, stderr)
	}
	for _, part := range append(says, "job.logged.store.base.dir", `store "sales"`, s.base) {
		if !strings.Contains(stderr, part) {
			s.t.Errorf("it does not say %q: %s", part, stderr)
		}
	}
}

// TestFileInPlaceOfFolder: the line names the file, the key and the way out.
func TestFileInPlaceOfFolder(t *testing.T) {
	t.Parallel()
	s := newSales(t, filepath.Join(t.TempDir(), "state"))
	if err := os.WriteFile(s.base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.refuses("is a file")
	if err := os.Remove(s.base); err != nil {
		t.Fatal(err)
	}
	s.run(0, "")
	s.exact()
}

// TestReadOnlyDisk: the job is refused before it begins, and nothing is preloaded.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	s := newSales(t, mount(t, "64m"))
	s.run(0, "")
	remount(t, s.base, syscall.MS_RDONLY, "")
	s.refuses("read-only file system", "name a folder that the job can write to")
	remount(t, s.base, 0, "")
	s.run(0, "")
	s.exact()
}

// TestFullDisk: a job whose disk becomes full fails in the midst of its work,
// or is warned if all was committed by then; with more room it goes on exactly.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 20 MB")
	}
	for _, tt := range []struct {
		name  string
		fails bool
		more  string // a setting
	}{
		{"in the midst of the work", true, "stores.sales.container.write.buffer.size.bytes=2000000"},
		{"at its end", false, "stores.sales.container.write.buffer.size.bytes=256000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSales(t, mount(t, "64m"))
			s.run(0, "")
			// Sales of one category with long names: some 20 MB of state.
			var many bytes.Buffer
			long := strings.Repeat("x", 1000)
			for i := range 10_000 {
				fmt.Fprintf(&many, `{"category":"bulk","product":"%d-%s%d","quantity":%d}`+"\n", i, long, i*i, i%1000+1)
			}
			file := filepath.Join(s.dir, "Sales.jsonl")
			few, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, many.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			remount(t, s.base, 0, "size=1m")
			if tt.fails {
				s.fails([]string{"the disk is full", "make room on its disk"}, "--config", tt.more)
			} else {
				log, stderr, code := s.try("--config", tt.more)
				if code != 0 || strings.Count(log, "local state is not kept whole") == 0 || !strings.Contains(log, "make room on its disk") {
					t.Errorf("exit code %d; stderr:\n%s\nstdout:\n%s", code, stderr, log)
				}
			}
			if err := os.WriteFile(file, few, 0o600); err != nil {
				t.Fatal(err)
			}
			remount(t, s.base, 0, "size=256m")
			s.run(0, "")
			got := lastByKey(t, s.dir, "kafka.TopProducts", "topn.properties")
			var bulk struct{ Top []struct{ Sold int64 } }
			if err := json.Unmarshal([]byte(got["bulk"]), &bulk); err != nil || len(bulk.Top) != 3 || bulk.Top[0].Sold != 1000 || bulk.Top[2].Sold != 1000 {
				t.Errorf("the many are %.300s", got["bulk"])
			}
			delete(got, "bulk")
			equal(t, "totals", times(t, 1, got), times(t, 2, s.want))
		})
	}
}
