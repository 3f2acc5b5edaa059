package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// LoadOptions says what Load reads.
type LoadOptions struct {
	// Paths are properties files in order, later ones win: paths, file:// URIs,
	// http:// and https:// URLs.
	Paths []string
	// Overrides are "key=value" in order; they win over files. An empty value
	// removes the key.
	Overrides []string
	// Client fetches URLs; nil: a client with a time-out of 30 s.
	Client *http.Client
}

// Fetch limits.
const (
	fetchTimeout = 30 * time.Second
	maxFileBytes = 16 << 20
)

// Load reads the layers and merges them: files in order, then overrides. A
// later value wins; an empty one removes the key. The errors are of type
// *Error, but for a server that cannot be reached.
//
// As Samza from 1.5 on does, a file named by job.config.loader.properties.path
// in the overrides is read before all others.
func Load(ctx context.Context, o LoadOptions) (Config, []Warning, error) {
	over, err := parseOverrides(o.Overrides)
	if err != nil {
		return Config{}, nil, err
	}
	paths := slices.Clone(o.Paths)
	if p, ok := over.Get("job.config.loader.properties.path"); ok {
		paths = slices.Insert(paths, 0, p)
	}
	var c Config
	var warnings []Warning
	var layers []Layer
	for _, p := range paths {
		raw, err := readSource(ctx, o.Client, p)
		if err != nil {
			return Config{}, warnings, err
		}
		layer, w, err := Parse(shownURL(p), raw)
		warnings = append(warnings, w...)
		if err != nil {
			return Config{}, warnings, err
		}
		c = merge(c, layer)
		layers = append(layers, layer)
	}
	c = merge(c, over)
	return c, append(warnings, emptyAddresses(c, append(layers, over))...), nil
}

// emptyAddresses warns of Kafka addresses that were written down and are empty,
// as one from an unset environment variable is: what follows, the embedded
// Kafka, is hardly what was meant.
func emptyAddresses(c Config, layers []Layer) (out []Warning) {
	warned := map[string]bool{}
	for _, l := range slices.Backward(layers) {
		for _, key := range slices.Sorted(maps.Keys(l.m)) {
			system, ok := strings.CutPrefix(key, "systems.")
			system, _, found := strings.Cut(system, ".")
			if !ok || !found || l.m[key].value != "" || warned[system] || !strings.HasSuffix(key, ".bootstrap.servers") || !Embedded(c, system) {
				continue
			}
			if servers, _ := Bootstrap(c, system); len(servers) > 0 {
				continue // another key says "embedded"
			}
			warned[system] = true
			out = append(out, Warning{Key: key, Origin: l.m[key].origin, Text: "it is empty (is an environment variable unset?): the embedded Kafka of this machine is used; write embedded to mean it"})
		}
	}
	return out
}

// Layer is one set of properties before they are merged; unlike a Config it
// keeps keys with an empty value, which remove the key from what lies below.
type Layer struct {
	m map[string]property
}

// Get returns the key's value in this layer.
func (l Layer) Get(key string) (string, bool) {
	p, ok := l.m[key]
	return p.value, ok
}

// Parse reads a properties file's bytes. source is the path or URI for
// messages.
func Parse(source string, raw []byte) (Layer, []Warning, error) {
	entries, warnings, err := parseProperties(source, raw)
	if err != nil {
		return Layer{}, warnings, err
	}
	l := Layer{map[string]property{}}
	for _, e := range entries {
		l.m[e.key] = property{e.value, Origin{source, e.line}}
	}
	return l, warnings, nil
}

// ParseFile reads one file or URI as a Config of its own.
func ParseFile(ctx context.Context, path string) (Config, []Warning, error) {
	return Load(ctx, LoadOptions{Paths: []string{path}})
}

func merge(c Config, l Layer) Config {
	n := make(map[string]property, len(c.m)+len(l.m))
	for k, p := range c.m {
		n[k] = p
	}
	for k, p := range l.m {
		if p.value == "" {
			delete(n, k)
		} else {
			n[k] = p
		}
	}
	return newConfig(n)
}

func parseOverrides(kv []string) (Layer, error) {
	l := Layer{map[string]property{}}
	for _, s := range kv {
		key, value, ok := strings.Cut(s, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return l, &Error{Origin: Origin{Source: OriginOverride}, Problem: fmt.Sprintf("expected key=value, not %s", quote(s))}
		}
		l.m[key] = property{value, Origin{Source: OriginOverride}}
	}
	return l, nil
}

// LocalPath returns the path of a plain path or a file URI (file:///x,
// file:/x, file://localhost/x), and whether it is one.
func LocalPath(pathOrURI string) (string, bool) {
	if !strings.HasPrefix(pathOrURI, "file:") {
		return pathOrURI, !strings.Contains(pathOrURI, "://")
	}
	u, err := url.Parse(pathOrURI)
	switch {
	case err != nil || u.Opaque != "":
		return strings.TrimPrefix(pathOrURI, "file:"), true
	case u.Host != "" && u.Host != "localhost":
		// file://job.properties: two slashes and a relative path, as people write it.
		return u.Host + u.Path, true
	}
	return u.Path, true
}

// Beside returns a path that a key holds: an absolute one as it is, a relative
// one from the folder of the properties file in which the key stands; from the
// current folder when the key came from elsewhere (--config, HTTP). A file URI
// counts as its path.
func (c Config) Beside(key, path string) string {
	path, local := LocalPath(path)
	if !local || path == "" || filepath.IsAbs(path) {
		return path
	}
	o := c.Origin(key)
	file, local := LocalPath(o.Source)
	if o.Line == 0 || !local {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func readSource(ctx context.Context, client *http.Client, source string) ([]byte, error) {
	if path, ok := LocalPath(source); ok {
		return readLocal(source, path)
	}
	scheme, _, _ := strings.Cut(source, "://")
	shown := shownURL(source)
	if scheme != "http" && scheme != "https" {
		return nil, &Error{
			Problem: fmt.Sprintf("cannot read %s: no way to read %s", shown, quote(scheme)),
			Hint:    "give a path, or a URI with file, http or https",
		}
	}
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, &Error{Problem: fmt.Sprintf("cannot read %s: not a URL", shown)}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &FetchError{URL: shown, Err: err}
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, &Error{Problem: fmt.Sprintf("the properties file %s does not exist: the server answered %s", shown, resp.Status)}
	default:
		return nil, &FetchError{URL: shown, Err: fmt.Errorf("the server answered %s", resp.Status)}
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxFileBytes+1))
	if err != nil {
		return nil, &FetchError{URL: shown, Err: err}
	}
	if len(raw) > maxFileBytes {
		return nil, tooLarge(shown)
	}
	return raw, nil
}

// shownURL is a source for messages, a URL's password masked.
func shownURL(source string) string { return urlPassword.ReplaceAllString(source, "${1}"+Mask+"${2}") }

func readLocal(source, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var raw []byte
		if raw, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1)); err == nil {
			if len(raw) > maxFileBytes {
				return nil, tooLarge(source)
			}
			return raw, nil
		}
	}
	e := &Error{Problem: fmt.Sprintf("cannot read %s: %v", source, cause(err))}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		abs, _ := filepath.Abs(path)
		e.Problem = fmt.Sprintf("the properties file %s does not exist", source)
		e.Hint = "looked for " + abs
	case errors.Is(err, syscall.EISDIR):
		e.Problem = fmt.Sprintf("%s is a folder, not a properties file", source)
	}
	return nil, e
}

// cause is the system's own words, without the path that stands in the message
// already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func tooLarge(source string) error {
	return &Error{Problem: fmt.Sprintf("%s is larger than %d MiB: it cannot be a properties file", source, maxFileBytes>>20)}
}

// FetchError: a properties file's server could not be reached (exit code 3).
type FetchError struct {
	URL string
	Err error
}

// Error names the URL and the cause.
func (e *FetchError) Error() string {
	err := e.Err
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Sprintf("cannot fetch the configuration %s: %v", e.URL, err)
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Err }

// ExitCode is 3: the contract's code for a service that cannot be reached.
func (e *FetchError) ExitCode() int { return 3 }
