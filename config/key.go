package config

import (
	"slices"
	"strings"
)

// Key is one declared key with values of type T, or a pattern of keys: its
// <placeholders> are filled by the params of each call, in order.
type Key[T any] struct {
	d    *Decl
	def  T
	kind kind[T]
}

// Decl is what is known of a key whatever its type. Declarations and
// Reference list them.
type Decl struct {
	// Name is the key, or a pattern: <x> stands for one name, <x...> for a name
	// that may hold dots.
	Name string
	// Type names the type ("integer", "milliseconds", "true or false", ...).
	Type string
	// Default is the default as a file would have it, or words when it is
	// worked out; empty when there is none.
	Default string
	// Doc is what the key means, in sentences.
	Doc string
	// Section is the heading it stands under in the reference.
	Section string
	// Old holds spellings of older versions, that are read when the key itself
	// is not set.
	Old []string
	// Else holds other keys that are asked, in order, before the default.
	Else []string
	// Status says what the key does here.
	Status Status
	// Secret: the value is never shown.
	Secret bool
	// Required: a job cannot do without it.
	Required bool
	// Ours: the key is Heddle's own, not Samza's.
	Ours bool
	// Kind is the kind of things that the value names (Aliases), if it does.
	Kind Kind

	fixed       string   // the default as a file would have it; empty when it is worked out
	places      []string // where a stream's property is looked up after streams.<id>
	instead     string   // of one without meaning: what to do instead
	passThrough bool     // the key ends in a setting of another program
	pattern     pattern
	check       func(string) error
	isDefault   func(string) bool
}

// Status says what a key that Samza knows does here.
type Status string

// The statuses of a key.
const (
	// Works: the key has Samza's meaning, or is our own.
	Works Status = ""
	// NoMeaning: nothing here corresponds to it (JVM flags, ZooKeeper); it is
	// named in one warning.
	NoMeaning Status = "no meaning here"
	// NoEffectYet: what it tunes is not built yet, and results are the same
	// without it; it is named in one warning.
	NoEffectYet Status = "no effect yet"
	// NotYet: it would change what the job does, and is not built yet; any
	// value but the default is an error.
	NotYet Status = "not supported yet"
)

// Name is the key's name with the params filled in for its placeholders.
func (k Key[T]) Name(params ...string) string { return k.d.pattern.fill(params) }

// Default is the value when nothing is set.
func (k Key[T]) Default() T { return k.def }

// IsSet tells whether the key, an old spelling of it, or one of the keys asked
// in its place is set.
func (k Key[T]) IsSet(c Config, params ...string) bool {
	_, _, ok := k.lookup(c, params)
	return ok
}

// Found returns the spelling under which the key is set; the key's own name if
// it is not.
func (k Key[T]) Found(c Config, params ...string) string {
	if name, _, ok := k.lookup(c, params); ok {
		return name
	}
	return k.Name(params...)
}

// Get returns the value, or the default when nothing is set. The error, an
// *Error, names the place, the key and what was expected.
func (k Key[T]) Get(c Config, params ...string) (T, error) {
	name, value, ok := k.lookup(c, params)
	if !ok {
		return k.def, nil
	}
	v, err := k.kind.parse(value)
	if err != nil {
		return k.def, typeError(c, name, value, err)
	}
	return v, nil
}

// Of returns the value of a configuration that passed Validate: the default
// when nothing is set, and for a value that Validate would have refused.
func (k Key[T]) Of(c Config, params ...string) T {
	v, _ := k.Get(c, params...)
	return v
}

func (k Key[T]) lookup(c Config, params []string) (name, value string, ok bool) {
	return k.d.lookup(c, params)
}

// lookup asks the key, its old spellings and the keys in its place.
func (d *Decl) lookup(c Config, params []string) (name, value string, ok bool) {
	name = d.pattern.fill(params)
	if value, ok = c.Get(name); ok {
		return name, value, true
	}
	for _, other := range slices.Concat(d.Old, d.Else) {
		// The contract: yarn.* is not even read unless the job runs on YARN.
		if strings.HasPrefix(other, "yarn.") && !onYARN(c) {
			continue
		}
		n := parsePattern(other).fill(params)
		if value, ok = c.Get(n); ok {
			return n, value, true
		}
	}
	return name, "", false
}

func typeError(c Config, name, value string, err error) *Error {
	shown := "the value"
	if !IsSecret(name) {
		shown = quote(value)
	}
	return errorAt(c, name, "", "%s is not valid: %v", shown, err)
}

// registry holds every declaration, in order of declaration.
var registry []*Decl

// spec is the part of a declaration that has no type.
type spec struct {
	doc      string
	def      string // words for a default that is worked out
	instead  string // of one without meaning: what to do instead
	old      []string
	els      []string
	status   Status
	secret   bool
	required bool
	kind     Kind
}

func declare[T any](section, name string, k kind[T], def T, s spec) Key[T] {
	d := &Decl{
		Name: name, Type: k.name, Default: s.def, Doc: s.doc, Section: section, Old: s.old, Else: s.els,
		Status: s.status, Secret: s.secret, Required: s.required, Kind: s.kind,
		Ours:        strings.HasPrefix(name, "heddle."),
		instead:     s.instead,
		passThrough: strings.HasSuffix(name, "<setting...>") || strings.HasSuffix(name, "<setting>"),
		pattern:     parsePattern(name),
		check: func(v string) error {
			_, err := k.parse(v)
			return err
		},
		isDefault: func(v string) bool {
			p, err := k.parse(v)
			return err == nil && k.format(p) == k.format(def)
		},
	}
	if d.Default == "" {
		d.Default = k.format(def)
		d.fixed = d.Default
	}
	registry = append(registry, d)
	return Key[T]{d, def, k}
}

// Declarations returns every declared key: sections in the reference's order,
// names sorted within.
func Declarations() []Decl {
	out := make([]Decl, 0, len(registry))
	for _, s := range sections {
		from := len(out)
		for _, d := range registry {
			if d.Section == s.name {
				out = append(out, *d)
			}
		}
		slices.SortFunc(out[from:], func(a, b Decl) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}
