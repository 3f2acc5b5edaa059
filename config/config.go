package config

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Config is an immutable merged set of properties, each with the place it came
// from. The zero value is empty and ready to use. A key whose value is empty
// is not in it: an empty value in a later layer removes the key.
//
// A Config is encoded in JSON as one object of strings, as Samza's JobModel
// and its environment variables hold it; places do not travel.
type Config struct {
	m     map[string]property
	known *facts
}

// facts are worked out of a Config at most once, however many streams ask.
type facts struct {
	systems func() []string
	def     func() string
	ids     func() []string
	byTopic func() map[SystemStream]string
}

func newConfig(m map[string]property) Config {
	c := Config{m: m, known: &facts{}}
	c.known.systems = sync.OnceValue(func() []string { return findSystems(c) })
	c.known.def = sync.OnceValue(func() string { return findDefaultSystem(c) })
	c.known.ids = sync.OnceValue(func() []string { return findStreamIDs(c) })
	c.known.byTopic = sync.OnceValue(func() map[SystemStream]string { return findTopics(c) })
	return c
}

// facts of the zero Config are those of an empty one.
func (c Config) facts() *facts {
	if c.known == nil {
		return newConfig(nil).known
	}
	return c.known
}

type property struct {
	value  string
	origin Origin
}

// Origin says where a property's value came from.
type Origin struct {
	// Source is a path or URI as it was given, or one of OriginOverride,
	// OriginDefault, OriginDerived, OriginGiven, or "rewriter <name>".
	Source string
	// Line is the line of the key in a file, from 1; 0 where there are no lines.
	Line int
}

// Sources that are no files.
const (
	// OriginOverride marks a value given on the command line.
	OriginOverride = "--config"
	// OriginDefault marks a value that nobody set.
	OriginDefault = "default"
	// OriginDerived marks a value that the program worked out (Config.With).
	OriginDerived = "derived"
	// OriginGiven marks a value of a Config made from a map (New).
	OriginGiven = "given"
)

// String is the short form for messages: "job.properties:12", "--config",
// "default".
func (o Origin) String() string {
	if o.Line == 0 {
		return o.Source
	}
	return fmt.Sprintf("%s:%d", path.Base(o.Source), o.Line)
}

// New makes a Config of a map, as tests and JobModel JSON do. Keys with empty
// values are left out.
func New(m map[string]string) Config {
	return Config{}.layer(m, Origin{Source: OriginGiven})
}

// Get returns the value of exactly this key, and whether it is set. It knows
// nothing of defaults and old spellings: use a Key for those.
func (c Config) Get(key string) (string, bool) {
	p, ok := c.m[key]
	return p.value, ok
}

func (c Config) has(key string) bool {
	_, ok := c.m[key]
	return ok
}

// Len is the number of keys that are set.
func (c Config) Len() int { return len(c.m) }

// Keys returns the keys that are set, sorted.
func (c Config) Keys() []string { return slices.Sorted(maps.Keys(c.m)) }

// Map returns a copy of keys and values, secrets included.
func (c Config) Map() map[string]string {
	m := make(map[string]string, len(c.m))
	for k, p := range c.m {
		m[k] = p.value
	}
	return m
}

// Subset returns the keys that begin with prefix; with strip, without it, and
// then without a key that is nothing but the prefix.
func (c Config) Subset(prefix string, strip bool) Config {
	m := map[string]property{}
	for k, p := range c.m {
		rest, ok := strings.CutPrefix(k, prefix)
		switch {
		case !ok || strip && rest == "":
		case strip:
			m[rest] = p
		default:
			m[k] = p
		}
	}
	return newConfig(m)
}

// below yields the keys that begin with prefix, without it.
func (c Config) below(prefix string) iter.Seq2[string, property] {
	return func(yield func(string, property) bool) {
		for k, p := range c.m {
			if rest, ok := strings.CutPrefix(k, prefix); ok && rest != "" && !yield(rest, p) {
				return
			}
		}
	}
}

// With lays m over c, with origin OriginDerived. An empty value removes its
// key.
func (c Config) With(m map[string]string) Config {
	return c.layer(m, Origin{Source: OriginDerived})
}

func (c Config) layer(m map[string]string, o Origin) Config {
	n := make(map[string]property, len(c.m)+len(m))
	maps.Copy(n, c.m)
	for k, v := range m {
		if v == "" {
			delete(n, k)
		} else {
			n[k] = property{v, o}
		}
	}
	return newConfig(n)
}

// Without returns c without these keys.
func (c Config) Without(keys ...string) Config {
	n := maps.Clone(c.m)
	for _, k := range keys {
		delete(n, k)
	}
	return newConfig(n)
}

// Origin says where the key's value came from; for a key that is not set,
// OriginDefault.
func (c Config) Origin(key string) Origin {
	if p, ok := c.m[key]; ok {
		return p.origin
	}
	return Origin{Source: OriginDefault}
}

// Equal tells whether both hold the same keys and values, wherever they came
// from.
func (c Config) Equal(o Config) bool {
	return maps.EqualFunc(c.m, o.m, func(a, b property) bool { return a.value == b.value })
}

// MarshalJSON writes one object of strings, sorted by key. Secrets are in it:
// apply Redacted or WithoutSecrets first where others can read it.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.Map()) }

// UnmarshalJSON reads one object of strings.
func (c *Config) UnmarshalJSON(b []byte) error {
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("config: expected a JSON object of strings: %w", err)
	}
	*c = New(m)
	return nil
}
