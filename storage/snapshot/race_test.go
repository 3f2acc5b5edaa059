package snapshot

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/internal/heard"
	"heddle/storage"
)

// scheduler lets one of several goroutines go on at a time, as chance has it:
// each operation on the file system is a step.
type scheduler struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
	running int
	changed *sync.Cond
}

func newScheduler() *scheduler {
	s := &scheduler{waiting: map[string]chan struct{}{}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// step is called by the goroutine of that name.
func (s *scheduler) step(name string) {
	s.mu.Lock()
	c := make(chan struct{})
	s.waiting[name] = c
	s.running--
	s.changed.Signal()
	s.mu.Unlock()
	<-c
}

func (s *scheduler) start(name string, f func()) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	go func() {
		s.step(name)
		f()
		s.mu.Lock()
		s.running--
		s.changed.Signal()
		s.mu.Unlock()
	}()
}

// run lets them go on until all have ended; between two steps it calls between.
func (s *scheduler) run(r *rand.Rand, between func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// For a while one of them is nearly frozen, or neither.
	zombie := 0.5
	for {
		for s.running > 0 {
			s.changed.Wait()
		}
		if len(s.waiting) == 0 {
			return
		}
		names := []string{}
		for _, name := range []string{"zombie", "replacement"} {
			if s.waiting[name] != nil {
				names = append(names, name)
			}
		}
		if r.IntN(8) == 0 {
			zombie = []float64{0, 0.02, 0.5, 0.98}[r.IntN(4)]
		}
		name := names[0]
		if len(names) > 1 && r.Float64() >= zombie {
			name = names[1]
		}
		between()
		c := s.waiting[name]
		delete(s.waiting, name)
		s.running++
		close(c)
	}
}

// store is a store of files that are made and removed, as an engine's are.
type store struct {
	t     *testing.T
	k     *Keeper
	name  string
	files map[string]string // content by name
	n     int
	at    int64
}

// change makes some new files and gives up some old ones.
func (s *store) change(r *rand.Rand) {
	for name := range s.files {
		if r.IntN(3) == 0 {
			delete(s.files, name)
		}
	}
	for range 1 + r.IntN(2) {
		s.n++
		s.files[fmt.Sprintf("%06d.sst", s.n)] = strings.Repeat(fmt.Sprint(s.name, s.n, " "), 2000)
	}
	s.at++
}

// upload takes a snapshot.
func (s *store) upload(dir string) error {
	check(s.t, os.MkdirAll(dir, 0o700))
	for name, content := range s.files {
		check(s.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	s.k.mu.Lock()
	series := s.k.of(whose, s.k.o.Now())
	s.k.mu.Unlock()
	_, err := s.k.upload(s.t.Context(), job{s: series, dir: dir, mark: storage.Mark{Offset: s.at}, taken: s.k.o.Now()})
	return err
}

// TestZombieAndReplacement interleaves the uploads of two processes that know
// nothing of each other, each operation of one between any two of the other,
// with hours between. Whatever one removes, every snapshot that is there at the
// end is whole, and there is one.
func TestZombieAndReplacement(t *testing.T) {
	rounds := uint64(300)
	if testing.Short() {
		rounds = 50
	}
	putBack, spoilt := 0, 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		s := newScheduler()
		base := map[string]string{}
		stores := map[string]*store{}
		for i, name := range []string{"zombie", "replacement"} {
			o := w.options(&heard.Text{}, t.TempDir())
			o.Retain = 1 + int(seed%2)
			st := &store{t: t, k: newKeeper(o), name: name, files: map[string]string{}, n: i * 1000}
			stores[name] = st
			close(st.k.over)
			defer st.k.Close()
		}
		zombie, replacement := stores["zombie"], stores["replacement"]
		for range r.IntN(3) {
			zombie.change(r)
			check(t, zombie.upload(t.TempDir()))
			w.pass(time.Duration(r.IntN(120)) * time.Minute)
		}
		for name, content := range zombie.files {
			base[name] = content
		}
		replacement.files, replacement.at = base, zombie.at
		// Each asks by its own goroutine, which the scheduler holds.
		var mu sync.Mutex
		owner := map[*Keeper]string{zombie.k: "zombie", replacement.k: "replacement"}
		for k, name := range owner {
			k.o.Open = nil
			k.fs = steppedFS{worldFS{w: w}, func() { s.step(name) }}
		}
		last := map[string]error{}
		for name, uploads := range map[string]int{"zombie": 1, "replacement": 3} {
			st := stores[name]
			dir := t.TempDir()
			seedOf := rand.New(rand.NewPCG(seed, uint64(len(name))))
			s.start(name, func() {
				for i := range uploads {
					st.change(seedOf)
					err := st.upload(filepath.Join(dir, fmt.Sprint(i)))
					mu.Lock()
					last[name] = err
					if err != nil {
						spoilt++
					}
					mu.Unlock()
				}
			})
		}
		s.run(r, func() {
			if r.IntN(6) == 0 {
				w.pass(time.Duration(r.IntN(200)) * time.Minute)
			}
		})
		manifests, content, err := look(t.Context(), worldFS{w: w}, w.folder())
		check(t, err)
		have := stock(content, nil)
		found := listed(manifests)
		for _, k := range found {
			m, err := readManifest(t.Context(), worldFS{w: w}, w.folder(manifestsFolder, k.name))
			check(t, err)
			k.files = m.files()
			if !k.complete(have) {
				t.Errorf("seed %d: %s is not whole (zombie: %v, replacement: %v)", seed, k.name, last["zombie"], last["replacement"])
			}
		}
		if len(found) == 0 && last["replacement"] == nil {
			t.Errorf("seed %d: there is no snapshot: %v", seed, last)
		}
		for _, op := range w.asked() {
			if strings.HasPrefix(op, "rename .") {
				putBack++
			}
		}
		if err := last["replacement"]; err != nil {
			// The next one is whole again.
			replacement.k.fs = worldFS{w: w}
			check(t, replacement.upload(t.TempDir()))
		}
	}
	if putBack == 0 || spoilt == 0 {
		t.Errorf("the test reaches too little: %d files put back, %d snapshots spoilt while they were written", putBack, spoilt)
	}
}
