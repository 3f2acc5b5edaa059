package metrics

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heddle/task"
)

// Registry holds the measurements of one source (Samza: MetricsRegistryMap).
// It may be used from any goroutine; adding to a counter takes no lock.
type Registry struct {
	source string
	o      Options

	mu          sync.RWMutex
	instruments map[id]any // each of one of the kinds below
}

// Options of a Registry.
type Options struct {
	// Now is the clock of the timers; nil: time.Now.
	Now func() time.Time
	// NoTimers makes all timers 0 (Samza: metrics.timer.enabled=false).
	NoTimers bool
}

type id struct{ group, name string }

var _ task.Metrics = (*Registry)(nil)

// New makes an empty registry. The source is Samza's: "samza-container-0",
// "TaskName-Partition 0", "ApplicationMaster".
func New(source string, o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Registry{source: source, o: o, instruments: map[id]any{}}
}

// Source is the name given to New.
func (r *Registry) Source() string { return r.source }

// Counter gives the counter of that name.
func (r *Registry) Counter(group, name string) task.Counter {
	return get(r, group, name, "counter", func() *counter { return new(counter) })
}

// Gauge gives the gauge of that name.
func (r *Registry) Gauge(group, name string) task.Gauge {
	return get(r, group, name, "gauge", func() *gauge { return new(gauge) })
}

// Timer gives the timer of that name. Samza's end in "-ns", which snapshots
// are in.
func (r *Registry) Timer(group, name string) task.Timer {
	return get(r, group, name, "timer", func() *timer { return &timer{now: r.o.Now, off: r.o.NoTimers} })
}

// Text gives a gauge of text, for offsets and the like.
func (r *Registry) Text(group, name string) *Text {
	return get(r, group, name, "text", func() *Text { return new(Text) })
}

// GaugeFunc makes a gauge whose value is asked when it is shown. A later one
// replaces it.
func (r *Registry) GaugeFunc(group, name string, value func() float64) {
	get(r, group, name, "func", func() *gaugeFunc {
		g := new(gaugeFunc) // with its function: a snapshot may come at once
		g.f.Store(&value)
		return g
	}).f.Store(&value)
}

// get finds or makes a measurement. One that exists under the name as another
// kind is left alone; the new one gets its kind behind its name.
func get[T any](r *Registry, group, name, kind string, make func() T) T {
	r.mu.RLock()
	i := r.instruments[id{group, name}]
	r.mu.RUnlock()
	if v, ok := i.(T); ok {
		return v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		i := r.instruments[id{group, name}]
		if i == nil {
			i = make()
			r.instruments[id{group, name}] = i
		}
		if v, ok := i.(T); ok {
			return v
		}
		name += "-" + kind
	}
}

type counter struct{ n atomic.Int64 }

func (c *counter) Add(n int64)  { c.n.Add(n) }
func (c *counter) Value() int64 { return c.n.Load() }

type gauge struct{ bits atomic.Uint64 }

func (g *gauge) Set(v float64)  { g.bits.Store(math.Float64bits(v)) }
func (g *gauge) Value() float64 { return math.Float64frombits(g.bits.Load()) }

type gaugeFunc struct {
	f atomic.Pointer[func() float64]
}

// Text is a gauge whose value is text.
type Text struct{ v atomic.Pointer[string] }

// Set sets the value.
func (t *Text) Set(v string) { t.v.Store(&v) }

// Value is the last value set; "" if there was none.
func (t *Text) Value() string {
	if v := t.v.Load(); v != nil {
		return *v
	}
	return ""
}

// Snapshot is what a registry held at one moment, groups and names sorted.
type Snapshot struct {
	Source string
	Groups []Group
}

// Group is the measurements of one group.
type Group struct {
	Name    string
	Metrics []Metric
}

// Metric is one measurement. Value is an int64 for counters, a float64 for
// gauges, a string for texts, and a Timing for timers.
type Metric struct {
	Name  string
	Value any
}

// Timing is what a timer holds.
type Timing struct {
	// Average is the mean of the last 300 s.
	Average time.Duration
	// Count and Sum are those since the start.
	Count int64
	Sum   time.Duration
}

// Snapshot gives the present values.
func (r *Registry) Snapshot() Snapshot {
	type named struct {
		id
		kind any
	}
	r.mu.RLock()
	all := make([]named, 0, len(r.instruments))
	for k, i := range r.instruments {
		all = append(all, named{k, i})
	}
	r.mu.RUnlock()
	slices.SortFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.name, b.name))
	})
	s := Snapshot{Source: r.source}
	for _, n := range all {
		m := Metric{Name: n.name}
		switch k := n.kind.(type) {
		case *counter:
			m.Value = k.Value()
		case *gauge:
			m.Value = k.Value()
		case *gaugeFunc:
			m.Value = (*k.f.Load())()
		case *Text:
			m.Value = k.Value()
		case *timer:
			m.Value = k.timing()
		}
		if len(s.Groups) == 0 || s.Groups[len(s.Groups)-1].Name != n.group {
			s.Groups = append(s.Groups, Group{Name: n.group})
		}
		g := &s.Groups[len(s.Groups)-1]
		g.Metrics = append(g.Metrics, m)
	}
	return s
}
