package checkpoint

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"heddle/config"
	"heddle/system"
	"heddle/system/memory"
)

// What lies behind an open transaction is read all the same. Who owns the tasks
// ends those that they left open, and waits for a stranger's only if it holds
// checkpoints of them.
func TestReadAllBehindOpenTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker()
		sys := memory.New("kafka", b)
		systems := map[string]system.System{"kafka": sys}
		c := config.New(map[string]string{
			"job.name": "w2", "systems.kafka.samza.factory": "kafka", "stores.counts.factory": "memory", "stores.counts.changelog": "kafka.peer-w2-changelog",
		})
		mine := []string{"Partition 0"}
		if all, err := ReadAll(t.Context(), c, systems, Options{Tasks: mine, Waits: func() { t.Error("nothing is there to wait for") }}); err != nil || len(all) != 0 {
			t.Errorf("without a topic: %v, %v", all, err)
		}
		o, err := kafkaOptions(c, systems)
		if err != nil {
			t.Fatal(err)
		}
		k := started(t, o)
		write := func(offset string) {
			t.Helper()
			if err := k.Write(t.Context(), "Partition 0", at(offset)); err != nil {
				t.Fatal(err)
			}
		}
		open := func(id, task, offset string) system.TransactionalOutbox {
			t.Helper()
			box, err := sys.TakeOver(t.Context(), system.TransactionOptions{ID: id, Name: id})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range k.Records(task, at(offset)) {
				if err := box.Send(r); err != nil {
					t.Fatal(err)
				}
			}
			return box
		}
		read := func(tasks []string, waits func()) string {
			t.Helper()
			all, err := ReadAll(t.Context(), c, systems, Options{Tasks: tasks, Waits: waits})
			if err != nil || len(all) != 1 {
				t.Errorf("%v, %v", all, err)
			}
			return all["Partition 0"].Changelogs["counts"].Offset
		}
		write("1")
		left := open("heddle-w2-1-Partition 0", "Partition 0", "7")
		another := open("heddle-w2-1-Partition 1", "Partition 1", "8")
		write("2")
		if got := read(nil, nil); got != "2" {
			t.Errorf("behind the open transactions %q is read", got)
		}
		if err := another.Commit(t.Context()); err != nil {
			t.Errorf("who only looks has ended a transaction: %v", err)
		}
		another = open("heddle-w2-1-Partition 1", "Partition 1", "9")
		told := false
		all, err := ReadAll(t.Context(), c, systems, Options{Tasks: mine, Waits: func() { told = true }})
		if got := all["Partition 0"].Changelogs["counts"].Offset; err != nil || got != "2" || !told {
			t.Errorf("the owner reads %q, %v; told that something is open: %v", got, err, told)
		}
		if err := left.Commit(t.Context()); !errors.Is(err, system.ErrFenced) {
			t.Errorf("what the task left open is committed after that: %v", err)
		}
		if err := another.Commit(t.Context()); err != nil {
			t.Errorf("the other task's transaction was ended: %v", err)
		}

		stranger := open("a stranger", "Partition 0", "10")
		got := make(chan string, 1)
		go func() {
			all, err := ReadAll(t.Context(), c, systems, Options{Tasks: mine})
			if err != nil {
				t.Error(err)
			}
			got <- all["Partition 0"].Changelogs["counts"].Offset
		}()
		synctest.Wait()
		select {
		case g := <-got:
			t.Errorf("it did not wait for the stranger, and read %q", g)
		default:
		}
		write("11")
		if err := stranger.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		// To the end that there was when it began.
		if g := <-got; g != "10" {
			t.Errorf("once the stranger has committed %q is read", g)
		}
	})
}

// Where nothing says that a run was exactly-once, nobody is asked for a right to
// use transactions; a task whose newest checkpoint was written so is taken over
// also when nothing is open, since a frozen container could go on.
func TestInherit(t *testing.T) {
	b := memory.NewBroker()
	o := options(b)
	o.TransactionalID = func(task string) string { return "id of " + task }
	var taken []string
	refused := error(nil)
	b.SetFaults(memory.Faults{Transaction: func(method, id string) error {
		if method == "TakeOver" {
			taken = append(taken, id)
			return refused
		}
		return nil
	}})
	inherit := func(k *Kafka, open, took bool, ids ...string) {
		t.Helper()
		taken = nil
		got, err := k.Inherit(t.Context(), []string{"Partition 0", "Partition 1"}, open)
		slices.Sort(taken)
		if err != nil || got != took || !slices.Equal(taken, ids) {
			t.Errorf("took over %q (%v), %v; want %q", taken, got, err, ids)
		}
	}
	plain := started(t, o)
	if err := plain.Write(t.Context(), "Partition 1", at("1")); err != nil {
		t.Fatal(err)
	}
	inherit(started(t, o), false, false)
	inherit(started(t, o), true, true, "id of Partition 0", "id of Partition 1")

	o.Transactional = true
	box, err := o.System.(system.Transactional).TakeOver(t.Context(), system.TransactionOptions{ID: "id of Partition 0", Name: "Partition 0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range NewKafka(o).Records("Partition 0", at("5")) {
		if err := box.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := box.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.Transactional = false
	k := started(t, o)
	inherit(k, false, true, "id of Partition 0")
	if c, ok := k.Last("Partition 0"); !ok || c.Changelogs["counts"].Offset != "5" {
		t.Errorf("its checkpoint is %+v", c)
	}
	if err := box.Send(system.Record{Stream: o.Topic, At: 1}); err == nil {
		if err = box.Commit(t.Context()); !errors.Is(err, system.ErrFenced) {
			t.Errorf("the run before commits: %v", err)
		}
	}
	// Without the right, the start goes on: nothing is open.
	refused = system.ErrNotAllowed
	inherit(started(t, o), false, false, "id of Partition 0")
	// Once the task has committed at-least-once, nothing is left.
	if err := k.Write(t.Context(), "Partition 0", at("6")); err != nil {
		t.Fatal(err)
	}
	inherit(started(t, o), false, false)
}

func TestReadAll(t *testing.T) {
	ctx := context.Background()
	b := memory.NewBroker()
	systems := map[string]system.System{"kafka": memory.New("kafka", b)}
	c := config.New(map[string]string{
		"job.name": "w2", "systems.kafka.samza.factory": "kafka",
		"stores.counts.factory": "memory", "stores.counts.changelog": "kafka.peer-w2-changelog",
	})
	read := func(c config.Config) map[string]Checkpoint {
		t.Helper()
		all, err := ReadAll(ctx, c, systems, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := read(c); len(all) != 0 {
		t.Errorf("%v", all)
	}
	admin, _ := systems["kafka"].Admin()
	if infos, err := admin.Describe(ctx); err != nil || len(infos) != 0 {
		t.Errorf("reading made %v, %v", infos, err)
	}
	files := c.With(map[string]string{"task.checkpoint.factory": "file", "task.checkpoint.path": filepath.Join(t.TempDir(), "none")})
	if all := read(files); len(all) != 0 {
		t.Errorf("%v", all)
	}
	for _, c := range []config.Config{c, files} {
		l, err := New(c, systems, Options{})
		if err == nil {
			err = l.Start(ctx)
		}
		if err == nil {
			err = l.Write(ctx, "Partition 0", at("1"))
		}
		if err == nil {
			err = l.Write(ctx, "Partition 1", at("2"))
		}
		if err != nil {
			t.Fatal(err)
		}
		all := read(c)
		if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"Partition 0", "Partition 1"}) || !reflect.DeepEqual(all["Partition 1"], at("2")) {
			t.Errorf("%v", all)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := ReadAll(ctx, c.With(map[string]string{"task.checkpoint.factory": "none"}), systems, Options{}); err == nil {
		t.Error("no checkpoints are kept, but some are shown")
	}
}
