package storage

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"heddle/metrics"
	"heddle/task"
)

// goldenMetrics are the metrics of the store "counts" that a task of Samza 1.8.0
// sent: by group, the name without the store's.
func goldenMetrics(t *testing.T) map[string]map[string]any {
	t.Helper()
	b, err := os.ReadFile("../metrics/testdata/samza-1.8.0/topic-metrics.json")
	check(t, err)
	var messages []struct {
		Metrics map[string]map[string]any `json:"metrics"`
	}
	check(t, json.Unmarshal(b, &messages))
	out := map[string]map[string]any{}
	for _, m := range messages {
		for group, values := range m.Metrics {
			if !strings.HasPrefix(group, "org.apache.samza.storage.") {
				continue
			}
			out[group] = map[string]any{}
			for name, v := range values {
				out[group][strings.TrimPrefix(name, "counts-")] = v
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	t.Fatal("there are no metrics of stores")
	return nil
}

// notOurs tells of metrics that Samza has and a store here has not: it deletes one
// key at a time or by PutAll, its engine is asked for one key at a time, sizes are
// not spread over classes, and the engine's own names are tried in its package.
func notOurs(name string) bool {
	return strings.HasPrefix(name, "delete-all") || name == "deletealls" || name == "getalls" ||
		strings.Contains(name, "-histogram_") || strings.HasPrefix(name, "rocksdb.")
}

// TestMetricsAreSamzas does what the task did whose metrics Samza sent, and holds
// names and numbers to them.
func TestMetricsAreSamzas(t *testing.T) {
	spec := loggedSpec("Counts") // Samza writes names in small letters
	spec.ValueSerde, spec.CacheEntries, spec.WriteBatch = "integer", 1000, 500
	r := newRig(spec)
	registry := metrics.New("TaskName-Partition 1", metrics.Options{})
	r.options = func(o *Options) { o.Metrics = registry }
	r.start(t)
	s := r.store(t, "Counts")
	for i := range 350 {
		key := fmt.Sprintf("thirteen-%04d", i%7)
		var n int32
		_, err := s.GetInto(key, &n)
		check(t, err)
		check(t, s.Put(key, n+1))
	}
	check(t, r.commit(t, allSteps))
	got := map[string]map[string]any{}
	for _, g := range registry.Snapshot().Groups {
		got[g.Name] = map[string]any{}
		for _, m := range g.Metrics {
			got[g.Name][strings.TrimPrefix(m.Name, "counts-")] = m.Value
		}
	}
	// What depends on how often Samza committed, and how fast it was.
	varies := func(name string) bool {
		return strings.HasSuffix(name, "-ns") || name == "flushes" || name == "checkpoints" || name == "putalls"
	}
	want := goldenMetrics(t)
	for _, group := range slices.Sorted(maps.Keys(want)) {
		for _, name := range slices.Sorted(maps.Keys(want[group])) {
			v, there := got[group][name]
			switch {
			case notOurs(name):
			case !there:
				t.Errorf("%s has no %s", group, name)
			case !varies(name) && fmt.Sprint(v) != fmt.Sprint(want[group][name]):
				t.Errorf("%s %s is %v, want %v", group, name, v, want[group][name])
			}
		}
	}
}

// TestCallsAreTimed: one of many gets and puts, and each call that is rarer.
func TestCallsAreTimed(t *testing.T) {
	r := newRig(loggedSpec("counts"))
	registry := metrics.New("TaskName-Partition 1", metrics.Options{})
	clock := now
	r.options = func(o *Options) {
		o.Metrics = registry
		o.Now = func() time.Time { clock = clock.Add(time.Millisecond); return clock }
	}
	r.start(t)
	s := r.store(t, "counts")
	for i := range 2*timedOneOf + 1 {
		check(t, s.Put(fmt.Sprint(i), int64(i)))
		_, err := s.Get("1")
		check(t, err)
	}
	check(t, s.PutAll([]task.Entry{{Key: "1"}, {Key: "2"}}))
	_, err := s.GetAll([]any{"1", "2"})
	check(t, err)
	for range s.All() {
		break
	}
	for range s.Prefix("nobody has it") {
		t.Error("somebody has it")
	}
	snap, err := s.Snapshot(nil, nil)
	check(t, err)
	check(t, snap.Close())
	for name, times := range map[string]int64{"put-ns": 3, "get-ns": 3, "put-all-ns": 1, "get-all-ns": 1, "all-ns": 1, "range-ns": 1, "snapshot-ns": 1} {
		found := false
		for _, g := range registry.Snapshot().Groups {
			for _, m := range g.Metrics {
				if g.Name != groupEngine || m.Name != "counts-"+name {
					continue
				}
				found = true
				timing, ok := m.Value.(metrics.Timing)
				if !ok || timing.Count != times || timing.Sum < time.Duration(times)*time.Millisecond {
					t.Errorf("%s: %+v, want it timed %d times", name, m.Value, times)
				}
			}
		}
		if !found {
			t.Errorf("there is no %s", name)
		}
	}
}
