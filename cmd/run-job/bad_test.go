package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/container"
	"heddle/system/kafka"
)

// binaries are run-job and, beside it as in a package, run-container.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "run-job-test-*")
	if err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "heddle/cmd/run-job", "heddle/cmd/run-container")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	binaries = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const goodJob = `job.name=j
task.class=latency.CountLatency
task.inputs=kafka.in
systems.kafka.samza.factory=kafka
systems.kafka.samza.msg.serde=json
systems.kafka.samza.offset.default=oldest
heddle.preload.kafka.in=in.jsonl
`

// start runs the built command in dir.
func start(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "run-job"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HEDDLE_CHECKOUT=", "HADOOP_CONF_DIR=", "YARN_CONF_DIR=", "XDG_CONFIG_HOME="+dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("run-job %q did not end\n%s", args, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestBadInput holds each wrong input to one line, first on stderr, that says
// what and where, to the contract's exit code, and to leaving no topic behind.
func TestBadInput(t *testing.T) {
	without := func(key string) string {
		var b strings.Builder
		for line := range strings.Lines(goodJob) {
			if !strings.HasPrefix(line, key+"=") {
				b.WriteString(line)
			}
		}
		return b.String()
	}
	run := []string{"--config-path=job.properties"}
	with := func(args ...string) []string { return append([]string{"--config-path=job.properties"}, args...) }
	snapshots := func(uri string) []string {
		return with("--config", "stores.s.factory=pebble", "--config", "stores.s.changelog=kafka.s", "--config", "heddle.snapshot.uri="+uri)
	}
	side := func(args ...string) []string {
		return append(with("--config", "stores.users.factory=pebble", "--config", "stores.users.side.inputs=kafka.users", "--config", "heddle.preload.kafka.users=in.jsonl"), args...)
	}
	tests := []struct {
		name string
		file string // "": goodJob
		args []string
		code int
		want string // parts of the first line, separated by |
	}{
		{"no file", "", []string{"--config-path=nope.properties"}, 2, "nope.properties|does not exist"},
		{"malformed", "a=\\u12\n", run, 2, `job.properties:1|malformed escape \u12`},
		{"no job.name", without("job.name"), run, 2, "job.properties: job.name: not set|such as"},
		{"no task.class", without("task.class"), run, 2, "job.properties: task.class: not set"},
		{"no task.inputs", without("task.inputs"), run, 2, "job.properties: task.inputs: not set|such as"},
		{"task not registered", strings.Replace(goodJob, "CountLatency", "X", 1), run, 2, `job.properties:2: task.class|"latency.X"|the stock program run-container (there is no Go main package in the current folder) registers enrich.Orders|latency.CountLatency`},
		{"no such topic", without("heddle.preload.kafka.in"), run, 2, "job.properties:3: task.inputs|kafka.in does not exist|topic create kafka.in"},
		{"nothing to preload", "", with("--config", "heddle.preload.kafka.in=nix.jsonl"), 2, "--config: heddle.preload.kafka.in|nix.jsonl"},
		{"input without a system", "", with("--config", "task.inputs=in"), 2, "task.inputs|expected system.stream"},
		{"unknown system", "", with("--config", "task.inputs=other.in"), 2, `task.inputs|"other"|there are: kafka`},
		{"wrong type after an unknown key", "", with("--config", "task.windw.ms=5", "--config", "task.window.ms=soon"), 2, `--config: task.window.ms: "soon"|milliseconds`},
		{"serde not registered", "", with("--config", "systems.kafka.samza.msg.serde=nix"), 2, `msg.serde|"nix" is not registered|there are: string`},
		{"store without a factory", "", with("--config", "stores.counts.changelog=kafka.log"), 2, `--config: stores.counts.changelog|"counts" has no factory|set stores.counts.factory`},
		{"unknown engine", "", with("--config", "stores.counts.factory=peble"), 2, `--config: stores.counts.factory|"peble"|pebble`},
		{"store's serde not registered", "", with("--config", "stores.counts.factory=memory", "--config", "stores.counts.msg.serde=nix"), 2, `--config: stores.counts.msg.serde|"nix" is not registered`},
		{"two stores, one changelog", "", with("--config", "stores.a.factory=memory", "--config", "stores.b.factory=pebble", "--config", "stores.a.changelog=kafka.log", "--config", "stores.b.changelog=kafka.log"), 2, `kafka.log|stores.b.changelog`},
		{"unknown factory", "", with("--config", "job.factory.class=nix"), 2, "job.factory.class|there are: thread, process, yarn"},
		{"no program", "", with("--config", "heddle.task.program=./nix"), 2, "--config: heddle.task.program=./nix|no such file|Go main package"},
		{"embedded on YARN", "", with("--config", "job.factory.class=yarn"), 2, "systems.kafka|embedded Kafka"},
		{"Kerberos at YARN", "", with("--config", "job.factory.class=yarn", "--config", "yarn.kerberos.principal=a@B", "--config", "systems.kafka.producer.bootstrap.servers=localhost:1"), 2, "--config: yarn.kerberos.principal|not supported yet"},
		{"YARN without a cluster", "", with("--config", "job.factory.class=yarn", "--config", "systems.kafka.producer.bootstrap.servers=localhost:1"), 2, "HADOOP_CONF_DIR"},
		{"Kafka is away", "", with("--config", "systems.kafka.producer.bootstrap.servers=localhost:1"), 3, "localhost:1|systems.kafka.producer.bootstrap.servers|tried for"},
		{"broken --config", "", with("--config", "nix"), 2, "expected key=value"},
		{"bad --from", "", append([]string{"topic", "tail", "kafka.in", "--from=later"}, run...), 2, "--from=later|oldest, newest"},
		{"contradiction", "", with("--wait", "--detach"), 2, "--wait and --detach"},
		{"unknown command", "", []string{"foo"}, 2, `"foo"|commands are`},
		{"misspelt command", "", with("statu"), 2, `"statu"|did you mean|status`},
		{"a file without its flag", "", []string{"jobs/count.properties"}, 2, "is given with --config-path=jobs/count.properties"},
		{"a file for an application id", "", []string{"status", "count.properties"}, 2, "count.properties is no application id|--config-path=count.properties"},
		{"misspelt command of topic", "", []string{"topic", "tal", "kafka.in"}, 2, `unknown command "tal" (did you mean tail?)|commands are create, list, produce, tail|run-job topic --help`},
		{"misspelt command of state", "", append([]string{"state", "restor", "x"}, run...), 2, `unknown command "restor" (did you mean restore?)`},
		{"misspelt command of state snapshots", "", append([]string{"state", "snapshots", "lst"}, run...), 2, `unknown command "lst" (did you mean list?)|commands are list, remove`},
		{"misspelt command of checkpoint", "", append([]string{"checkpoint", "sett", "kafka.in", "--to=oldest"}, run...), 2, `unknown command "sett" (did you mean set?)`},
		{"unknown flag of a command of a group", "", []string{"topic", "tail", "kafka.in", "--nix"}, 2, "unknown flag: --nix"},
		{"init: no name", "", []string{"init", "My Job/x"}, 2, `"My Job"|small letters`},
		{"init: no folder to make it in", "", []string{"init", "nix/x"}, 2, `nix|make the folder`},
		{"misspelt engine of Samza", "", with("--config", "stores.counts.factory=rockdb"), 2, `--config: stores.counts.factory|"rockdb" (did you mean rocksdb?)|memory, pebble (Samza's RocksDB factory means pebble)`},
		{"unknown flag", "", with("--nix"), 2, "--nix|--help"},
		{"unknown operation", "", with("--operation=nix"), 2, "--operation=nix|run, kill or status"},
		{"nothing given", "", nil, 2, "--config-path=FILE"},
		{"no application id", "", []string{"status", "nix"}, 2, "HADOOP_CONF_DIR"},
		{"snapshots: none are kept", "", append([]string{"state", "snapshots", "list"}, run...), 2, "heddle.snapshot.uri is not set|--config heddle.snapshot.uri=URI"},
		{"snapshots: none to remove", "", append([]string{"state", "snapshots", "remove", "--store=s"}, snapshots("file:///tmp/heddle-nothing")...), 2, "the job has no snapshots in file:///tmp/heddle-nothing"},
		{"snapshots: no URI", "", snapshots("s3://x/y"), 2, "--config: heddle.snapshot.uri|hdfs://host:port/path"},
		{"snapshots: HDFS is away", "", snapshots("hdfs://localhost:1/x"), 3, "localhost:1|heddle.snapshot.uri"},
		{"snapshots: a file", "", snapshots("file:///dev/null"), 2, "--config: heddle.snapshot.uri|/dev/null is a file"},
		{"snapshots: not writable", "", snapshots("/proc/x"), 2, "--config: heddle.snapshot.uri|file:///proc/x"},
		{"side inputs: function not registered", "", side("--config", "stores.users.side.inputs.processor.factory=com.example.X"), 2, `--config: stores.users.side.inputs.processor.factory|"com.example.X" is not registered|there are enrich.Users|container.WithSideInput`},
		{"side inputs: a function without them", "", with("--config", "stores.users.factory=memory", "--config", "stores.users.side.inputs.processor.factory=enrich.Users"), 2, "--config: stores.users.side.inputs.processor.factory|no side inputs|set stores.users.side.inputs"},
		{"side inputs: no such topic", "", side("--config", "heddle.preload.kafka.users="), 2, "--config: stores.users.side.inputs|kafka.users does not exist|topic create kafka.users"},
		{"side inputs: no input but them", "", side("--config", "task.inputs=kafka.users"), 2, "--config: task.inputs|kafka.users (users)|no message would be processed|add a stream"},
		{"side inputs: too few partitions", "", side("--config", "streams.users.samza.system=kafka", "--config", "streams.users.partition.count=3"), 2, `--config: stores.users.side.inputs|kafka.users has 3 partitions|the task "Partition 3"|heddle.stores.users.shared=true`},
		{"side inputs: too many partitions", "", side("--config", "streams.users.samza.system=kafka", "--config", "streams.users.partition.count=8"), 2, `--config: stores.users.side.inputs|kafka.users has 8 partitions|the task "Partition 4" (and 3 more)|no messages to process`},
		{"side inputs: and a changelog", "", side("--config", "stores.users.changelog=kafka.log"), 2, "--config: stores.users.changelog|side inputs|remove the changelog"},
		{"side inputs: by single partitions", "", side("--config", "job.systemstreampartition.grouper.factory=ssp"), 2, "--config: job.systemstreampartition.grouper.factory|kafka.users|group by partition"},
		{"shared: no side inputs", "", with("--config", "stores.rates.factory=memory", "--config", "heddle.stores.rates.shared=true"), 2, "--config: heddle.stores.rates.shared|no side inputs|set stores.rates.side.inputs"},
		{"shared: also an input", "", side("--config", "heddle.stores.users.shared=true", "--config", "task.inputs=kafka.in,kafka.users"), 2, "--config: task.inputs|kafka.users fills a shared store (users)|remove it here"},
		{"checkpoint of no input", "", append([]string{"checkpoint", "set", "kafka.in"}, run...), 2, "--to is missing"},
		{"init with a bad name", "", []string{"init", "Foo"}, 2, `"Foo"|small letters`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := tt.file
			if file == "" {
				file = goodJob
			}
			for name, content := range map[string]string{"job.properties": file, "in.jsonl": `{"user":"a","latencyMs":1}` + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			stdout, errs, code := start(t, dir, tt.args...)
			first, _, _ := strings.Cut(errs, "\n")
			if code != tt.code || stdout != "" {
				t.Errorf("exit code %d, want %d; stdout %q; stderr:\n%s", code, tt.code, stdout, errs)
			}
			for part := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(first, part) {
					t.Errorf("the first line is %q, want it to hold %q", first, part)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".heddle", "kafka", "data", "partitions", "*")); len(left) > 0 {
				t.Errorf("topics were made: %q", left)
			}
			for _, pattern := range []string{".heddle/run/*", ".heddle/processes-*", "heddle/secrets/*"} {
				if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			}
		})
	}
}

// TestSnapshotsThatCannotBeWritten: run-job tries where the job will write, not
// above it, where others may have been first.
func TestSnapshotsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"job.properties": goodJob, "in.jsonl": `{"user":"a","latencyMs":1}` + "\n", "snapshots/heddle-v1": "no folder"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	_, errs, code := start(t, dir, "--config-path=job.properties", "--config", "stores.s.factory=pebble", "--config", "stores.s.changelog=kafka.s",
		"--config", "heddle.snapshot.uri=file://"+filepath.Join(dir, "snapshots"))
	first, _, _ := strings.Cut(errs, "\n")
	if code != 2 || !strings.Contains(first, "heddle.snapshot.uri") || !strings.Contains(first, "snapshots/heddle-v1") || !strings.Contains(first, "may write to") {
		t.Errorf("exit code %d; stderr:\n%s", code, errs)
	}
}

// TestWrongChangelog: a topic that cannot be the store's changelog is met before
// anything else is made.
func TestWrongChangelog(t *testing.T) {
	for _, tt := range []struct {
		name   string
		create []string
		want   string
	}{
		{"other partitions", []string{"--partitions=3", "--setting", "cleanup.policy=compact"}, `kafka.log|"counts"|3 partitions|need 4|stores.counts.changelog`},
		{"another policy", []string{"--partitions=4", "--setting", "cleanup.policy=delete"}, `kafka.log|"counts"|cleanup.policy=delete|set it to compact|stores.counts.changelog`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string]string{"job.properties": goodJob, "in.jsonl": `{"user":"a","latencyMs":1}` + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			create := append([]string{"topic", "create", "kafka.log", "--config-path=job.properties"}, tt.create...)
			if _, errs, code := start(t, dir, create...); code != 0 {
				t.Fatalf("topic create: exit code %d; stderr:\n%s", code, errs)
			}
			_, errs, code := start(t, dir, "--config-path=job.properties", "--until-caught-up",
				"--config", "stores.counts.factory=pebble", "--config", "stores.counts.changelog=kafka.log")
			first, _, _ := strings.Cut(errs, "\n")
			if code != 2 {
				t.Errorf("exit code %d; stderr:\n%s", code, errs)
			}
			for part := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(first, part) {
					t.Errorf("the first line is %q, want it to hold %q", first, part)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, ".heddle", "state")); err == nil {
				t.Error("local state was made")
			}
		})
	}
}

// TestASideInputThatIsGone: its topic was deleted, or made anew with another number
// of partitions, between two starts. What the first start left stays as it was.
func TestASideInputThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		name, factory string
		partitions    string // of the topic that is there at the second start; "": none
		want          string
	}{
		{"deleted, thread", "thread", "", "job.properties:10: stores.users.side.inputs|kafka.users does not exist|topic create kafka.users"},
		{"deleted, process", "process", "", "job.properties:10: stores.users.side.inputs|kafka.users does not exist|topic create kafka.users"},
		{"made anew", "thread", "2", "kafka.users had 4 partitions and has 2 now|a multiple of 4 partitions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := goodJob + "systems.kafka.samza.key.serde=string\nstores.users.factory=pebble\nstores.users.side.inputs=kafka.users\nstores.users.key.serde=string\njob.factory.class=" + tt.factory + "\n"
			for name, content := range map[string]string{"job.properties": file, "in.jsonl": `{"user":"a","latencyMs":1}` + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"--config-path=job.properties", "--until-caught-up", "--config", "heddle.preload.kafka.users=in.jsonl"}
			if _, errs, code := start(t, dir, args...); code != 0 {
				t.Fatalf("exit code %d; stderr:\n%s", code, errs)
			}
			deleteTopic(t, dir, "users")
			if tt.partitions != "" {
				if _, errs, code := start(t, dir, "topic", "create", "kafka.users", "--partitions="+tt.partitions, "--config-path=job.properties"); code != 0 {
					t.Fatalf("topic create: exit code %d; stderr:\n%s", code, errs)
				}
			}
			before := whatIsThere(t, dir)
			_, errs, code := start(t, dir, "--config-path=job.properties", "--until-caught-up")
			first, _, _ := strings.Cut(errs, "\n")
			if code != 2 {
				t.Errorf("exit code %d; stderr:\n%s", code, errs)
			}
			for part := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(first, part) {
					t.Errorf("the first line is %q, want it to hold %q", first, part)
				}
			}
			if after := whatIsThere(t, dir); !slices.Equal(before, after) {
				t.Errorf("before there were %q, now %q", before, after)
			}
		})
	}
}

// deleteTopic deletes a topic of the embedded Kafka below dir.
func deleteTopic(t *testing.T, dir, topic string) {
	t.Helper()
	systems, err := container.OpenSystems(config.New(map[string]string{"systems.kafka.samza.factory": "kafka", "heddle.home": filepath.Join(dir, ".heddle")}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer systems.Close()
	addresses, err := systems["kafka"].(*kafka.System).Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addresses...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}

// whatIsThere lists the partitions of the embedded Kafka below dir and the files
// of local state, with their sizes.
func whatIsThere(t *testing.T, dir string) []string {
	t.Helper()
	there, err := filepath.Glob(filepath.Join(dir, ".heddle", "kafka", "data", "partitions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(dir, ".heddle", "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			there = append(there, fmt.Sprint(path, " ", i.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// TestUndecodable: the job ends with the topic, partition and offset, unless it
// is told to drop.
func TestUndecodable(t *testing.T) {
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string]string{"job.properties": goodJob, "in.jsonl": "no json\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"--config-path=job.properties", "--until-caught-up", "--config", "job.factory.class=" + factory, "--config", "cluster-manager.container.retry.count=0"}
			_, errs, code := start(t, dir, args...)
			lines := strings.Split(strings.TrimSpace(errs), "\n")
			last := lines[len(lines)-1]
			if code != 1 || !strings.Contains(last, "topic in, partition ") || !strings.Contains(last, "offset 0") || !strings.Contains(last, "task.drop.deserialization.errors") {
				t.Errorf("exit code %d, last line %q; stderr:\n%s", code, last, errs)
			}
			if _, errs, code := start(t, dir, append(args, "--config", "task.drop.deserialization.errors=true")...); code != 0 {
				t.Errorf("dropping: exit code %d; stderr:\n%s", code, errs)
			}
		})
	}
}

// TestHelpHasExamples walks all commands.
func TestHelpHasExamples(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s: no example or no description", c.CommandPath())
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(newRoot())
}

func TestIsRun(t *testing.T) {
	for line, want := range map[string]bool{
		"--config-path=a":                 true,
		"--config-path list":              true,
		"--operation=kill":                true,
		"list":                            false,
		"--config-path a topic tail x":    false,
		"dev --config-path=a":             false,
		"checkpoint show --config x=y":    false,
		"--config-path=a --quiet":         true,
		"--config job.name=status --wait": true,
	} {
		if got := isRun(newRoot(), strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
