package checkpoint

import (
	"context"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"heddle/config"
	"heddle/system"
	"heddle/system/memory"
)

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
