package container

import (
	"sync"

	"heddle/config"
	"heddle/metrics"
	"heddle/task"
)

// measures are the registries of one container's process.
type measures struct {
	opts metrics.Options
	own  *metrics.Registry

	mu    sync.Mutex
	tasks map[string]*metrics.Registry
	// added is told of registries made later.
	added []func(*metrics.Registry)
}

func newMeasures(c config.Config, id string) *measures {
	o := metrics.Options{NoTimers: !config.MetricsTimer.Of(c)}
	m := &measures{opts: o, own: metrics.New("samza-container-"+id, o), tasks: map[string]*metrics.Registry{}}
	metrics.AddProcess(m.own)
	return m
}

// of gives the registry of a task, made at its first use; that of the
// container for "".
func (m *measures) of(name string) task.Metrics {
	if name == "" {
		return m.own
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tasks[name]
	if r == nil {
		r = metrics.New("TaskName-"+name, m.opts)
		m.tasks[name] = r
		for _, f := range m.added {
			f(r)
		}
	}
	return r
}

// each calls f for every registry, now and later.
func (m *measures) each(f func(*metrics.Registry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.own)
	for _, name := range sortedKeys(m.tasks) {
		f(m.tasks[name])
	}
	m.added = append(m.added, f)
}

// snapshot is the container's own registry, group to name to value.
func (m *measures) snapshot() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, g := range m.own.Snapshot().Groups {
		values := map[string]any{}
		for _, v := range g.Metrics {
			if t, ok := v.Value.(metrics.Timing); ok {
				values[v.Name] = float64(t.Average.Nanoseconds())
			} else {
				values[v.Name] = v.Value
			}
		}
		out[g.Name] = values
	}
	return out
}
