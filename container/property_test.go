package container

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heddle/checkpoint"
	"heddle/storage"
	"heddle/system"
	"heddle/system/memory"
)

// TestStories drives a job with stores on disk or in memory through random
// input, containers in any number and on any host, crashes at every step of the
// commit, changelogs that refuse records, and hosts that lost their disk or come
// back with an old one. At the end the state is what the input makes, read in
// three ways: from the hosts, by a restore on an empty host, and from the
// changelog's records. No output is lost; exactly-once, none comes twice, with
// transactions that killed containers left open while others start.
func TestStories(t *testing.T) {
	for _, exactly := range []bool{false, true} {
		t.Run(map[bool]string{false: "at-least-once", true: "exactly-once"}[exactly], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			most := 20 // each opens some twenty stores on disk
			switch {
			case testing.Short():
				most = 10
			case soak():
				most = 100
			}
			told, found := 0, false
			rapid.Check(t, func(t *rapid.T) {
				// What was found is told again and again, to find its shortest form.
				if told++; told > most && !found {
					return
				}
				if err := story(t, dir, exactly, nil); err != nil {
					found = true
					t.Fatal(err)
				}
			})
		})
	}
}

// TestStoriesFindWrongOrders tells the same stories with commits whose steps are
// in another order: each must be found out.
func TestStoriesFindWrongOrders(t *testing.T) {
	seal := func(t *instance, c checkpoint.Checkpoint) { _ = t.checkpoints.Write(context.Background(), t.name, c) }
	for _, tt := range []struct {
		name    string
		exactly bool
		// breaks makes the function that does a step too early.
		breaks func() func(*instance, Step)
		says   string // what the error says
		// first is the story that is told first, one that finds it as stories are
		// drawn now.
		first int
	}{
		{"the checkpoint before the stores are flushed", false, func() func(*instance, Step) {
			return func(t *instance, s Step) {
				if s == StepBegun {
					seal(t, checkpoint.Checkpoint{ID: checkpoint.NewID(t.now()), Inputs: t.inputOffsets(), Changelogs: t.changelogPositions()})
				}
			}
		}, "state", 0},
		{"the positions before the stores are flushed, as Samza has it", false, func() func(*instance, Step) {
			early := map[string]map[string]checkpoint.Changelog{}
			return func(t *instance, s Step) {
				switch s {
				case StepBegun:
					early[t.name] = t.changelogPositions()
				case StepPositioned:
					seal(t, checkpoint.Checkpoint{ID: checkpoint.NewID(t.now()), Inputs: t.inputOffsets(), Changelogs: early[t.name]})
				}
			}
		}, "state", 16},
		{"the engine before the checkpoint", false, func() func(*instance, Step) {
			return func(t *instance, s Step) {
				if s == StepPositioned {
					_ = t.stores.Committed(context.Background(), storage.Commit{Checkpoint: "early", Began: t.now()})
				}
			}
		}, "local state is not used", 20},
		{"the engine before the changelog has it", false, func() func(*instance, Step) {
			return func(t *instance, s Step) {
				if s == StepStoresFlushed {
					_ = t.stores.Committed(context.Background(), storage.Commit{Checkpoint: "early", Began: t.now()})
				}
			}
		}, "", 0},
		{"a transaction that ends before the checkpoint", true, func() func(*instance, Step) {
			return func(t *instance, s Step) {
				if s == StepPositioned {
					_ = t.tx.Commit(context.Background())
				}
			}
		}, "twice", 35},
		{"the engine before the transaction has ended", true, func() func(*instance, Step) {
			return func(t *instance, s Step) {
				if s == StepCheckpointSent {
					_ = t.stores.Committed(context.Background(), storage.Commit{Checkpoint: "early", Began: t.now()})
				}
			}
		}, "local state is not used", 35},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			told := rapid.Custom(func(t *rapid.T) error { return story(t, dir, tt.exactly, tt.breaks()) })
			for n := range 200 {
				seed := (tt.first + n) % 200
				if err := told.Example(seed); err != nil {
					if !strings.Contains(err.Error(), tt.says) {
						t.Errorf("found otherwise than by %q: %v", tt.says, err)
					}
					t.Logf("found by story %d: %v", seed, err)
					return
				}
			}
			t.Error("200 stories did not find it")
		})
	}
}

// story tells one; the error is what is wrong at its end.
func story(t *rapid.T, dir string, exactly bool, breaks func(*instance, Step)) error {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &world{t: t, broker: memory.NewBroker(), checkpoints: newMemoryLog(), exactly: exactly, breaks: breaks}
	w.tasks = rapid.Int32Range(1, 3).Draw(t, "tasks")
	for range rapid.IntRange(1, 3).Draw(t, "hosts") {
		w.hosts = append(w.hosts, filepath.Join(dir, "host"+strconv.Itoa(len(w.hosts))))
	}
	for name, n := range map[string]int32{"in": w.tasks, "out": 1, "log": w.tasks} {
		if err := w.broker.Create(system.StreamSpec{Name: name, Partitions: n}); err != nil {
			return err
		}
	}
	w.input = make([][]string, w.tasks)
	for range rapid.IntRange(2, 6).Draw(t, "rounds") {
		if err := w.round(); err != nil {
			return err
		}
	}
	w.broker.SetFaults(memory.Faults{})
	if err := w.all(false); err != nil {
		return err
	}
	return w.check(filepath.Join(dir, "empty"))
}
