package container

import (
	"slices"
	"strings"
	"sync"

	"heddle/coordinator"
	"heddle/storage"
)

// restores is how far the restore of a task's stores has come. Any goroutine
// reads it.
type restores struct {
	mu    sync.Mutex
	state map[string]storage.Progress
}

func (r *restores) note(p storage.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == nil {
		r.state = map[string]storage.Progress{}
	}
	r.state[p.Store] = p
}

func (r *restores) records() (n int64) {
	for _, p := range r.all() {
		n += p.Records
	}
	return n
}

func (r *restores) report() []coordinator.RestoreReport {
	var out []coordinator.RestoreReport
	for _, p := range r.all() {
		out = append(out, coordinator.RestoreReport{
			Store: p.Store, Done: p.Next - p.From, Total: p.To - p.From, LeftMs: p.Left.Milliseconds(),
			Source: string(p.Source), Downloaded: p.Downloaded, Download: p.Download,
		})
	}
	return out
}

// of is that of one store; empty if it is not restored.
func (r *restores) of(store string) storage.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[store]
}

func (r *restores) all() []storage.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []storage.Progress
	for _, p := range r.state {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b storage.Progress) int { return strings.Compare(a.Store, b.Store) })
	return out
}
