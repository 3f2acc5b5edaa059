package checkpoint

import (
	"context"
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

// What lies behind an open transaction is read by who waits for its end, and by
// nobody else.
func TestReadAllSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker()
		sys := memory.New("kafka", b)
		systems := map[string]system.System{"kafka": sys}
		c := config.New(map[string]string{
			"job.name": "w2", "systems.kafka.samza.factory": "kafka", "stores.counts.factory": "memory", "stores.counts.changelog": "kafka.peer-w2-changelog",
		})
		if all, err := ReadAll(t.Context(), c, systems, Options{Settled: func() { t.Error("nothing is there to wait for") }}); err != nil || len(all) != 0 {
			t.Errorf("without a topic: %v, %v", all, err)
		}
		o, err := kafkaOptions(c, systems)
		if err != nil {
			t.Fatal(err)
		}
		k := started(t, o)
		write := func(offset string) {
			if err := k.Write(t.Context(), "Partition 0", at(offset)); err != nil {
				t.Fatal(err)
			}
		}
		write("1")
		open, err := sys.TakeOver(t.Context(), system.TransactionOptions{ID: "dead", Name: "dead"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range k.Records("Partition 1", at("7")) {
			if err := open.Send(r); err != nil {
				t.Fatal(err)
			}
		}
		write("2")
		read := func(settled func()) string {
			all, err := ReadAll(t.Context(), c, systems, Options{Settled: settled})
			if err != nil || len(all) != 1 {
				t.Errorf("%v, %v", all, err)
			}
			return all["Partition 0"].Changelogs["counts"].Offset
		}
		if got := read(nil); got != "1" {
			t.Errorf("while a transaction is open the checkpoint in front of it is read, not %q", got)
		}
		told := false
		got := make(chan string, 1)
		go func() { got <- read(func() { told = true }) }()
		synctest.Wait()
		select {
		case g := <-got:
			t.Errorf("it did not wait, and read %q", g)
		default:
		}
		if err := open.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g := <-got; g != "2" || !told {
			t.Errorf("read %q, told of the wait: %v", g, told)
		}
	})
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
