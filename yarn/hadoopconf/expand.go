package hadoopconf

import "strings"

// maxExpansions is Hadoop's Configuration.MAX_SUBST: so many references are
// replaced in one value.
const maxExpansions = 20

// expand replaces ${...} in a value as Hadoop's Configuration.substituteVars
// does: environment variables (${env.NAME}, with -default or :-default), Java's
// system properties, then keys of the configuration. The first reference
// without a value ends the expansion and stays as it is; a value that refers to
// itself stays as it was written. Where Hadoop throws (more than 20
// replacements), the value stays as it was written, too.
func (c *Conf) expand(raw string) string {
	value := raw
	for range maxExpansions {
		start, end := findReference(value)
		if start < 0 {
			return value
		}
		reference := value[start:end]
		replacement, ok := c.resolve(reference[2 : len(reference)-1])
		if !ok {
			return value
		}
		if strings.Contains(replacement, reference) {
			return raw
		}
		value = value[:start] + replacement + value[end:]
	}
	if start, _ := findReference(value); start < 0 {
		return value
	}
	return raw
}

func (c *Conf) resolve(name string) (string, bool) {
	if v, ok := strings.CutPrefix(name, "env."); ok && v != "" {
		if value, ok := c.resolveEnv(v); ok {
			return value, true
		}
	} else if value, ok := c.env.Properties[name]; ok {
		return value, true
	}
	e, ok := c.lookup(name)
	return e.value, ok
}

// resolveEnv reads NAME, NAME-default (for an unset variable) and NAME:-default
// (for an unset or empty one).
func (c *Conf) resolveEnv(v string) (string, bool) {
	get := c.env.LookupEnv
	if get == nil {
		get = func(string) (string, bool) { return "", false }
	}
	dash := strings.IndexByte(v, '-')
	if dash < 0 {
		return get(v)
	}
	name, fallback := v[:dash], v[dash+1:]
	name, orEmpty := strings.CutSuffix(name, ":")
	value, ok := get(name)
	if !ok || orEmpty && value == "" {
		return fallback, true
	}
	return value, true
}

// findReference returns the bounds of the first innermost ${name}, -1 if there
// is none. A name has no blank, $ or }, and is not empty.
func findReference(s string) (start, end int) {
	for i := 0; i < len(s); {
		open := strings.Index(s[i:], "${")
		if open < 0 {
			break
		}
		start = i + open
		stop := strings.IndexAny(s[start+2:], " $}")
		if stop < 0 {
			break
		}
		end = start + 2 + stop
		if s[end] == '}' && stop > 0 {
			return start, end + 1
		}
		i = end
		if s[end] != '$' {
			i++
		}
	}
	return -1, -1
}
