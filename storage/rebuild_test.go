package storage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/storage"
	"heddle/storage/engine"
	_ "heddle/storage/engine/pebble"
	"heddle/system"
	"heddle/system/memory"
)

var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rebuildRig is a changelog of which offsets 0 to 5 are committed.
func rebuildRig(t *testing.T) (*memory.Broker, storage.Rebuild) {
	t.Helper()
	b := memory.NewBroker()
	if err := b.Create(system.StreamSpec{Name: "log", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	for i, e := range []string{"a=1", "b=1", "a=2", "c=1", "b", "d=1", "a=9", "c", "e=9"} {
		k, v, ok := strings.Cut(e, "=")
		value := []byte(v)
		if !ok {
			value = nil
		}
		if o, err := b.Append("log", 1, []byte(k), value); err != nil || o != int64(i) {
			t.Fatal(o, err)
		}
	}
	return b, storage.Rebuild{
		Spec:      storage.Spec{Name: "s", Engine: engine.Memory, KeySerde: "string", ValueSerde: "string", Changelog: system.StreamID{System: "kafka", Stream: "log"}},
		Partition: 1, Target: &storage.Target{Offset: "5", Committed: at},
		Dir: filepath.Join(t.TempDir(), "task-0"), Now: func() time.Time { return at },
	}
}

func rebuilt(t *testing.T, dir string) map[string]string {
	t.Helper()
	v, done, err := storage.OpenRebuilt(dir, "string", "string")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	it := v.Range("", "")
	for it.Next() {
		got[strings.Clone(it.Key())] = string(it.Value())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRebuildStopsAtTheCheckpointAndWritesNothingBack(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*storage.Rebuild)
		want    string
		to      int64
		warning string
	}{
		"checkpoint":    {func(*storage.Rebuild) {}, "map[a:2 c:1 d:1]", 6, ""},
		"end":           {func(r *storage.Rebuild) { r.ToEnd = true }, "map[a:9 d:1 e:9]", 9, ""},
		"empty state":   {func(r *storage.Rebuild) { r.Target.Offset = "" }, "map[]", 0, ""},
		"no checkpoint": {func(r *storage.Rebuild) { r.Target = nil }, "map[a:9 d:1 e:9]", 9, "no checkpoint knows"},
		"ended entries": {func(r *storage.Rebuild) {
			r.Spec.TTL = time.Nanosecond
			r.Now = func() time.Time { return time.Now().Add(time.Hour) }
			r.Target.Committed = r.Now()
		}, "map[]", 6, ""},
		"another's":      {func(r *storage.Rebuild) { r.Partition = 0; r.Target = nil }, "map[]", 0, ""},
		"old checkpoint": {func(r *storage.Rebuild) { r.Target.Committed = at.Add(-time.Hour * 24) }, "map[a:9 d:1 e:9]", 9, "compacted away"},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := rebuildRig(t)
			c.change(&r)
			sys := memory.New("kafka", b)
			defer sys.Close()
			var last storage.Progress
			got, err := r.Run(t.Context(), sys, func(p storage.Progress) { last = p })
			if err != nil {
				t.Fatal(err)
			}
			if s := fmt.Sprint(rebuilt(t, r.Dir)); s != c.want {
				t.Errorf("it holds %s, want %s", s, c.want)
			}
			if got.To != c.to || !strings.Contains(got.Warning, c.warning) || (c.warning == "") != (got.Warning == "") {
				t.Errorf("%+v", got)
			}
			if c.to > 0 && (last.Next != c.to || last.Records != c.to) {
				t.Errorf("progress %+v", last)
			}
			if n := len(b.Records("log", 1)); n != 9 {
				t.Errorf("the changelog has %d records now, had 9", n)
			}
		})
	}
}

func TestRebuildThatFails(t *testing.T) {
	b, r := rebuildRig(t)
	sys := memory.New("kafka", b)
	defer sys.Close()
	r.Partition = 2
	if _, err := r.Run(t.Context(), sys, nil); err == nil || !strings.Contains(err.Error(), "only 2 partitions") {
		t.Errorf("%v", err)
	}
	r.Partition = 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Dir = filepath.Join(t.TempDir(), "file", "task")
	if err := os.WriteFile(filepath.Dir(r.Dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(ctx, sys, nil); err == nil || !strings.Contains(err.Error(), `store "s"`) {
		t.Errorf("%v", err)
	}
}
