//go:build grid

package snapshot

import (
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"heddle/internal/grid"
	"heddle/system/files"
)

// onHDFS makes the process keep its snapshots on the grid's HDFS.
func (h *holder) onHDFS(root string) files.FileSystem {
	h.t.Helper()
	open := func(ctx context.Context) (files.FileSystem, error) {
		o, err := files.FromEnvironment(os.LookupEnv)
		if err != nil {
			return nil, err
		}
		o.Timeout, o.Idle = 3*time.Second, 5*time.Second
		return files.Open(ctx, "", o)
	}
	h.k.o.Open, h.k.o.Root = open, root
	fs, err := open(h.t.Context())
	check(h.t, err)
	h.t.Cleanup(func() { _ = fs.Close() })
	return fs
}

// TestOnHDFS: uploads, retention, a restore, damage, and a NameNode that goes
// away and comes back, on the real one.
func TestOnHDFS(t *testing.T) {
	g := grid.Use(t, grid.HDFS)
	w := newWorld(t)
	w.now = time.Now() // HDFS has its own clock
	h := w.start(t)
	root := "/heddle-test/" + grid.Name("snapshots")
	remote := h.onHDFS(root)
	t.Cleanup(func() { _ = remote.RemoveAll(context.Background(), "/heddle-test") })
	folder := folderOf(root, whose)

	for i := range 4 {
		h.commit(int64(i), 20_000)
		h.snapshot()
	}
	manifests, content, err := look(t.Context(), remote, folder)
	check(t, err)
	if log := h.log.Take(); len(manifests) != DefaultRetain || len(content) < 2 || warnings(log) != 0 {
		t.Fatalf("%d manifests, %d files\n%s", len(manifests), len(content), log)
	}
	other := w.start(t)
	other.onHDFS(root)
	if got := other.fetch(); got != 3 {
		t.Errorf("restored to %d", got)
	}

	// A block of a file that only the newest snapshot has is another.
	of := func(i int) []File {
		m, err := readManifest(t.Context(), remote, path.Join(folder, manifestsFolder, listed(manifests)[i].name))
		check(t, err)
		return m.files()
	}
	older := of(1)
	only := slices.DeleteFunc(of(0), func(f File) bool {
		return slices.ContainsFunc(older, func(o File) bool { return o.Sum == f.Sum })
	})
	if len(only) == 0 {
		t.Fatal("the newest snapshot has no file of its own")
	}
	file := path.Join(folder, filesFolder, only[0].Sum)
	r, err := remote.Open(t.Context(), file)
	check(t, err)
	b, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	b[len(b)/2] ^= 1
	_, err = remote.Put(t.Context(), file, bytes.NewReader(b), fileMode)
	check(t, err)
	if got := other.fetch(); got != 2 {
		t.Errorf("restored to %d", got)
	}
	if log := other.log.Take(); warnings(log) != 1 || !strings.Contains(log, "checksum") {
		t.Error(log)
	}

	// The NameNode is away: a warning, and it goes on when it is back.
	g.Stop(t, "namenode")
	back := false
	defer func() {
		if !back {
			g.Start(t, "namenode")
		}
	}()
	h.commit(4, 20_000)
	h.snapshot()
	if log := h.log.Take(); warnings(log) != 1 || !strings.Contains(log, "could not be written") {
		t.Error(log)
	}
	g.Start(t, "namenode")
	back = true
	w.pass(maxBackoff)
	h.snapshot()
	if log := h.log.Take(); warnings(log) != 0 || !strings.Contains(log, "snapshot taken") {
		t.Error(log)
	}
	if got := other.fetch(); got != 4 {
		t.Errorf("restored to %d after the NameNode's return\n%s", got, other.log.Take())
	}
}
