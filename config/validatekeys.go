package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ownSpaces are the first parts of the keys that we or Samza know; keys
// outside are the user's own.
var ownSpaces = []string{
	"app", "cluster-manager", "heddle", "job", "metrics", "serializers", "stores", "streams", "systems", "task", "yarn",
}

func (v *validator) keys() {
	var later, old []string
	meaningless := map[string][]string{} // by what to do instead
	for _, key := range v.c.Keys() {
		if strings.HasPrefix(key, "yarn.") && !v.yarn {
			continue
		}
		d, s := match(key)
		if d == nil {
			v.unknown(key)
			continue
		}
		value, _ := v.c.Get(key)
		switch d.Status {
		case NoMeaning:
			meaningless[d.instead] = append(meaningless[d.instead], key)
			continue
		case NotYet:
			if !d.isDefault(value) {
				v.fail(errorAt(v.c, key, "remove the key", "known to Samza, not supported yet (%s)", firstSentence(d.Doc)))
			}
			continue
		case NoEffectYet:
			if !d.isDefault(value) {
				later = append(later, key)
			}
		}
		if s.old {
			old = append(old, key)
		}
		if err := d.check(value); err != nil {
			v.fail(typeError(v.c, key, value, err))
		}
	}
	for _, instead := range slices.Sorted(maps.Keys(meaningless)) {
		what := "these keys have no meaning here and are ignored"
		if instead != "" {
			what += "; " + instead
		}
		v.name(what, meaningless[instead])
	}
	v.name("these keys have no effect yet", later)
	v.spellings(old)
}

// name warns once of several keys.
func (v *validator) name(what string, keys []string) {
	switch len(keys) {
	case 0:
	case 1:
		v.warn(keys[0], "%s", strings.NewReplacer("these keys have", "this key has", "are ignored", "is ignored").Replace(what))
	default:
		v.warnings = append(v.warnings, Warning{Text: what + ": " + strings.Join(keys, ", ")})
	}
}

// spellings warns once of keys in an old spelling, and of each that is set in
// both.
func (v *validator) spellings(old []string) {
	var pairs []string
	for _, key := range old {
		d, s := match(key)
		now := d.pattern.fill(s.params(key))
		if _, ok := v.c.Get(now); ok {
			v.warn(key, "the old spelling of %s, which is set too and wins", now)
			continue
		}
		pairs = append(pairs, key+" is now "+now)
	}
	if len(pairs) > 0 {
		v.warnings = append(v.warnings, Warning{Text: "old spellings, still read: " + strings.Join(pairs, ", ")})
	}
}

// params are the names that stand in the placeholders' places.
func (s spelling) params(key string) []string {
	if s.re == nil {
		return nil
	}
	return s.re.FindStringSubmatch(key)[1:]
}

func (v *validator) unknown(key string) {
	space, _, dotted := strings.Cut(key, ".")
	near := nearestKey(key)
	own := dotted && slices.Contains(ownSpaces, space)
	hint := ""
	if near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	switch {
	case space == "heddle":
		v.fail(errorAt(v.c, key, hint, "there is no such key"))
	case own && near != "":
		v.warn(key, "unknown; %s", hint)
	case own:
		v.warn(key, "unknown")
	case near != "" && distance(key, near, 3) < 3:
		// A key of the user's own, unless it is a slip of the pen.
		v.warn(key, "unknown, and taken for a key of your own; %s", hint)
	}
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}
