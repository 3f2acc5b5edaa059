package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// embeddedJob is a job on an embedded Kafka of its own, as run-job hands it to
// a program.
type embeddedJob struct {
	t        testing.TB
	settings map[string]string
	systems  Systems
	// topics are the names in Kafka of those that are called otherwise there.
	topics map[string]string
}

// topic is a topic's name in Kafka.
func (j *embeddedJob) topic(name string) string {
	if there, ok := j.topics[name]; ok {
		return there
	}
	return name
}

func newEmbeddedJob(t testing.TB, settings map[string]string) *embeddedJob {
	t.Helper()
	j := &embeddedJob{t: t, settings: map[string]string{
		"job.name": "local", "task.class": "t", "task.inputs": "kafka.in",
		"systems.kafka.samza.factory": "kafka", "systems.kafka.samza.offset.default": "oldest",
		"systems.kafka.samza.msg.serde": "string", "systems.kafka.samza.key.serde": "string",
		"heddle.home": t.TempDir(),
	}}
	for k, v := range settings {
		j.settings[k] = v
	}
	s, err := OpenSystems(config.New(j.settings), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	j.systems = s
	t.Cleanup(func() { s.Close() })
	return j
}

func (j *embeddedJob) create(topic string, partitions int32) {
	j.t.Helper()
	admin, err := j.systems["kafka"].Admin()
	if err != nil {
		j.t.Fatal(err)
	}
	if err := admin.Create(j.t.Context(), system.StreamSpec{Name: j.topic(topic), Partitions: partitions, ReplicationFactor: 1}); err != nil {
		j.t.Fatal(err)
	}
}

func (j *embeddedJob) produce(topic string, records ...system.Record) {
	j.t.Helper()
	p, err := j.systems["kafka"].Producer()
	if err != nil {
		j.t.Fatal(err)
	}
	defer p.Close()
	o, err := p.Outbox("test")
	if err != nil {
		j.t.Fatal(err)
	}
	for _, r := range records {
		r.Stream = j.topic(topic)
		if err := o.Send(r); err != nil {
			j.t.Fatal(err)
		}
	}
	if err := o.Flush(j.t.Context()); err != nil {
		j.t.Fatal(err)
	}
}

func (j *embeddedJob) read(topic string) []task.Message {
	j.t.Helper()
	admin, err := j.systems["kafka"].Admin()
	if err != nil {
		j.t.Fatal(err)
	}
	ends, err := admin.Offsets(j.t.Context(), j.topic(topic))
	if err != nil {
		j.t.Fatal(err)
	}
	var out []task.Message
	for p := range ends {
		if _, err := j.systems["kafka"].Read(j.t.Context(), j.topic(topic), int32(p), system.Oldest, system.End, func(ms []task.Message) error {
			out = append(out, ms...)
			return nil
		}); err != nil {
			j.t.Fatal(err)
		}
	}
	return out
}

// run runs the job as "PROGRAM --run-local FILE ..." and gives the exit code
// and what was printed.
func (j *embeddedJob) run(tasks Tasks, signals <-chan os.Signal, flags ...string) (code int, stdout, stderr string) {
	j.t.Helper()
	b, err := json.Marshal(j.settings)
	if err != nil {
		j.t.Fatal(err)
	}
	file := filepath.Join(j.t.TempDir(), "job.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		j.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	p := &program{
		tasks: tasks, name: "test", args: append([]string{"--run-local", file}, flags...), getenv: func(string) string { return "" },
		stdout: &out, stderr: &errs, signals: signals, now: time.Now,
	}
	code = p.run()
	return code, out.String(), errs.String()
}

// count counts the values of its messages in a logged store, and sends the
// totals when it ends.
type count struct{ seen map[string]bool }

func (c *count) Process(ctx task.Context, m *task.Message) error {
	c.seen[string(m.ValueBytes)] = true
	return countWord(ctx, m)
}

func (c *count) Stop(ctx task.Context) error {
	s, err := ctx.Store("counts")
	if err != nil {
		return err
	}
	for e := range s.All() {
		if e.Err != nil {
			return e.Err
		}
		if !c.seen[e.Key.(string)] {
			continue
		}
		if err := ctx.Send(task.Output{Stream: "kafka.out", Key: e.Key, Value: fmt.Sprint(e.Value)}); err != nil {
			return err
		}
	}
	return nil
}

// A whole job in one process, twice: the second run goes on where the first
// stopped, with its state.
func TestRunLocal(t *testing.T) {
	j := newEmbeddedJob(t, map[string]string{
		"job.container.count":   "2",
		"stores.counts.factory": "memory", "stores.counts.changelog": "kafka.counts",
		"stores.counts.key.serde": "string", "stores.counts.msg.serde": "long",
	})
	j.create("in", 4)
	j.create("out", 1)
	tasks := Tasks{"t": func() task.Task { return &count{seen: map[string]bool{}} }}
	words := []string{"a", "b", "c", "d", "e"}
	want := map[string]int{}
	for round := range 3 {
		var records []system.Record
		for i := range 1000 {
			w := words[(i*i+round)%len(words)]
			want[w]++
			records = append(records, system.Record{PartitionKey: w, Key: []byte(w), Value: []byte(w)})
		}
		j.produce("in", records...)
		code, stdout, stderr := j.run(tasks, nil, "--until-caught-up")
		if code != 0 {
			t.Fatalf("round %d: exit code %d\n%s%s", round, code, stdout, stderr)
		}
		if !strings.Contains(stdout, "1,000 messages read") {
			t.Errorf("round %d: stdout does not say what was done:\n%s", round, stdout)
		}
		got := map[string]string{}
		for _, m := range j.read("out") {
			got[string(m.KeyBytes)] = string(m.ValueBytes)
		}
		for w, n := range want {
			if got[w] != fmt.Sprint(n) {
				t.Errorf("round %d: %s counted %s times, want %d", round, w, got[w], n)
			}
		}
	}
}

func TestRunLocalStopsOnSignal(t *testing.T) {
	j := newEmbeddedJob(t, nil)
	j.create("in", 2)
	j.create("out", 1)
	j.produce("in", system.Record{Value: []byte("x")})
	signals := make(chan os.Signal, 1)
	tasks := Tasks{"t": calls{
		process: func(ctx task.Context, m *task.Message) error {
			signals <- os.Interrupt
			return ctx.Send(task.Output{Stream: "kafka.out", Value: "seen"})
		},
		stop: func(ctx task.Context) error { return ctx.Send(task.Output{Stream: "kafka.out", Value: "last"}) },
	}.factory()}
	code, stdout, stderr := j.run(tasks, signals)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	var got []string
	for _, m := range j.read("out") {
		got = append(got, string(m.ValueBytes))
	}
	slices.Sort(got)
	if fmt.Sprint(got) != "[last last seen]" {
		t.Errorf("out: %v", got)
	}
}

// A program whose run-job is gone ends as on a signal, and names run-job for
// what is wrong: its own file has a name that nobody gave.
func TestRunLocalEndsWithRunJob(t *testing.T) {
	j := newEmbeddedJob(t, nil)
	j.create("in", 1)
	j.create("out", 1)
	j.produce("in", system.Record{Value: []byte("x")})
	file := filepath.Join(t.TempDir(), "job.json")
	b, err := json.Marshal(j.settings)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	tasks := Tasks{"t": calls{
		process: func(ctx task.Context, m *task.Message) error {
			close(gone)
			return ctx.Send(task.Output{Stream: "kafka.out", Value: "seen"})
		},
		stop: func(ctx task.Context) error {
			return ctx.Send(task.Output{Stream: "kafka.out", Value: "last"})
		},
	}.factory()}
	run := func() (int, string) {
		var out, errs bytes.Buffer
		p := &program{
			tasks: tasks, name: "a_path_heddle_job", args: []string{"--run-local", file}, getenv: func(string) string { return "" },
			stdout: &out, stderr: &errs, orphaned: gone, now: time.Now,
		}
		return p.run(), errs.String()
	}
	if code, errs := run(); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var got []string
	for _, m := range j.read("out") {
		got = append(got, string(m.ValueBytes))
	}
	if fmt.Sprint(got) != "[seen last]" {
		t.Errorf("out: %v", got)
	}
	tasks["t"] = calls{init: func(task.Context) error { return errors.New("no first words") }}.factory()
	gone = make(chan struct{})
	if code, errs := run(); code != 1 || !strings.HasPrefix(errs, "run-job: ") || !strings.Contains(errs, "no first words") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestRunLocalErrors(t *testing.T) {
	tasks := Tasks{"b": calls{}.factory(), "t": calls{}.factory()}
	for name, tt := range map[string]struct {
		settings map[string]string
		code     int
		says     []string
	}{
		"no such topic":        {nil, 2, []string{"kafka.in", "does not exist", "topic create"}},
		"task not registered":  {map[string]string{"task.class": "x.Y"}, 2, []string{"task.class", `"x.Y"`, "b, t"}},
		"no task.class":        {map[string]string{"task.class": ""}, 2, []string{"task.class", "not set", "b, t"}},
		"Kafka is not there":   {map[string]string{"systems.kafka.producer.bootstrap.servers": "127.0.0.1:1"}, 3, []string{"127.0.0.1:1", "bootstrap.servers"}},
		"serde does not exist": {map[string]string{"systems.kafka.samza.msg.serde": "yaml"}, 2, []string{"yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "Kafka is not there" && testing.Short() {
				t.Skip("waits for the connection")
			}
			j := newEmbeddedJob(t, tt.settings)
			if name == "serde does not exist" {
				j.create("in", 1)
			}
			code, stdout, stderr := j.run(tasks, nil, "--until-caught-up")
			if code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, stdout)
			}
			first, _, _ := strings.Cut(stderr, "\n")
			for _, s := range tt.says {
				if !strings.Contains(first, s) {
					t.Errorf("the first line on stderr does not say %q: %s", s, first)
				}
			}
		})
	}
}

func TestProgramAnswers(t *testing.T) {
	ask := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		p := &program{tasks: Tasks{"b": calls{}.factory(), "a": calls{}.factory()}, name: "prog", sideInputs: map[string]task.SideInput{"f": nil}, args: args,
			getenv: func(string) string { return "" }, stdout: &out, stderr: &errs, now: time.Now}
		return p.run(), out.String(), errs.String()
	}
	if code, out, _ := ask("--list-tasks"); code != 0 || out != "{\"engines\":[\"memory\",\"pebble\"],\"sideInputs\":[\"f\"],\"tasks\":[\"a\",\"b\"]}\n" {
		t.Errorf("--list-tasks: %d %q", code, out)
	}
	if code, out, _ := ask("--help"); code != 0 || !strings.Contains(out, "a, b") || !strings.Contains(out, "Example:") {
		t.Errorf("--help: %d %q", code, out)
	}
	for _, args := range [][]string{{}, {"--nonsense"}, {"word"}, {"--run-local", "/does/not/exist"}} {
		if code, _, errs := ask(args...); code != 2 || errs == "" {
			t.Errorf("%v: %d %q, want 2 and what is wrong", args, code, errs)
		}
	}
}

// A snapshot reporter writes the registries of the container and of its tasks
// at the end, too.
func TestMetricsGoToTheirStream(t *testing.T) {
	j := newEmbeddedJob(t, map[string]string{
		"metrics.reporters": "snap", "metrics.reporter.snap.class": "org.apache.samza.metrics.reporter.MetricsSnapshotReporterFactory",
		"metrics.reporter.snap.stream": "kafka.metrics",
		"streams.metrics.samza.system": "kafka", "streams.metrics.samza.msg.serde": "json",
	})
	j.create("in", 1)
	j.create("metrics", 1)
	j.produce("in", system.Record{Value: []byte("x")}, system.Record{Value: []byte("y")})
	if code, stdout, stderr := j.run(Tasks{"t": calls{}.factory()}, nil, "--until-caught-up"); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	got := map[string]float64{}
	for _, m := range j.read("metrics") {
		var v struct {
			Header struct {
				Source  string `json:"source"`
				JobName string `json:"job-name"`
			} `json:"header"`
			Metrics map[string]map[string]any `json:"metrics"`
		}
		if err := json.Unmarshal(m.ValueBytes, &v); err != nil {
			t.Fatal(err)
		}
		if v.Header.JobName != "local" {
			t.Errorf("header %+v", v.Header)
		}
		if n, ok := v.Metrics[taskMetrics]["messages-actually-processed"].(float64); ok {
			got[v.Header.Source] = n
		}
		if n, ok := v.Metrics[containerMetrics]["process-envelopes"].(float64); ok {
			got[v.Header.Source] = n
		}
	}
	if got["TaskName-Partition 0"] != 2 || got["samza-container-0"] != 2 {
		t.Errorf("reported: %v", got)
	}
}

// TestLocalMemory: a job in one process has the memory of all its containers, unless
// a Kafka lives in it or the environment says something else.
func TestLocalMemory(t *testing.T) {
	const other = 1 << 40
	before := debug.SetMemoryLimit(-1)
	defer func() {
		theLadder.Store(nil)
		debug.SetMemoryLimit(before)
	}()
	settings := map[string]string{
		"systems.k.samza.factory": "kafka", "systems.k.producer.bootstrap.servers": "127.0.0.1:1",
		"cluster-manager.container.memory.mb": "50",
	}
	for _, tt := range []struct {
		name, key, value, environment string
		want                          int64
	}{
		{name: "two containers", want: 2 * 50 << 20 / 100 * memoryShare},
		{name: "the environment wins", environment: "GOMEMLIMIT", want: other},
		{name: "without steps", key: "cluster-manager.container.memory.mb", value: "1000", environment: "GOGC", want: 2 * 1000 << 20 / 100 * memoryShare},
		{name: "the first step", key: "cluster-manager.container.memory.mb", value: "1000", want: firstStep},
		{name: "a Kafka in the process", key: "systems.k.producer.bootstrap.servers", value: "embedded", want: other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			debug.SetMemoryLimit(other)
			c := config.New(settings)
			if tt.key != "" {
				c = c.With(map[string]string{tt.key: tt.value})
			}
			j := &localJob{getenv: func(name string) string {
				if name == tt.environment {
					return "set"
				}
				return ""
			}}
			if err := j.limitMemory(c, 2); err != nil {
				t.Fatal(err)
			}
			if got := debug.SetMemoryLimit(-1); got != tt.want {
				t.Errorf("a limit of %d, want %d", got, tt.want)
			}
		})
	}
}
