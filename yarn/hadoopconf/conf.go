package hadoopconf

import (
	"maps"
	"slices"
	"strings"
)

// Conf is a Hadoop configuration, read once and not changed after; safe for
// concurrent use.
type Conf struct {
	dirs    []string
	entries map[string]entry
	env     Environment
}

// entry is one key's value as it stands in the file.
type entry struct {
	value  string
	set    bool // false: only marked final, without a value
	final  bool
	origin string // "file:line", or the built-in file's name
}

// Get returns the value of the key with ${...} expanded, as Hadoop's
// Configuration.get does (blanks around it are kept), and whether there is one.
// A name that was renamed in Hadoop (fs.default.name) finds the value under
// either name.
func (c *Conf) Get(key string) (string, bool) {
	e, ok := c.lookup(key)
	if !ok {
		return "", false
	}
	return c.expand(e.value), true
}

func (c *Conf) lookup(key string) (entry, bool) {
	if now, ok := renamed[key]; ok {
		key = now
	}
	e, ok := c.entries[key]
	return e, ok && e.set
}

// Origin tells where the key's value was written: "/etc/hadoop/conf/yarn-site.xml:12",
// or "yarn-default.xml (built in)"; "" for a key without a value.
func (c *Conf) Origin(key string) string {
	e, _ := c.lookup(key)
	return e.origin
}

// Keys returns the keys that have a value, sorted.
func (c *Conf) Keys() []string {
	keys := slices.Collect(maps.Keys(c.entries))
	keys = slices.DeleteFunc(keys, func(k string) bool { return !c.entries[k].set })
	slices.Sort(keys)
	return keys
}

// Dirs returns the directories that were read, for error texts.
func (c *Conf) Dirs() []string { return slices.Clone(c.dirs) }

// set applies one property as Hadoop's Configuration.loadProperty does: what
// was once final stays, also against a later value in the same file.
func (c *Conf) set(key string, e entry) {
	if now, ok := renamed[key]; ok {
		key = now
	}
	if c.entries[key].final {
		return
	}
	if !e.set {
		// <final> without a value pins whatever was there before.
		old := c.entries[key]
		old.final = old.final || e.final
		e = old
	}
	if !e.set && !e.final {
		return
	}
	c.entries[key] = e
}

// where says, for error texts, which key and file a value is from.
func (c *Conf) where(key string) string {
	if o := c.Origin(key); o != "" {
		return key + " (" + o + ")"
	}
	return key + " (not set in " + strings.Join(c.dirs, ", ") + ")"
}

// Configured tells whether a file sets the key: false for a built-in default.
func (c *Conf) Configured(key string) bool {
	e, ok := c.lookup(key)
	return ok && !strings.HasSuffix(e.origin, builtInSuffix)
}
