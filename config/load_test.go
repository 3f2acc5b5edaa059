package config

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadMergesLayersInOrder(t *testing.T) {
	first := write(t, "first.properties", "a=1\nb=1\nc=1\nd=1\nempty=\n")
	second := write(t, "second.properties", "b=2\nc=\nd=2\n")
	c, warnings, err := Load(t.Context(), LoadOptions{
		Paths:     []string{first, "file://" + second},
		Overrides: []string{"d=3", "e=x=y", "b=", " f =1"},
	})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if d := cmp.Diff(map[string]string{"a": "1", "d": "3", "e": "x=y", "f": "1"}, c.Map()); d != "" {
		t.Error(d)
	}
	for key, want := range map[string]string{"a": "first.properties:1", "d": "--config", "c": "default"} {
		if got := c.Origin(key).String(); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
}

// Samza 1.5 and later have no --config-path; the file is named by a key.
func TestLoadReadsThePropertiesLoadersFile(t *testing.T) {
	loader := write(t, "loader.properties", "a=loader\nb=loader\n")
	other := write(t, "other.properties", "b=other\n")
	c, _, err := Load(t.Context(), LoadOptions{
		Paths: []string{other},
		Overrides: []string{
			"job.config.loader.factory=org.apache.samza.config.loaders.PropertiesConfigLoaderFactory",
			"job.config.loader.properties.path=" + loader,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := c.Get("a"); a != "loader" {
		t.Errorf("a=%s", a)
	}
	if b, _ := c.Get("b"); b != "other" {
		t.Errorf("b=%s", b)
	}
}

func TestLoadFaults(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/job.properties":
			_, _ = w.Write([]byte("job.name=remote\n"))
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	c, _, err := Load(t.Context(), LoadOptions{Paths: []string{server.URL + "/job.properties"}})
	if v, _ := c.Get("job.name"); v != "remote" || err != nil || c.Origin("job.name").String() != "job.properties:1" {
		t.Errorf("by HTTP: %q from %s, %v", v, c.Origin("job.name"), err)
	}

	dir := t.TempDir()
	bad := write(t, "bad.properties", "a=1\nb=\\u00zz\n")
	for _, tt := range []struct {
		name string
		o    LoadOptions
		code int
		want string
	}{
		{"missing", LoadOptions{Paths: []string{dir + "/no.properties"}}, 2, "no.properties does not exist; looked for " + dir},
		{"folder", LoadOptions{Paths: []string{dir}}, 2, "is a folder"},
		{"malformed", LoadOptions{Paths: []string{bad}}, 2, `bad.properties:2: malformed escape \u00zz`},
		{"override", LoadOptions{Overrides: []string{"task.window.ms"}}, 2, `--config: expected key=value, not "task.window.ms"`},
		{"override without key", LoadOptions{Overrides: []string{"=1"}}, 2, `--config: expected key=value`},
		{"scheme", LoadOptions{Paths: []string{"hdfs://nn/job.properties"}}, 2, `no way to read "hdfs"`},
		{"not found", LoadOptions{Paths: []string{server.URL + "/none"}}, 2, "does not exist: the server answered 404"},
		{"broken server", LoadOptions{Paths: []string{server.URL + "/broken"}}, 3, "the server answered 500"},
		{"no server", LoadOptions{Paths: []string{"http://user:hidden@127.0.0.1:1/x"}}, 3, "cannot fetch the configuration http://user:********@127.0.0.1:1/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Load(context.Background(), tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err.Error())
			}
			var e interface{ ExitCode() int }
			if !errors.As(err, &e) || e.ExitCode() != tt.code {
				t.Errorf("exit code of %T, want %d", err, tt.code)
			}
		})
	}
}

func TestLocalPath(t *testing.T) {
	for in, want := range map[string]string{
		"job.properties":             "job.properties",
		"/a/b.properties":            "/a/b.properties",
		"file:///a/b.properties":     "/a/b.properties",
		"file:/a/b.properties":       "/a/b.properties",
		"file://localhost/a/b":       "/a/b",
		"file://conf/job.properties": "conf/job.properties",
		"file:job.properties":        "job.properties",
		"file:///a%20b":              "/a b",
	} {
		if got, ok := LocalPath(in); got != want || !ok {
			t.Errorf("LocalPath(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"http://h/x", "hdfs://nn/x"} {
		if _, ok := LocalPath(in); ok {
			t.Errorf("%s is taken for a local path", in)
		}
	}
}

func TestBeside(t *testing.T) {
	path := write(t, "job.properties", "p=data.jsonl\nq=/abs\n")
	c, _, err := Load(t.Context(), LoadOptions{Paths: []string{path}, Overrides: []string{"r=data.jsonl"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"p": filepath.Join(filepath.Dir(path), "data.jsonl"), "q": "/abs", "r": "data.jsonl"} {
		v, _ := c.Get(key)
		if got := c.Beside(key, v); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// An address from an environment variable that is not set is empty, and the
// embedded Kafka is not what its writer meant.
func TestLoadWarnsOfEmptyAddresses(t *testing.T) {
	const key = "systems.kafka.producer.bootstrap.servers"
	file := filepath.Join(t.TempDir(), "job.properties")
	for _, tt := range []struct {
		name, content string
		over          []string
		warns         bool
	}{
		{"nothing written", "", nil, false},
		{"an empty override", "", []string{key + "="}, true},
		{"an empty override of an address", key + "=h:1\n", []string{key + "="}, true},
		{"an empty value in the file", key + "=\n", nil, true},
		{"filled by a later layer", key + "=\n", []string{key + "=h:1"}, false},
		{"embedded on purpose", key + "=\n", []string{key + "=embedded"}, false},
		{"another key has the address", "", []string{key + "=", "systems.kafka.consumer.bootstrap.servers=h:1"}, false},
		{"another key says embedded", "", []string{"systems.kafka.consumer.bootstrap.servers=", key + "=embedded"}, false},
		{"a system that is no Kafka", "", []string{"systems.kafka.samza.factory=memory", key + "="}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte("systems.kafka.samza.factory=kafka\n"+tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, warnings, err := Load(t.Context(), LoadOptions{Paths: []string{file}, Overrides: tt.over})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(warnings) == 1 && strings.Contains(warnings[0].String(), key+": it is empty"); got != tt.warns || len(warnings) > 1 {
				t.Errorf("warnings %v", warnings)
			}
		})
	}
}
