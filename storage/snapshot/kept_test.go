package snapshot

import (
	"os"
	"testing"

	"heddle/storage"
	"heddle/system/files"
)

// TestListAndRemove: all that lies there of a job is listed, be it whole or not,
// and of what is removed nothing stays; other jobs' is not touched.
func TestListAndRemove(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	for i := range 3 {
		h.commit(int64(i), 2000)
		h.snapshot()
	}
	other := whose
	other.JobName = "w2-1-x"
	another := whose
	another.Store = "a store/with: signs"
	for _, id := range []storage.Identity{other, another} {
		check(t, os.MkdirAll(folderOf(w.root, id), 0o700))
		check(t, os.CopyFS(folderOf(w.root, id), os.DirFS(w.folder())))
	}
	broken, _ := w.newestManifest(t)
	check(t, os.WriteFile(broken, []byte("#"), 0o600))

	all, err := List(t.Context(), files.Local{}, w.root, whose.JobName, whose.JobID)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	// The copy's manifests are still those of counts, which are whole there.
	for i, want := range []Kept{{Mark: storage.Mark{Offset: 2}}, {Mark: storage.Mark{Offset: 1}}} {
		k := all[i]
		if k.Store != "counts" || k.Task != whose.Task || k.Snapshots != 2 || k.Mark.Offset != want.Mark.Offset ||
			k.Taken.IsZero() || k.Bytes < 2000*64 || k.Stored < k.Bytes || (k.Problem != "") != (i == 1) {
			t.Errorf("%+v", k)
		}
	}
	check(t, Remove(t.Context(), files.Local{}, all[1:]))
	again, err := List(t.Context(), files.Local{}, w.root, whose.JobName, whose.JobID)
	if err != nil || len(again) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
	if got := h.fetch(); got != -2 {
		t.Errorf("restored to %d from what was removed", got)
	}
	if left, err := List(t.Context(), files.Local{}, w.root, other.JobName, other.JobID); err != nil || len(left) != 1 {
		t.Errorf("of the other job there are %+v, %v", left, err)
	}
	if none, err := List(t.Context(), files.Local{}, w.root, "nobody", "1"); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestOtherJobsInTheFolder: the job "w2" with the id "1-1" and the job "w2-1" with the id
// "1" have one folder; neither removes what is the other's.
func TestOtherJobsInTheFolder(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(0, 2000)
	h.snapshot()
	name, id := whose.JobName+"-1", "1"
	if JobFolder(w.root, name, id) != JobFolder(w.root, whose.JobName, "1-1") {
		t.Fatal("the folders are not one")
	}
	check(t, os.MkdirAll(JobFolder(w.root, name, id), 0o700))
	check(t, os.CopyFS(JobFolder(w.root, name, id), os.DirFS(JobFolder(w.root, whose.JobName, whose.JobID))))
	all, err := List(t.Context(), files.Local{}, w.root, name, id)
	if err != nil || len(all) != 1 || all[0].Snapshots != 0 || !all[0].Taken.IsZero() || all[0].Other != whose.JobName+" (id "+whose.JobID+")" {
		t.Fatalf("%+v, %v", all, err)
	}
	check(t, Remove(t.Context(), files.Local{}, all))
	if again, err := List(t.Context(), files.Local{}, w.root, name, id); err != nil || len(again) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}
