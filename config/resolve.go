package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Resolved is one key of a job as `run-job validate` shows it.
type Resolved struct {
	// Key is the key as it is set, or the declared name of a default.
	Key string `json:"key"`
	// Value is the value in effect, secrets masked; empty for a default that
	// only a service can tell.
	Value string `json:"value"`
	// Origin is where it came from.
	Origin string `json:"origin"`
	// Default: nobody set it.
	Default bool `json:"default"`
	// Known: the key is declared; others are the user's own.
	Known bool `json:"known"`
	// Note is a status (no meaning here, ...), the current spelling of an old
	// one, or how a default is worked out; empty for most.
	Note string `json:"note,omitempty"`
}

// Resolve returns every key that is set and every default in effect, patterns
// filled in for the systems, streams and stores that there are, sorted by key.
func Resolve(c Config) []Resolved {
	yarn := onYARN(c)
	var out []Resolved
	for _, key := range c.Keys() {
		value, _ := c.Get(key)
		r := Resolved{Key: key, Value: redact(key, value), Origin: c.Origin(key).String()}
		d, s := match(key)
		switch {
		case strings.HasPrefix(key, "yarn.") && !yarn:
			r.Known, r.Note = d != nil, "not read without YARN"
		case d != nil:
			r.Known, r.Note = true, string(d.Status)
			if s.old {
				r.Note = "old spelling of " + d.pattern.fill(s.params(key))
			}
		}
		out = append(out, r)
	}
	fill := newResolver(c)
	for _, d := range registry {
		if d.Status != Works || d.passThrough || d.Default == "" || strings.HasPrefix(d.Name, "yarn.") && !yarn {
			continue
		}
		for _, params := range fill.instances(d) {
			if _, _, set := d.lookup(c, params); set || fill.setElsewhere(d, params) {
				continue
			}
			r := Resolved{Key: d.pattern.fill(params), Origin: OriginDefault, Default: true, Known: true}
			if r.Value = d.fixed; r.Value == "" {
				r.Value, r.Note = workedOut(c, r.Key), parsePattern(d.Default).fill(params)
			}
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Resolved) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// workedOut is a default that follows from other keys.
func workedOut(c Config, key string) string {
	var s string
	switch key {
	case JobDefaultSystem.d.Name:
		s = DefaultSystem(c)
	case JobCoordinatorSystem.d.Name:
		s, _ = CoordinatorSystem(c)
	case TaskCheckpointSystem.d.Name:
		s, _ = CheckpointSystem(c)
	case JobChangelogSystem.d.Name:
		s, _ = ChangelogSystem(c)
	}
	return s
}

// resolver knows what a configuration's patterns are filled with.
type resolver struct {
	c       Config
	streams map[string]SystemStream // by id
	names   map[string][]string     // by section
}

func newResolver(c Config) resolver {
	r := resolver{c: c, streams: map[string]SystemStream{}}
	for _, id := range StreamIDs(c) {
		r.streams[id] = SystemStream{systemOfID(c, id, ""), topicOfID(c, id)}
	}
	if inputs, err := Inputs(c); err == nil {
		for _, in := range inputs {
			r.streams[StreamID(c, in.System, in.Stream)] = in
		}
	}
	r.names = map[string][]string{
		sectionSystem:  Systems(c),
		sectionStream:  slices.Collect(maps.Keys(r.streams)),
		sectionStore:   StoreNames(c),
		sectionMetrics: MetricsReporters.Of(c),
	}
	return r
}

// instances returns the names for a declaration's placeholders: none for a
// plain key, one for each system, stream id, store or reporter.
func (r resolver) instances(d *Decl) [][]string {
	holes := 0
	for _, p := range d.pattern.parts {
		if p.hole {
			holes++
		}
	}
	switch holes {
	case 0:
		return [][]string{nil}
	case 1:
		var out [][]string
		for _, n := range r.names[d.Section] {
			out = append(out, []string{n})
		}
		return out
	}
	return nil
}

// setElsewhere tells whether one of a stream property's further places is set,
// so that its default is not in effect.
func (r resolver) setElsewhere(d *Decl, params []string) bool {
	if len(d.places) == 0 || len(params) != 1 {
		return false
	}
	s := r.streams[params[0]]
	last := "systems." + s.System + strings.TrimPrefix(d.Name, "streams.<id>")
	for _, p := range append(slices.Clone(d.places), last) {
		if r.c.has(parsePattern(p).fill([]string{s.System, s.Stream})) {
			return true
		}
	}
	return false
}
