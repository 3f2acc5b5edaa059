package local

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func job(base string, log *bytes.Buffer) Job {
	return Job{Base: base, Name: "w2", ID: "1", Logger: slog.New(slog.NewTextHandler(log, nil))}
}

var whose = Identity{Store: "counts", Task: "Partition 0", Changelog: "kafka.w2", ValueSerde: "serde.Long", Engine: "pebble"}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, j Job, id Identity) *Folder {
	t.Helper()
	f, err := j.Open(id)
	check(t, err)
	return f
}

func fill(t *testing.T, f *Folder, name string) {
	t.Helper()
	check(t, os.MkdirAll(f.State(), 0o700))
	check(t, os.WriteFile(filepath.Join(f.State(), name), []byte("x"), 0o600))
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestFolderOutlivesItsProcess(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	f := open(t, j, whose)
	if want := filepath.Join(j.Base, "heddle-v1", "w2-1", "counts", "Partition_0", "state"); f.State() != want || !f.Fresh {
		t.Errorf("state in %s, fresh %v", f.State(), f.Fresh)
	}
	fill(t, f, "a")
	check(t, f.Close())
	f = open(t, j, whose)
	if f.Fresh || names(t, f.State()) != "a" || log.Len() != 0 {
		t.Errorf("fresh %v, %q\n%s", f.Fresh, names(t, f.State()), log.String())
	}
	// Nobody else may look at it.
	check(t, filepath.WalkDir(j.Base, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == j.Base {
			return err
		}
		i, err := d.Info()
		if err == nil && i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", name, i.Mode())
		}
		return err
	}))
	check(t, f.Reset())
	if !f.Fresh || names(t, f.State()) != "" {
		t.Errorf("after the reset %q", names(t, f.State()))
	}
	check(t, f.Close())
	if f = open(t, j, whose); !f.Fresh {
		t.Error("an empty state is not fresh")
	}
	check(t, f.Close())
}

func TestFolderInUse(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	first := open(t, j, whose)
	fill(t, first, "first")
	second, third := open(t, j, whose), open(t, j, whose)
	if !second.Fresh || !third.Fresh || second.State() == third.State() || second.State() == first.State() {
		t.Errorf("%s, %s, %s", first.State(), second.State(), third.State())
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), fmt.Sprint("process=", os.Getpid())) || strings.Count(log.String(), fmt.Sprintf("store=%s task=%q", whose.Store, whose.Task)) != 2 {
		t.Errorf("one warning for each:\n%s", log.String())
	}
	fill(t, second, "second")
	check(t, second.Close())
	// One beside is never used again: it may be of any age.
	if second = open(t, j, whose); !second.Fresh || names(t, second.State()) != "" {
		t.Errorf("%q", names(t, second.State()))
	}
	for _, f := range []*Folder{first, second, third} {
		check(t, f.Close())
	}
	if first = open(t, j, whose); first.Fresh || names(t, first.State()) != "first" {
		t.Errorf("%q", names(t, first.State()))
	}
	check(t, first.Close())
}

// TestFolderOfAnother: "w2-1" of id "1" and "w2" of id "1-1" are one folder.
func TestFolderOfAnother(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	f := open(t, j, whose)
	fill(t, f, "theirs")
	check(t, f.Close())
	other := j
	other.Name, other.ID = "w", "2-1"
	check(t, os.Rename(j.Dir(), other.Dir()))
	f = open(t, other, whose)
	if !f.Fresh || names(t, f.State()) != "" {
		t.Errorf("used: %q", names(t, f.State()))
	}
	if got := names(t, filepath.Join(other.Dir(), "counts")); got != "Partition_0 Partition_0~other-1" {
		t.Errorf("%q", got)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "job.name") {
		t.Error(log.String())
	}
	check(t, f.Close())
}

func TestStaging(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	f := open(t, j, whose)
	fill(t, f, "old")
	for range 2 {
		dir, err := f.Staging()
		check(t, err)
		if names(t, dir) != "" {
			t.Errorf("staged: %q", names(t, dir))
		}
		check(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	}
	if names(t, f.State()) != "old" {
		t.Error("what is staged is used")
	}
	check(t, f.Adopt())
	if names(t, f.State()) != "new" || f.Fresh {
		t.Errorf("%q", names(t, f.State()))
	}
	check(t, f.Close())
}

func TestClean(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	at := time.Now()
	make := func(store, task string, age time.Duration) string {
		id := whose
		id.Store, id.Task = store, task
		f := open(t, j, id)
		fill(t, f, "a")
		check(t, f.Close())
		for _, name := range []string{f.State() + "/a", f.dir + "/" + identityName} {
			check(t, os.Chtimes(name, at.Add(-age), at.Add(-age)))
		}
		return f.dir
	}
	stays := make("counts", "Partition 0", time.Hour)
	old := make("counts", "Partition 1", 50*time.Hour)
	oldButUsed := make("counts", "Partition 2", 50*time.Hour)
	noTask := make("counts", "Partition 9", 0)
	noStore := make("gone", "Partition 0", 0)
	longer := make("kept", "Partition 0", 50*time.Hour)
	used := open(t, j, Identity{Store: "counts", Task: "Partition 2", Changelog: whose.Changelog, ValueSerde: whose.ValueSerde, Engine: whose.Engine})
	beside := open(t, j, used.id)
	check(t, beside.Close())
	unreadable := make("counts", "Partition 3", 0)
	check(t, os.WriteFile(filepath.Join(unreadable, identityName), []byte("#"), 0o600))
	half := filepath.Join(j.Dir(), "counts", "Partition_4")
	check(t, os.Mkdir(half, 0o700))
	samza := filepath.Join(j.Base, "counts", "Partition_0")
	check(t, os.MkdirAll(samza, 0o700))

	j.Clean(func(id Identity) bool { return id.Store != "gone" && id.Task != "Partition 9" },
		func(store string) time.Duration {
			if store == "kept" {
				return 100 * time.Hour
			}
			return 24 * time.Hour
		}, at)
	for _, dir := range []string{stays, oldButUsed, longer, unreadable, samza} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s is gone", dir)
		}
	}
	for _, dir := range []string{old, noTask, noStore, filepath.Dir(noStore), beside.dir, half} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
	check(t, used.Close())
	job(filepath.Join(j.Base, "none"), &log).Clean(nil, nil, at)
}

func TestBase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	good := filepath.Join(dir, "good")
	for _, tt := range []struct {
		env        map[string]string
		configured string
		want       string
	}{
		{map[string]string{EnvBase: "/a", EnvLocalDirs: good}, "/b", "/a"},
		{map[string]string{EnvLocalDirs: good}, "/b", "/b"},
		{map[string]string{EnvLocalDirs: file + "/x, " + good + "," + dir}, "", good},
		{nil, "", "home/state"},
		{map[string]string{EnvLocalDirs: file + "/x," + file}, "", ""},
	} {
		got, err := Base(func(k string) string { return tt.env[k] }, tt.configured, "home/state")
		if got != tt.want || (err != nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), "job.logged.store.base.dir") {
			t.Errorf("%v, %q: %q, %v", tt.env, tt.configured, got, err)
		}
	}
	if got := names(t, filepath.Join(good, component)); got != "" {
		t.Errorf("trying left %q", got)
	}
}

func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"Partition 0", "SystemStreamPartition [kafka, clicks, 0]", "a/b", "a%2Fb", "..", ".", "", "~", "a\x00b",
		strings.Repeat("x", 300), strings.Repeat("x", 299) + "y", "ä",
	} {
		f := fileName(name)
		if f == "" || f == "." || f == ".." || len(f) > maxName || strings.ContainsAny(f, "/\x00~") || seen[f] != "" {
			t.Errorf("%q is %q, as is %q", name, f, seen[f])
		}
		seen[f] = name
	}
	if got := fileName("SystemStreamPartition [kafka, clicks, 0]"); got != "SystemStreamPartition_[kafka,_clicks,_0]" {
		t.Errorf("%q; Samza writes _ for blanks and nothing else", got)
	}
}

func FuzzIdentity(f *testing.F) {
	b, err := encodeIdentity(whose)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeIdentity(b)
		if err != nil {
			return
		}
		again, err := encodeIdentity(id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeIdentity(again); err != nil || got != id {
			t.Fatalf("%+v became %+v, %v", id, got, err)
		}
	})
}

// TestCondemnWhatWasRemoved: the next start finds nothing anyway.
func TestCondemnWhatWasRemoved(t *testing.T) {
	var log bytes.Buffer
	j := job(t.TempDir(), &log)
	f := open(t, j, whose)
	check(t, os.RemoveAll(j.Dir()))
	check(t, f.Condemn("gone"))
	check(t, f.Close())
}

// TestBaseOfSeveralUsers: who may write to the base may make a folder below the
// one of all jobs, whoever came first; the jobs' own folders are theirs.
func TestBaseOfSeveralUsers(t *testing.T) {
	for _, tt := range []struct{ base, want os.FileMode }{
		{0o777 | os.ModeSticky, 0o777 | os.ModeSticky},
		{0o770 | os.ModeSetgid, 0o770 | os.ModeSetgid | os.ModeSticky},
		{0o755, 0o700},
	} {
		var log bytes.Buffer
		j := job(t.TempDir(), &log)
		check(t, os.Chmod(j.Base, tt.base))
		for range 2 {
			check(t, open(t, j, whose).Close())
		}
		all, err := os.Stat(filepath.Dir(j.Dir()))
		check(t, err)
		own, err := os.Stat(j.Dir())
		check(t, err)
		if got := all.Mode() &^ os.ModeDir; got != tt.want || own.Mode().Perm() != 0o700 {
			t.Errorf("base %v: the folder of all jobs is %v, want %v; the job's is %v", tt.base, got, tt.want, own.Mode())
		}
		if want := filepath.Dir(j.Dir()); filepath.Dir(j.Copies()) != want {
			t.Errorf("copies in %s, which is not in %s", j.Copies(), want)
		}
	}
}
