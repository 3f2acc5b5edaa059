package config

import (
	"cmp"
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
	for _, d := range registry {
		if d.Status != Works || d.passThrough || d.Default == "" || strings.HasPrefix(d.Name, "yarn.") && !yarn {
			continue
		}
		for _, params := range d.instances(c) {
			if _, _, set := d.lookup(c, params); set || d.setElsewhere(c, params) {
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

// instances returns the names for a declaration's placeholders: none for a
// plain key, one for each system, stream id or store.
func (d *Decl) instances(c Config) [][]string {
	holes := 0
	for _, p := range d.pattern.parts {
		if p.hole {
			holes++
		}
	}
	var names []string
	switch {
	case holes == 0:
		return [][]string{nil}
	case holes > 1:
		return nil
	case d.Section == sectionSystem:
		names = Systems(c)
	case d.Section == sectionStream:
		names = StreamIDs(c)
		if inputs, err := Inputs(c); err == nil {
			for _, in := range inputs {
				if id := StreamID(c, in.System, in.Stream); !slices.Contains(names, id) {
					names = append(names, id)
				}
			}
		}
	case d.Section == sectionStore:
		names = StoreNames(c)
	case d.Section == sectionMetrics:
		names = MetricsReporters.Of(c)
	}
	var out [][]string
	for _, n := range names {
		out = append(out, []string{n})
	}
	return out
}

// setElsewhere tells whether one of a stream property's further places is set,
// so that its default is not in effect.
func (d *Decl) setElsewhere(c Config, params []string) bool {
	if len(d.places) == 0 || len(params) != 1 {
		return false
	}
	system, topic := systemOfID(c, params[0], ""), topicOfID(c, params[0])
	if inputs, err := Inputs(c); err == nil {
		for _, in := range inputs {
			if StreamID(c, in.System, in.Stream) == params[0] {
				system, topic = in.System, in.Stream
			}
		}
	}
	last := "systems." + system + strings.TrimPrefix(d.Name, "streams.<id>")
	for _, p := range append(slices.Clone(d.places), last) {
		if _, ok := c.Get(parsePattern(p).fill([]string{system, topic})); ok {
			return true
		}
	}
	return false
}
