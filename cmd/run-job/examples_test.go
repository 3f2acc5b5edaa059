package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inFolder copies an example's files to a folder of the test.
func inFolder(t *testing.T, example string) string {
	t.Helper()
	from := filepath.Join("..", "..", "examples", example)
	dir := t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext != ".properties" && ext != ".jsonl" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lastByKey reads a topic by the command, and keeps the last value of each key.
func lastByKey(t *testing.T, dir, topic, file string) map[string]string {
	t.Helper()
	last := map[string]string{}
	for key, values := range allByKey(t, dir, topic, file) {
		last[key] = values[len(values)-1]
	}
	return last
}

// allByKey reads a topic by the command.
func allByKey(t *testing.T, dir, topic, file string) map[string][]string {
	t.Helper()
	stdout, stderr, code := start(t, dir, "topic", "tail", topic, "--until-end", "--json", "--config-path="+file)
	if code != 0 {
		t.Fatalf("topic tail: exit code %d: %s", code, stderr)
	}
	all := map[string][]string{}
	for line := range strings.Lines(stdout) {
		var m struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[m.Key] = append(all[m.Key], string(m.Value))
	}
	return all
}

// expected is the example's expected output, by the field that is its key.
func expected(t *testing.T, dir, field string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "expected-output.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		key, ok := fields[field].(string)
		if !ok {
			t.Fatalf("%s has no %q", line, field)
		}
		want[key] = line
	}
	return want
}

func equal(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d keys, want %d: %v", what, len(got), len(want), got)
	}
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s: %q is %s, want %s", what, key, got[key], w)
		}
	}
}

// runs runs an example's job to the end of its input.
func runs(t *testing.T, dir, file string, more ...string) {
	t.Helper()
	args := append([]string{"--config-path=" + file, "--until-caught-up", "--config", "heddle.task.program=" + filepath.Join(binaries, "run-container")}, more...)
	if _, stderr, code := start(t, dir, args...); code != 0 {
		t.Fatalf("%q: exit code %d; stderr:\n%s", args, code, stderr)
	}
}

// times is the same totals after n times the same input: what was first stays
// first.
func times(t *testing.T, n float64, totals map[string]string) map[string]string {
	t.Helper()
	var scale func(v any) any
	scale = func(v any) any {
		switch v := v.(type) {
		case float64:
			return n * v
		case []any:
			for i := range v {
				v[i] = scale(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = scale(v[k])
			}
		}
		return v
	}
	out := map[string]string{}
	for key, text := range totals {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(scale(v))
		if err != nil {
			t.Fatal(err)
		}
		out[key] = string(b)
	}
	return out
}

// TestStatefulExamples runs what their READMEs show, on the embedded Kafka with
// stores on disk. Each run counts the same input once more, over state that is
// new, used again, restored from the changelog, or held by another engine.
func TestStatefulExamples(t *testing.T) {
	for _, e := range []struct {
		name, field, topic string
		files              []string // of the jobs; the last one has the store
		job, store         string
	}{
		{"groupby", "user_id", "kafka.PageViewCount", []string{"repartition.properties", "count.properties"}, "pageview-count-1", "counts"},
		{"topn", "category", "kafka.TopProducts", []string{"topn.properties"}, "top-products-1", "sales"},
	} {
		t.Run(e.name, func(t *testing.T) {
			if testing.Short() && e.name != "topn" {
				t.Skip("takes some seconds")
			}
			t.Parallel()
			dir := inFolder(t, e.name)
			file := e.files[len(e.files)-1]
			want := expected(t, dir, e.field)
			state := filepath.Join(dir, ".heddle", "state", "heddle-v1", e.job)
			all := []struct {
				what   string
				before func() error
				more   []string
			}{
				{"new", nil, nil},
				{"over the state on disk", func() error { _, err := os.Stat(state); return err }, nil},
				{"restored from the changelog", func() error { return os.RemoveAll(state) }, nil},
				{"in two processes", nil, []string{"--config", "job.factory.class=process", "--config", "job.container.count=2"}},
				{"in memory", nil, []string{"--config", "stores." + e.store + ".factory=memory"}},
				{"over state on disk that is behind", func() error { _, err := os.Stat(state); return err }, nil},
			}
			if testing.Short() {
				all = all[:3]
			}
			for i, run := range all {
				if run.before != nil {
					if err := run.before(); err != nil {
						t.Fatalf("%s: %v", run.what, err)
					}
				}
				for _, before := range e.files[:len(e.files)-1] {
					runs(t, dir, before)
				}
				runs(t, dir, file, run.more...)
				equal(t, run.what, times(t, 1, lastByKey(t, dir, e.topic, file)), times(t, float64(i+1), want))
			}
		})
	}
}

// TestEnrichExample runs what its README shows: each order comes out once for each
// time that it went in, whatever became of the local state meanwhile.
func TestEnrichExample(t *testing.T) {
	t.Parallel()
	dir := inFolder(t, "enrich")
	file := "enrich.properties"
	want := times(t, 1, expected(t, dir, "order")) // in the order in which the command shows fields
	state := filepath.Join(dir, ".heddle", "state", "heddle-v1", "enrich-orders-1", "users")
	all := []struct {
		what   string
		before func() error
		more   []string
		shown  string // what is said of the users; 24 come with each start
	}{
		{"new", nil, nil, "users filled for 4 tasks from 24 messages of kafka.Users"},
		{"over the state on disk", func() error { _, err := os.Stat(state); return err }, nil, "users filled for 4 tasks from 24 messages"},
		{"without the state on disk", func() error { return os.RemoveAll(state) }, nil, "users filled for 4 tasks from 72 messages"},
		{"in memory", nil, []string{"--config", "stores.users.factory=memory"}, "users filled for 4 tasks from 96 messages"},
		{"in two processes", nil, []string{"--config", "job.factory.class=process", "--config", "job.container.count=2"}, ""},
	}
	if testing.Short() {
		all = all[:2]
	}
	for i, run := range all {
		if run.before != nil {
			if err := run.before(); err != nil {
				t.Fatalf("%s: %v", run.what, err)
			}
		}
		args := append([]string{"--config-path=" + file, "--until-caught-up", "--config", "heddle.task.program=" + filepath.Join(binaries, "run-container")}, run.more...)
		stdout, stderr, code := start(t, dir, args...)
		if code != 0 {
			t.Fatalf("%s: exit code %d; stderr:\n%s", run.what, code, stderr)
		}
		if !strings.Contains(stdout, run.shown) || run.shown != "" && !strings.Contains(stdout, "rates filled for all tasks of 1 container") {
			t.Errorf("%s: it does not show %q:\n%s", run.what, run.shown, stdout)
		}
		got, times := map[string]string{}, map[string]int{}
		for key, values := range allByKey(t, dir, "kafka.EnrichedOrders", file) {
			times[key] = len(values)
			for _, v := range values {
				if got[key] = v; v != want[key] {
					t.Errorf("%s: order %s came as %s, want %s", run.what, key, v, want[key])
				}
			}
		}
		equal(t, run.what, got, want)
		for key, n := range times {
			if n != i+1 {
				t.Errorf("%s: order %s went in %d times and came out %d times", run.what, key, i+1, n)
			}
		}
	}
}
