package config

import "strings"

func (v *validator) preloads() {
	for _, p := range Preloads(v.c) {
		if _, err := SystemKind(v.c, p.Stream.System); err != nil {
			v.fail(errorAt(v.c, p.ConfigKey, "", "the system %s is not defined; there are: %s",
				quote(p.Stream.System), strings.Join(Systems(v.c), ", ")))
		}
	}
}

// Preload is a file whose lines are appended to a stream at every start.
type Preload struct {
	Stream SystemStream
	// Path is the file's, as the key has it.
	Path string
	// KeyField is the field of JSON lines that becomes the key; may be empty.
	KeyField string
	// ConfigKey is the key that says so.
	ConfigKey string
}

// Preloads returns heddle.preload.*, sorted by stream.
func Preloads(c Config) []Preload {
	var out []Preload
	for _, key := range c.Keys() {
		d, s := match(key)
		if d != HeddlePreload.d {
			continue
		}
		p := s.params(key)
		path, _ := c.Get(key)
		out = append(out, Preload{
			Stream: Physical(c, p[0], p[1]), Path: strings.TrimSpace(path),
			KeyField: HeddlePreloadStreamKey.Of(c, p[0], p[1]), ConfigKey: key,
		})
	}
	return out
}
