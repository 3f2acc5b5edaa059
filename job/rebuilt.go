package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"heddle/coordinator"
	"heddle/storage"
	"heddle/storage/engine"
)

// Folder is a store that `run-job state restore` left, to be read without a job.
type Folder struct {
	dir  string
	file rebuiltStore
}

// modeRestored stands in place of the mode of a running job's state.
const modeRestored = "restored"

// OpenFolder looks at what lies in a folder.
func OpenFolder(dir, store string) (*Folder, error) {
	f := &Folder{dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, rebuiltFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Usage("--dir=%s: there is no %s in it: it is no folder that run-job state restore made", dir, rebuiltFile)
	}
	if err != nil {
		return nil, Usage("--dir=%s: %w", dir, err)
	}
	if err := json.Unmarshal(b, &f.file); err != nil || f.file.Version != rebuiltVersion {
		return nil, Usage("--dir=%s: its %s is damaged, or of another version; restore the store again", dir, rebuiltFile)
	}
	if f.file.Store != store {
		return nil, Usage("--dir=%s holds the store %q, not %q", dir, f.file.Store, store)
	}
	return f, nil
}

// tasks are those that are asked.
func (f *Folder) tasks(q StateQuery) ([]RebuiltTask, error) {
	var names []string
	for _, t := range f.file.Tasks {
		names = append(names, t.Task)
		if t.Task == q.Task {
			return []RebuiltTask{t}, nil
		}
	}
	if q.Task != "" {
		return nil, Usage("--task=%s: the folder has no such task; there are %s", q.Task, some(names))
	}
	return f.file.Tasks, nil
}

// bounds are the encoded keys that a query asks for.
func (q StateQuery) bounds(v storage.View) (from, to string, err error) {
	read := func(parse func() ([]byte, error)) string {
		if err != nil {
			return ""
		}
		var b []byte
		if b, err = parse(); err != nil {
			err = usageError{err}
		}
		return string(b)
	}
	switch {
	case q.Key != nil:
		from = read(func() ([]byte, error) { return storage.ParseKey(v.Keys, *q.Key) })
		return from, from, err
	case q.Prefix != nil:
		from = read(func() ([]byte, error) { return storage.ParsePrefix(v.Keys, *q.Prefix) })
		return from, string(storage.EndOf([]byte(from))), err
	}
	if q.From != nil {
		from = read(func() ([]byte, error) { return storage.ParseKey(v.Keys, *q.From) })
	}
	if q.To != nil {
		to = read(func() ([]byte, error) { return storage.ParseKey(v.Keys, *q.To) })
		if err == nil && to == "" {
			err = Usage("no key is less than the empty one: leave out --to")
		}
	}
	return from, to, err
}

// walk calls each for the entries of one task; it ends when that gives false.
func (f *Folder) walk(ctx context.Context, t RebuiltTask, q StateQuery, each func(v storage.View, key, value []byte) (bool, error)) (err error) {
	v, done, err := storage.OpenRebuilt(filepath.Join(f.dir, t.Folder), f.file.KeySerde, f.file.MsgSerde)
	if err != nil {
		return f.fault(t, err)
	}
	defer func() { err = errors.Join(err, done()) }()
	from, to, err := q.bounds(v)
	if err != nil {
		return err
	}
	if q.Key != nil {
		value, ok, err := v.Get(from)
		if err != nil || !ok {
			return f.fault(t, err)
		}
		_, err = each(v, []byte(from), value)
		return err
	}
	it := v.Range(from, to)
	defer func() { err = errors.Join(err, it.Close()) }()
	for n := 0; it.Next(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if more, err := each(v, []byte(it.Key()), it.Value()); err != nil || !more {
			return err
		}
	}
	return f.fault(t, it.Err())
}

// fault says what to do about a copy that is damaged: it is of nothing else's worth.
func (f *Folder) fault(t RebuiltTask, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrCorrupt), errors.Is(err, engine.ErrForeign):
		return Usage("--dir=%s: store %q of task %q: %w; restore the store again, into another folder", f.dir, f.file.Store, t.Task, err)
	}
	return fmt.Errorf("store %q of task %q: %w", f.file.Store, t.Task, err)
}

// Entries is Running.Entries for the folder.
func (f *Folder) Entries(ctx context.Context, q StateQuery, each func(coordinator.StatePage) error) (n int64, err error) {
	tasks, err := f.tasks(q)
	if err != nil {
		return 0, err
	}
	page := coordinator.StatePage{Store: f.file.Store, Mode: modeRestored}
	give := func() error {
		if len(page.Entries) == 0 {
			return nil
		}
		err := each(page)
		page.Entries = nil
		return err
	}
	for _, t := range tasks {
		size := 0
		err := f.walk(ctx, t, q, func(v storage.View, key, value []byte) (bool, error) {
			page.Entries = append(page.Entries, coordinator.StateEntry{
				Task: t.Task, Key: storage.AppendShown(nil, v.Keys, key), Value: storage.AppendShown(nil, v.Values, value),
			})
			n++
			if size += len(key) + len(value); len(page.Entries) >= maxStatePage || size > maxFolderPage {
				size = 0
				if err := give(); err != nil {
					return false, err
				}
			}
			return q.Limit <= 0 || n < q.Limit, nil
		})
		if err != nil {
			return n, err
		}
		if q.Limit > 0 && n >= q.Limit {
			break
		}
	}
	return n, give()
}

// maxFolderPage bounds the bytes of a page.
const maxFolderPage = 1 << 20

// Count is Running.Count for the folder.
func (f *Folder) Count(ctx context.Context, q StateQuery, soFar func(int64)) (StateCount, error) {
	out := StateCount{Store: f.file.Store, Mode: modeRestored, Tasks: []TaskCount{}}
	tasks, err := f.tasks(q)
	if err != nil {
		return out, err
	}
	for _, t := range tasks {
		part := TaskCount{Task: t.Task, CommittedAt: t.Checkpoint}
		err := f.walk(ctx, t, q, func(storage.View, []byte, []byte) (bool, error) {
			if part.Count++; part.Count%10_000 == 0 {
				soFar(out.Count + part.Count)
			}
			return true, nil
		})
		if err != nil {
			return out, err
		}
		out.Count += part.Count
		out.Tasks = append(out.Tasks, part)
	}
	return out, nil
}
