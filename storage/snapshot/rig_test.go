package snapshot

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/internal/heard"
	"heddle/metrics"
	"heddle/storage"
	"heddle/storage/engine"
	"heddle/storage/engine/pebble"
	"heddle/system/files"
)

var whose = storage.Identity{
	JobName: "w2", JobID: "1", Store: "counts", Task: "Partition 0", Changelog: "kafka.w2-1-counts-changelog",
	KeySerde: "serde.Text", ValueSerde: "serde.Long", Engine: engine.Pebble, Layout: "plain",
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a file system of snapshots, and the clock.
type world struct {
	root string

	mu    sync.Mutex
	now   time.Time
	times map[string]time.Time // when files were written; others: by the disk
	ops   []string             // what was asked, "put <base>"
	// before is asked before each operation; its error fails it.
	before func(op, name string) error
	opens  int
}

func newWorld(t testing.TB) *world {
	return &world{root: t.TempDir(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), times: map[string]time.Time{}}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// asked gives what was asked since the last time.
func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ops := w.ops
	w.ops = nil
	return ops
}

func (w *world) open(context.Context) (files.FileSystem, error) {
	w.mu.Lock()
	w.opens++
	w.mu.Unlock()
	if err := w.ask("open file system", ""); err != nil {
		return nil, err
	}
	return worldFS{w: w}, nil
}

func (w *world) ask(op, name string) error {
	w.mu.Lock()
	w.ops = append(w.ops, op+" "+path.Base(name))
	before := w.before
	w.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(op, name)
}

// worldFS is the real file system of this machine, with the world's clock and
// faults.
type worldFS struct {
	files.Local
	w *world
}

func (f worldFS) Put(ctx context.Context, name string, content io.Reader, mode fs.FileMode) (files.Stat, error) {
	if err := f.w.ask("put", name); err != nil {
		return files.Stat{}, err
	}
	s, err := f.Local.Put(ctx, name, content, mode)
	if err == nil {
		now := f.w.clock()
		f.w.mu.Lock()
		f.w.times[name] = now
		f.w.mu.Unlock()
		s.ModTime = now.UnixMilli()
		err = f.w.ask("put done", name)
	}
	return s, err
}

func (f worldFS) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := f.w.ask("open", name); err != nil {
		return nil, err
	}
	return f.Local.Open(ctx, name)
}

func (f worldFS) List(ctx context.Context, name string) ([]files.Entry, error) {
	if err := f.w.ask("list", name); err != nil {
		return nil, err
	}
	entries, err := f.Local.List(ctx, name)
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	for i := range entries {
		if at, ok := f.w.times[path.Join(name, entries[i].Name)]; ok {
			entries[i].ModTime = at
		}
	}
	return entries, err
}

func (f worldFS) Rename(ctx context.Context, from, to string) error {
	if err := f.w.ask("rename", from); err != nil {
		return err
	}
	err := f.Local.Rename(ctx, from, to)
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if at, ok := f.w.times[from]; ok && err == nil {
		f.w.times[to] = at
	}
	return err
}

func (f worldFS) RemoveAll(ctx context.Context, name string) error {
	if err := f.w.ask("remove", name); err != nil {
		return err
	}
	return f.Local.RemoveAll(ctx, name)
}

func warnings(log string) int { return strings.Count(log, "level=WARN") }

// holder is a process that keeps snapshots of one store on disk.
type holder struct {
	t   testing.TB
	w   *world
	k   *Keeper
	e   *pebble.Engine
	dir string
	log *heard.Text
}

const interval = time.Minute

func (w *world) options(log *heard.Text, scratch string) Options {
	return Options{
		Open: w.open, Root: w.root, Scratch: scratch, Interval: interval, Now: w.clock,
		Metrics: metrics.New("test", metrics.Options{}), Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
}

// start is a process with an empty store, whose uploads the test runs.
func (w *world) start(t testing.TB) *holder {
	t.Helper()
	h := &holder{t: t, w: w, log: &heard.Text{}, dir: t.TempDir()}
	h.k = newKeeper(w.options(h.log, filepath.Join(h.dir, "copies")))
	close(h.k.over)
	h.reopen(filepath.Join(h.dir, "state"))
	t.Cleanup(func() {
		check(t, h.k.Close())
		check(t, h.e.Close())
	})
	return h
}

func (h *holder) reopen(dir string) {
	h.t.Helper()
	if h.e != nil {
		check(h.t, h.e.Close())
	}
	e, err := pebble.Open(engine.Options{Dir: dir, Share: h.dir})
	check(h.t, err)
	h.e = e
}

// commit writes n keys, with values that nothing compresses, up to the offset.
func (h *holder) commit(offset int64, n int) {
	h.t.Helper()
	var batch []engine.Write
	for i := range n {
		sum := sumOf(fmt.Append(nil, offset, i))
		batch = append(batch, engine.Write{Key: fmt.Sprintf("k%06d", i), Value: []byte(sum)})
	}
	check(h.t, h.e.Apply(batch, storage.AppendMark(nil, storage.Mark{Offset: offset, Checkpoint: "c", At: h.w.clock().Truncate(time.Millisecond)})))
}

// snapshot takes one when the next is due, and uploads it.
func (h *holder) snapshot() {
	h.t.Helper()
	h.k.mu.Lock()
	h.k.of(whose, h.w.clock()) // a store's first turn is not at once
	h.k.mu.Unlock()
	h.w.pass(interval + time.Second)
	check(h.t, h.k.Take(h.t.Context(), whose, h.e))
	h.upload()
}

// upload does what waits; it tells how many that were.
func (h *holder) upload() (n int) {
	for {
		select {
		case j := <-h.k.jobs:
			h.k.run(j)
			n++
		default:
			return n
		}
	}
}

// fetch restores a new process from the newest snapshot; offset is that of its
// state, -2 without one.
func (h *holder) fetch() (offset int64) {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "fetched")
	found, err := h.k.Fetch(h.t.Context(), storage.Wanted{ID: whose, Dir: dir})
	check(h.t, err)
	if !found {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			h.t.Fatalf("nothing was found, but %s holds %v", dir, left)
		}
		return -2
	}
	h.reopen(dir)
	m, ok, err := markOf(h.e)
	if err != nil || !ok {
		h.t.Fatalf("mark %+v, %v", m, err)
	}
	// The values say of which offset they are.
	it := h.e.Range("", "")
	for i := 0; it.Next(); i++ {
		if want := sumOf(fmt.Append(nil, m.Offset, i)); string(it.Value()) != want {
			h.t.Fatalf("at offset %d %s is not of that offset", m.Offset, it.Key())
		}
	}
	check(h.t, it.Close())
	return m.Offset
}

func (w *world) folder(name ...string) string {
	return filepath.Join(append([]string{folderOf(w.root, whose)}, name...)...)
}

// names are those of a folder, sorted.
func (w *world) names(t testing.TB, folder string) []string {
	t.Helper()
	entries, err := files.Local{}.List(t.Context(), w.folder(folder))
	check(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name)
	}
	slices.Sort(out)
	return out
}

// newestManifest is that with the highest sequence.
func (w *world) newestManifest(t testing.TB) (name string, m Manifest) {
	t.Helper()
	entries, err := files.Local{}.List(t.Context(), w.folder(manifestsFolder))
	check(t, err)
	name = w.folder(manifestsFolder, listed(entries)[0].name)
	m, err = readManifest(t.Context(), files.Local{}, name)
	check(t, err)
	return name, m
}

// steppedFS calls step before each operation.
type steppedFS struct {
	worldFS
	step func()
}

func (f steppedFS) Put(ctx context.Context, name string, content io.Reader, mode fs.FileMode) (files.Stat, error) {
	f.step()
	return f.worldFS.Put(ctx, name, content, mode)
}

func (f steppedFS) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f.step()
	return f.worldFS.Open(ctx, name)
}

func (f steppedFS) List(ctx context.Context, name string) ([]files.Entry, error) {
	f.step()
	return f.worldFS.List(ctx, name)
}

func (f steppedFS) Rename(ctx context.Context, from, to string) error {
	f.step()
	return f.worldFS.Rename(ctx, from, to)
}

func (f steppedFS) RemoveAll(ctx context.Context, name string) error {
	f.step()
	return f.worldFS.RemoveAll(ctx, name)
}
