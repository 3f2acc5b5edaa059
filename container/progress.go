package container

import (
	"maps"
	"sync"
	"sync/atomic"

	"heddle/container/events"
)

// flow counts what went through one stream in the whole container.
type flow struct{ messages, bytes atomic.Int64 }

// flows are the flows of a container, by system.stream.
type flows struct {
	mu        sync.Mutex
	ins, outs map[string]*flow
}

func (f *flows) in(name string) *flow  { return f.of(&f.ins, name) }
func (f *flows) out(name string) *flow { return f.of(&f.outs, name) }

func (f *flows) of(m *map[string]*flow, name string) *flow {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *m == nil {
		*m = map[string]*flow{}
	}
	fl := (*m)[name]
	if fl == nil {
		fl = &flow{}
		(*m)[name] = fl
	}
	return fl
}

func (f *flows) snapshot() (in, out map[string]events.Flow) {
	f.mu.Lock()
	ins, outs := maps.Clone(f.ins), maps.Clone(f.outs)
	f.mu.Unlock()
	return counted(ins), counted(outs)
}

func counted(m map[string]*flow) map[string]events.Flow {
	out := make(map[string]events.Flow, len(m))
	for name, fl := range m {
		out[name] = events.Flow{Messages: fl.messages.Load(), Bytes: fl.bytes.Load()}
	}
	return out
}

// progress is what a container has done so far.
func (c *Container) progress() events.Progress {
	p := events.Progress{Container: c.opts.Model.ID, At: c.now(), Windows: c.counts.windows.Value(), Commits: c.counts.commits.Value()}
	p.In, p.Out = c.flows.snapshot()
	for _, t := range c.tasks {
		for _, l := range t.lanes {
			p.Lag += max(l.end.Load()-l.position.Load(), 0)
		}
	}
	return p
}
