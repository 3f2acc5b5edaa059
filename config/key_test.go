package config

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKeysReadTypesAndDefaults(t *testing.T) {
	c := New(map[string]string{
		"task.window.ms": " 1500 ", "task.commit.ms": "9223372036854775807", "task.inputs": " kafka.a ,, kafka.b",
		"job.container.count": "7", "task.drop.producer.errors": "TRUE", "job.name": "clicks ",
		"systems.k.samza.fetch.threshold": "5", "systems.k.samza.factory": "org.apache.samza.system.kafka.KafkaSystemFactory",
		"metrics.reporter.r.interval": "5", "systems.k.consumer.auto.offset.reset": "smallest",
	})
	if v := TaskWindow.Of(c); v != 1500*time.Millisecond {
		t.Errorf("window %v", v)
	}
	if v := TaskCommit.Of(c); v != math.MaxInt64 {
		t.Errorf("commit %v", v)
	}
	if v := TaskShutdown.Of(c); v != 30*time.Second {
		t.Errorf("shutdown %v", v)
	}
	if v := TaskInputs.Of(c); !slices.Equal(v, []string{"kafka.a", "kafka.b"}) {
		t.Errorf("inputs %q", v)
	}
	if v := JobContainerCount.Of(c); v != 7 {
		t.Errorf("containers %d", v)
	}
	if !TaskDropProducer.Of(c) || TaskDropSerialization.Of(c) {
		t.Error("drop")
	}
	if v := JobName.Of(c); v != "clicks" {
		t.Errorf("name %q", v)
	}
	if v := SystemFetchThreshold.Of(c, "k"); v != 5 {
		t.Errorf("threshold %d", v)
	}
	if v := SystemFetchThreshold.Of(c, "other"); v != 10000 {
		t.Errorf("threshold of another system %d", v)
	}
	if v := SystemFactory.Of(c, "k"); v != "kafka" {
		t.Errorf("factory %q", v)
	}
	if v := MetricsReporterInterval.Of(c, "r"); v != 5*time.Second {
		t.Errorf("interval %v", v)
	}
	if v := SystemStreamAutoOffsetReset.Of(c, "k", "a.b"); v != "earliest" {
		t.Errorf("auto.offset.reset %q", v)
	}
	if n := SystemStreamAutoOffsetReset.Name("k", "a.b"); n != "systems.k.streams.a.b.consumer.auto.offset.reset" {
		t.Errorf("name %s", n)
	}
	if n := SystemFetchThreshold.Name(); n != "systems.<system>.samza.fetch.threshold" {
		t.Errorf("name %s", n)
	}
}

func TestOldSpellings(t *testing.T) {
	yarn := map[string]string{
		"job.factory.class":                   "org.apache.samza.job.yarn.YarnJobFactory",
		"yarn.container.count":                "3",
		"yarn.container.memory.mb":            "2048",
		"yarn.container.retry.count":          "1",
		"cluster-manager.container.cpu.cores": "2",
		"yarn.container.cpu.cores":            "9",
	}
	c := New(yarn)
	if n, err := ContainerCount(c); n != 3 || err != nil {
		t.Errorf("containers %d, %v", n, err)
	}
	if n, err := ContainerMemoryMB(c); n != 2048 || err != nil {
		t.Errorf("memory %d, %v", n, err)
	}
	if n := ContainerRetryCount.Of(c); n != 1 {
		t.Errorf("retries %d", n)
	}
	if n := ContainerCores.Of(c); n != 2 {
		t.Errorf("cores %d: the new spelling wins", n)
	}
	if f := JobContainerCount.Found(c); f != "yarn.container.count" {
		t.Errorf("found %s", f)
	}
	// Without YARN, yarn.* is not read.
	c = c.Without("job.factory.class")
	if n, err := ContainerCount(c); n != 1 || err != nil || JobContainerCount.IsSet(c) {
		t.Errorf("containers without YARN %d, %v", n, err)
	}
	// What an outside controller wrote wins when it is switched on.
	c = New(map[string]string{"job.container.count": "2", "job.autosizing.container.count": "5"})
	if n, _ := ContainerCount(c); n != 2 {
		t.Errorf("containers %d", n)
	}
	if n, _ := ContainerCount(c.With(map[string]string{"job.autosizing.enabled": "true"})); n != 5 {
		t.Errorf("containers with autosizing %d", n)
	}
	if n := New(map[string]string{"app.name": "a"}); JobName.Of(n) != "a" {
		t.Error("app.name")
	}
}

func TestWrongTypesNameThePlace(t *testing.T) {
	path := write(t, "job.properties", strings.Join([]string{
		"task.window.ms=60s", "task.commit.timeout.ms=0", "job.container.count=0", "task.drop.producer.errors=yes",
		"job.factory.class=org.example.Factory", "metrics.reporter.x.blacklist=(", "job.coordinator.segment.bytes=26MB",
		"task.checkpoint.read.versions=3", "job.container.heartbeat.monitor.enabled=flase",
		"cluster-manager.container.memory.mb=99999999999", "systems.k.samza.offset.default=upcomming",
		"task.checkpoint.factory=redis", "cluster-manager.container.cpu.cores=1.5",
	}, "\n"))
	c, _, err := Load(t.Context(), LoadOptions{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ValidateKeys(c)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`job.properties:1: task.window.ms: "60s" is not valid: expected a number of milliseconds without a unit, such as 60000`,
		`job.properties:2: task.commit.timeout.ms: "0" is not valid: expected more than 0 milliseconds`,
		`job.properties:3: job.container.count: "0" is not valid: expected a whole number, at least 1`,
		`job.properties:4: task.drop.producer.errors: "yes" is not valid: expected true or false`,
		`job.properties:5: job.factory.class: "org.example.Factory" is not valid: no job factory "org.example.Factory"; there are: thread, process, yarn`,
		`job.properties:6: metrics.reporter.x.blacklist: "(" is not valid: expected a regular expression`,
		`job.properties:7: job.coordinator.segment.bytes: "26MB" is not valid: expected a number of bytes without a unit`,
		`job.properties:8: task.checkpoint.read.versions: "3" is not valid: expected 1, 2 or both`,
		`job.properties:9: job.container.heartbeat.monitor.enabled: "flase" is not valid: expected true or false`,
		`job.properties:10: cluster-manager.container.memory.mb: "99999999999" is not valid: expected a whole number, at most 2147483647`,
		`job.properties:11: systems.k.samza.offset.default: "upcomming" is not valid: expected oldest or upcoming (did you mean upcoming?)`,
		`job.properties:12: task.checkpoint.factory: "redis" is not valid: no checkpoint manager "redis"; there are: kafka, file, none`,
		`job.properties:13: cluster-manager.container.cpu.cores: "1.5" is not valid: expected a whole number`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	if _, err := TaskWindow.Get(c); err == nil || TaskWindow.Of(c) != -time.Millisecond {
		t.Error("Of a bad value is the default")
	}
	var e *Error
	if !errors.As(err, &e) || e.ExitCode() != 2 {
		t.Error("exit code")
	}
}

// Every declaration is complete, and its default is a value that it accepts.
func TestDeclarations(t *testing.T) {
	seen := map[string]bool{}
	decls := Declarations()
	if len(decls) != len(registry) {
		t.Errorf("%d of %d declarations stand in a section", len(decls), len(registry))
	}
	for _, d := range decls {
		if seen[d.Name] {
			t.Errorf("%s is declared twice", d.Name)
		}
		seen[d.Name] = true
		if d.Doc == "" || !strings.HasSuffix(d.Doc, ".") && !strings.HasSuffix(d.Doc, ".)") && !strings.HasSuffix(d.Doc, "...") {
			t.Errorf("%s: its doc is no sentence: %q", d.Name, d.Doc)
		}
		if d.fixed != "" {
			if err := d.check(d.fixed); err != nil {
				t.Errorf("%s: its default %q: %v", d.Name, d.fixed, err)
			}
			if !d.isDefault(d.fixed) {
				t.Errorf("%s: its default is not its default", d.Name)
			}
		}
		if d.Kind != "" && len(Aliases(d.Kind)) == 0 {
			t.Errorf("%s: nothing of the kind %s", d.Name, d.Kind)
		}
	}
	for key, want := range map[string]string{
		"task.window.ms":                                   "task.window.ms",
		"yarn.container.count":                             "job.container.count",
		"systems.k.consumer.zookeeper.connect":             "systems.<system>.consumer.zookeeper.<setting...>",
		"systems.k.consumer.fetch.min.bytes":               "systems.<system>.consumer.<setting...>",
		"systems.k.streams.a.b.c.samza.msg.serde":          "streams.<id>.samza.msg.serde",
		"systems.k.default.stream.samza.offset.default":    "streams.<id>.samza.offset.default",
		"systems.k.default.stream.cleanup.policy":          "systems.<system>.default.stream.<setting...>",
		"stores.my.store.changelog.kafka.segment.ms":       "stores.<store...>.changelog.kafka.<setting...>",
		"stores.default.changelog.replication.factor":      "stores.default.changelog.replication.factor",
		"heddle.preload.kafka.a.b":                         "heddle.preload.<system>.<stream...>",
		"heddle.preload.key.kafka.a.b":                     "heddle.preload.key.<system>.<stream...>",
		"heddle.preload.key":                               "heddle.preload.key",
		"streams.x.retention.ms":                           "streams.<id>.<setting...>",
		"systems.k.streams.a.b.consumer.auto.offset.reset": "systems.<system>.streams.<topic...>.consumer.auto.offset.reset",
		"task.watermark.quorum.size,percentage":            "task.watermark.quorum.size,percentage",
	} {
		if d, _ := match(key); d == nil || d.Name != want {
			t.Errorf("%s is %v, want %s", key, d, want)
		}
	}
}
