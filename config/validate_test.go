package config

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

const working = `job.name=j
task.class=t
task.inputs=kafka.in
systems.kafka.samza.factory=kafka
`

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		errs, warns  []string
	}{
		{"works", "", nil, nil},
		{"nothing at all", "job.name=\ntask.class=\ntask.inputs=\nsystems.kafka.samza.factory=", []string{
			"job.name: not set", "task.class: not set", "task.inputs: not set", "systems.kafka.samza.factory: no system is defined; set it to kafka",
		}, nil},
		{"inputs of commas", "task.inputs= , ,", []string{"task.inputs: not set"}, nil},
		{"misspelt required key", "task.class=\ntask.clas=t", []string{"task.class: not set; expected the name under which the program registered its task: task.clas is set, was it meant?"},
			[]string{"task.clas: unknown; did you mean task.class?"}},
		{"unknown keys", "systems.kafka.samza.msg.sedre=json\njob.containr.count=3\ntask.totally.different.thing=1\nmy.own.key=2\njobs.name=x", nil, []string{
			"job.containr.count: unknown; did you mean job.container.count?",
			"jobs.name: unknown, and taken for a key of your own; did you mean job.name?",
			"systems.kafka.samza.msg.sedre: unknown; did you mean systems.kafka.samza.msg.serde?",
			"task.totally.different.thing: unknown",
		}},
		{"unknown key of ours", "heddle.hom=x", []string{"heddle.hom: there is no such key; did you mean heddle.home?"}, nil},
		{"no meaning", "task.opts=-Xmx1g\nsystems.kafka.consumer.zookeeper.connect=h\njob.coordinator.zk.connect=h", nil, []string{
			"these keys have no meaning here and are ignored: job.coordinator.zk.connect, systems.kafka.consumer.zookeeper.connect, task.opts",
		}},
		{"one without meaning", "task.opts=-Xmx1g", nil, []string{"task.opts: this key has no meaning here and is ignored"}},
		{"backups by Samza", "blob.store.manager.factory=x\nblob.store.retry.policy.max.retries=3\ntask.opts=-Xmx1g", nil, []string{
			"task.opts: this key has no meaning here and is ignored",
			"these keys have no meaning here and are ignored; set heddle.snapshot.uri for copies of stores outside of Kafka, to restore from: blob.store.manager.factory, blob.store.retry.policy.max.retries",
		}},
		{"a backup by Samza", "blob.store.manager.factory=x", nil, []string{"blob.store.manager.factory: this key has no meaning here and is ignored; set heddle.snapshot.uri for copies"}},
		{"defaults of RocksDB's", "stores-default.compression=x", nil, []string{"stores-default.compression: this key has no meaning here and is ignored"}},
		{"the class of a backup by Samza", "stores.s.factory=pebble\nstores.s.backup.factories=org.apache.samza.storage.blobstore.BlobStoreStateBackendFactory",
			[]string{"set heddle.snapshot.uri for copies of stores outside of Kafka"}, nil},
		{"no effect yet", "task.consumer.batch.size=5\ntask.max.concurrency=4\njob.startpoint.enabled=true", nil, []string{
			"these keys have no effect yet: task.consumer.batch.size, task.max.concurrency",
		}},
		{"not supported yet", "app.class=x\njob.standbytasks.replication.factor=2\nsystems.kafka.streams.in.samza.bounded=true\nstreams.in.samza.priority=-1", []string{
			"app.class: known to Samza, not supported yet (Java class of an application in Samza's high-level API); remove the key",
			"job.standbytasks.replication.factor: known to Samza, not supported yet",
			"systems.kafka.streams.in.samza.bounded: known to Samza, not supported yet",
		}, nil},
		{"defaults of what is not supported", "job.standbytasks.replication.factor=1\nstreams.in.samza.bootstrap=FALSE\ntask.chooser.class=org.apache.samza.system.chooser.RoundRobinChooserFactory\njob.elasticity.factor= 1", nil, nil},
		{"name", "job.name=my job\njob.id=é", []string{`job.name: "my job" holds ' '; expected letters`, `job.id: "é" holds 'é'`}, nil},
		{"an access log without a changelog", "stores.s.factory=pebble\nstores.s.accesslog.enabled=true", []string{"stores.s.accesslog.enabled: the store has no changelog"}, nil},
		{"an access log", "stores.s.factory=pebble\nstores.s.changelog=log\nstores.s.accesslog.enabled=true\nstores.s.accesslog.sampling.ratio=1", nil, nil},
		{"a TTL", "stores.s.factory=pebble\nstores.s.changelog=log\nstores.s.rocksdb.ttl.ms=60000\nstores.s.changelog.kafka.retention.ms=60000", nil, nil},
		{"a TTL, and a topic that forgets before it", "stores.s.factory=pebble\nstores.s.changelog=log\nstores.s.rocksdb.ttl.ms=60000\nstores.s.changelog.kafka.retention.ms=59999", []string{
			`stores.s.changelog.kafka.retention.ms: "59999": the changelog would drop records before their entries end (stores.s.rocksdb.ttl.ms is 60000); set it to 60000 or more`,
		}, nil},
		{"a TTL of side inputs", "stores.s.factory=memory\nstores.s.side.inputs=kafka.side\nstores.s.rocksdb.ttl.ms=60000", []string{"stores.s.rocksdb.ttl.ms: entries of a store that is filled from side inputs do not end here; remove the key"}, nil},
		{"an input that fills a store", "task.inputs=kafka.in,kafka.side\nstores.s.factory=memory\nstores.s.side.inputs=kafka.side", nil, []string{"task.inputs: not processed, since they fill stores (stores.*.side.inputs): kafka.side (s)"}},
		{"an input that fills a shared store", "task.inputs=kafka.in,kafka.side\nstores.s.factory=memory\nstores.s.side.inputs=kafka.side\nheddle.stores.s.shared=true", []string{"task.inputs: kafka.side fills a shared store (s), so that it would not be processed; remove it here"}, nil},
		{"inputs that all fill stores", "stores.s.factory=memory\nstores.s.side.inputs=kafka.in", []string{"task.inputs: each of them fills a store: kafka.in (s); no message would be processed; add a stream"}, nil},
		{"a short TTL", "stores.s.factory=pebble\nstores.s.rocksdb.ttl.ms=10", nil, []string{"stores.s.rocksdb.ttl.ms: 10 is less than the least, 1000"}},
		{"exactly once", "heddle.processing.guarantee=exactly-once", nil, nil},
		{"exactly once, real Kafka", "heddle.processing.guarantee=exactly-once\nsystems.kafka.producer.bootstrap.servers=h:1", nil, nil},
		{"exactly once without commits", "heddle.processing.guarantee=exactly-once\ntask.commit.ms=-1", []string{
			"task.commit.ms: heddle.processing.guarantee=exactly-once needs commits by the clock",
		}, nil},
		{"exactly once, outputs passed over", "heddle.processing.guarantee=exactly-once\ntask.drop.producer.errors=true", []string{
			"task.drop.producer.errors: heddle.processing.guarantee=exactly-once cannot be kept",
		}, nil},
		{"exactly once, stores emptied at each start", "heddle.processing.guarantee=exactly-once\ntask.transactional.state.checkpoint.enabled=false\ntask.transactional.state.retain.existing.state=false", []string{
			"task.transactional.state.retain.existing.state: with task.transactional.state.checkpoint.enabled=false each start would empty the stores",
		}, nil},
		{"exactly once, no offsets of changelogs", "heddle.processing.guarantee=exactly-once\ntask.transactional.state.checkpoint.enabled=false", nil, nil},
		{"exactly once, no offsets of changelogs, to their ends", "heddle.processing.guarantee=exactly-once\ntask.transactional.state.checkpoint.enabled=false\ntask.transactional.state.retain.existing.state=false\ntask.transactional.state.restore.enabled=false", nil, nil},
		{"exactly once, checkpoints in files", "heddle.processing.guarantee=exactly-once\ntask.checkpoint.factory=file", []string{
			"task.checkpoint.factory: heddle.processing.guarantee=exactly-once needs checkpoints in Kafka",
		}, nil},
		{"exactly once without checkpoints", "heddle.processing.guarantee=exactly-once\ntask.checkpoint.factory=none", []string{
			"task.checkpoint.factory: heddle.processing.guarantee=exactly-once needs checkpoints in Kafka",
		}, []string{"task.checkpoint.factory: checkpoints are off"}},
		{"old spellings", "job.factory.class=yarn\nsystems.kafka.producer.bootstrap.servers=h:1\nyarn.container.count=2\nyarn.container.memory.mb=512\ncluster-manager.container.memory.mb=1024", nil, []string{
			"yarn.container.memory.mb: the old spelling of cluster-manager.container.memory.mb, which is set too and wins",
			"old spellings, still read: yarn.container.count is now job.container.count",
		}},
		{"yarn.* without YARN", "yarn.am.container.memory.mb=lots\nyarn.nonsense=1\nyarn.am.opts=x\nyarn.container.count=none", nil, nil},
		{"yarn.* with YARN", "job.factory.class=YarnJobFactory\nsystems.kafka.producer.bootstrap.servers=h:1\nyarn.am.container.memory.mb=lots\nyarn.quue=1\nyarn.am.opts=x", []string{
			`yarn.am.container.memory.mb: "lots" is not valid: expected a whole number`,
		}, []string{"yarn.quue: unknown; did you mean yarn.queue?", "yarn.am.opts: this key has no meaning here and is ignored"}},
		{"embedded on YARN", "job.factory.class=yarn", []string{"systems.kafka.producer.bootstrap.servers: the embedded Kafka lives in one machine's processes"}, nil},
		{"memory with processes", "job.factory.class=process\nsystems.kafka.samza.factory=memory", []string{
			"systems.kafka.samza.factory: a system in memory lives in one process; containers of the factory process cannot share it",
		}, nil},
		{"memory in one process", "systems.kafka.samza.factory=memory", nil, nil},
		{"input without a dot", "task.inputs=in", []string{`task.inputs: expected system.stream, not "in"; write kafka.in`}, nil},
		{"serdes", "systems.kafka.samza.msg.serde=jsn\nstreams.in.samza.key.serde=string2\nstores.s.factory=memory\nstores.s.msg.serde=nope", []string{
			`systems.kafka.samza.msg.serde: the serde "jsn" is not registered (did you mean json?)`,
			`streams.in.samza.key.serde: the serde "string2" is not registered (did you mean string?)`,
			`stores.s.msg.serde: the serde "nope" is not registered`,
		}, nil},
		{"serde class", "serializers.registry.x.class=com.example.XSerde", []string{`serializers.registry.x.class: "com.example.XSerde" is not valid: no serde`}, nil},
		{"store without a factory", "stores.counts.factory=memory\nstores.cuonts.changelog=kafka.log\nstores.cuonts.key.serde=string", []string{
			`stores.cuonts.changelog: the store "cuonts" has no factory (did you mean counts?); set stores.cuonts.factory=pebble (on disk; Samza's RocksDB factory means it, too) or memory`,
		}, nil},
		{"compaction lag by topic setting", "stores.s.factory=memory\nstores.s.changelog=log\nstores.s.changelog.kafka.min.compaction.lag.ms=1", []string{
			"stores.s.changelog.kafka.min.compaction.lag.ms: Samza refuses this spelling",
		}, nil},
		{"deletions by topic setting", "stores.s.factory=memory\nstores.s.changelog=log\nstores.s.changelog.kafka.delete.retention.ms=-1", []string{
			`stores.s.changelog.kafka.delete.retention.ms: "-1" is not valid: expected 0 milliseconds or more`,
		}, nil},
		{"a changelog that forgets", "stores.s.factory=memory\nstores.s.changelog=log\nstores.s.changelog.kafka.cleanup.policy=compact,delete", nil, []string{
			`stores.s.changelog.kafka.cleanup.policy: "compact,delete": the changelog drops records by age (retention.ms), and a store that is restored from it lacks their entries; remove the key, or set stores.s.rocksdb.ttl.ms`,
		}},
		{"metrics that no engine has", "stores.s.factory=rocksdb\nstores.s.rocksdb.metrics.list=rocksdb.num-snapshots,rocksdb.num-files-at-level0,rocksdb.estimate-num-keys\nstores.m.factory=memory\nstores.m.rocksdb.metrics.list=rocksdb.num-snapshots", nil, []string{
			"stores.s.rocksdb.metrics.list: not published, since the engine pebble does not have them: rocksdb.estimate-num-keys",
			"stores.m.rocksdb.metrics.list: not published, since the engine memory does not have them: rocksdb.num-snapshots",
		}},
		{"others that write to changelogs", "stores.a.factory=memory\nstores.a.changelog=a\nstores.a.accesslog.enabled=true\nstores.b.factory=memory\nstores.b.changelog=a-access-log\n" +
			"metrics.reporters=m\nmetrics.reporter.m.class=snapshot\nmetrics.reporter.m.stream=kafka.a\nheddle.preload.kafka.a=x.txt", []string{
			`stores.a.accesslog.enabled: kafka.a-access-log is the changelog of the store "b", and the access log of the store "a" would become its state; name a topic of its own`,
			`metrics.reporter.m.stream: kafka.a is the changelog of the store "a", and metrics would become its state`,
			`heddle.preload.kafka.a: kafka.a is the changelog of the store "a", and what is preloaded would become its state`,
		}, nil},
		{"access logs", "task.inputs=kafka.in,kafka.a-access-log\nstores.a.factory=memory\nstores.a.changelog=a\nstores.a.accesslog.enabled=true\nstores.b.factory=memory\nstores.b.accesslog.enabled=true\nstores.b.changelog=" + strings.Repeat("b", 240), []string{
			"stores.a.accesslog.enabled: the access log's topic, kafka.a-access-log, is an input of the job, which would process its own calls; remove the key",
			"would have a name of more than 249 letters; shorten the name in stores.b.changelog",
		}, nil},
		{"settings of no changelog", "stores.s.factory=memory\nstores.s.changelog.replication.factor=3\nstores.s.changelog.kafka.segment.ms=1", nil, []string{
			"stores.s.changelog.kafka.segment.ms: the store has no changelog, so what it holds ends with its container; set stores.s.changelog",
		}},
		{"two stores, one changelog", "stores.a.factory=memory\nstores.a.changelog=log\nstores.b.factory=memory\nstores.b.changelog=kafka.log", []string{
			`stores.b.changelog: the stores "a" and "b" have the same changelog, kafka.log; give each store a changelog of its own`,
		}, nil},
		{"a base for state that no node has", "job.factory.class=yarn\nsystems.kafka.producer.bootstrap.servers=h:1\njob.logged.store.base.dir=state/here", []string{
			`job.logged.store.base.dir: "state/here" would lie in the container's work folder, which YARN removes with the container; expected a path from /; set it to a folder that is there on every node`,
		}, nil},
		{"the same on this machine", "job.logged.store.base.dir=state/here", nil, nil},
		{"names of changelogs", "stores.a.factory=memory\nstores.a.changelog=a b\nstores.b.factory=memory\nstores.b.changelog=kafka...\nstores.c.factory=memory\nstores.c.changelog=kafka.__consumer_offsets\n" +
			"stores.d.factory=memory\nstores.d.changelog=kafka.__samza_checkpoint_ver_1_for_x_1\nstores.e.factory=memory\nstores.e.changelog=" + strings.Repeat("x", 250), []string{
			`stores.a.changelog: "a b" holds ' '; a topic's name has letters, digits, '.', '_' and '-'`,
			`stores.b.changelog: ".." is no name of a topic`,
			`stores.c.changelog: "__consumer_offsets" is a topic of Kafka's, or of a job's own records; name a topic that nobody else writes to`,
			`stores.d.changelog: "__samza_checkpoint_ver_1_for_x_1" is a topic of Kafka's`,
			`is no name of a topic, which has up to 249 letters`,
		}, nil},
		{"a changelog that is an input", "stores.a.factory=memory\nstores.a.changelog=in", []string{
			`stores.a.changelog: kafka.in is an input of the job, too: it would process its own changes of the store "a", and what others write there would become the store's state; name a topic that nobody else writes to`,
		}, nil},
		{"a changelog that is a broadcast input", "task.broadcast.inputs=kafka.all#0\nstores.a.factory=memory\nstores.a.changelog=kafka.all", []string{
			`stores.a.changelog: kafka.all is an input of the job, too`,
		}, nil},
		{"a changelog that fills another store", "stores.a.factory=memory\nstores.a.changelog=log\nstores.b.factory=memory\nstores.b.side.inputs=kafka.log", nil, nil},
		{"store on disk", "stores.s.factory=rocksdb\nstores.s.rocksdb.compression=snappy\nstores.s.rocksdb.compaction.style=level", nil, []string{
			"stores.s.rocksdb.compaction.style: this key has no meaning here and is ignored",
		}},
		{"no checkpoints", "task.checkpoint.factory=none", nil, []string{"task.checkpoint.factory: checkpoints are off"}},
		{"several systems", "systems.other.samza.factory=kafka\njob.coordinator.system=kafka", []string{
			"task.checkpoint.system: not set, and there are several systems: kafka, other; set task.checkpoint.system or job.default.system",
		}, nil},
		{"system not built", "systems.h.samza.factory=org.apache.samza.system.hdfs.HdfsSystemFactory", []string{
			"the system factory org.apache.samza.system.hdfs.HdfsSystemFactory is known to Samza, but not supported yet",
		}, nil},
		{"reporters", "metrics.reporters=a,b,c\nmetrics.reporter.a.class=org.apache.samza.metrics.reporter.JmxReporterFactory\nmetrics.reporter.b.class=snapshot", []string{
			`metrics.reporter.b.stream: expected system.stream, not ""`, `metrics.reporters: the reporter "c" has no class; set metrics.reporter.c.class to one of snapshot, log, jmx`,
		}, []string{"metrics.reporter.a.class: there is no JMX"}},
		{"preload", "heddle.preload.kafak.in=x.jsonl", []string{`heddle.preload.kafak.in: the system "kafak" is not defined`}, nil},
		{"rewriter without class", "job.config.rewriters=env", []string{`job.config.rewriters: the rewriter "env" has no class`}, nil},
		{"two ids of a topic", "streams.a.samza.physical.name=in\nstreams.b.samza.physical.name=in", []string{"streams.b.samza.physical.name: the streams \"a\" and \"b\" are one topic, kafka.in"}, nil},
		{"broadcast", "task.inputs=\ntask.broadcast.inputs=kafka.in#[0-3]", nil, nil},
		{"broadcast of nothing", "task.broadcast.inputs=in#0", []string{`task.broadcast.inputs: expected system.stream, not "in"`}, nil},
		{"keys of a run", "heddle.run.until-caught-up=true\nheddle.run.preloaded.kafka.in=0:5", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fromText(working).Map()
			for line := range strings.Lines(tt.config) {
				if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
					m[k] = v
				}
			}
			warnings, err := Validate(New(m))
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			same(t, "error", got, tt.errs)
			got = nil
			for _, w := range warnings {
				got = append(got, w.String())
			}
			same(t, "warning", got, tt.warns)
		})
	}
}

// same checks that each line begins with, or holds, one that is wanted, and
// none is left over.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) }) {
			t.Errorf("missing %s: %s", what, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d %ss, want %d:\n%s", len(got), what, len(want), strings.Join(got, "\n"))
	}
}

// Commands that need only a system do not ask for a job.
func TestValidateKeys(t *testing.T) {
	if _, err := ValidateKeys(fromText("systems.kafka.samza.factory=kafka")); err != nil {
		t.Error(err)
	}
}

func TestNearest(t *testing.T) {
	for in, want := range map[string]string{
		"task.window":                             "task.window.ms",
		"systems.k.samza.msg.sedre":               "systems.k.samza.msg.serde",
		"systems.k.streams.a.samza.ofset.default": "systems.k.streams.a.samza.offset.default",
		"stores.x.chnagelog":                      "stores.x.changelog",
		"cluster-manager.container.memory":        "cluster-manager.container.memory.mb",
		"systems.k.cosumer.fetch.min.bytes":       "systems.k.consumer.fetch.min.bytes",
		"stream.clicks.retention.ms":              "streams.clicks.retention.ms",
		"heddle.task.programm":                    "heddle.task.program",
		"serializer.registry.x.class":             "serializers.registry.x.class",
		"completely.unrelated.words.in.a.row":     "",
		"x":                                       "",
	} {
		if got := nearestKey(in); got != want {
			t.Errorf("nearest of %s is %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xyz", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}} {
		if got := distance(tt.a, tt.b, 10); got != tt.want {
			t.Errorf("distance %s %s: %d", tt.a, tt.b, got)
		}
		if got := distance(tt.b, tt.a, 10); got != tt.want {
			t.Errorf("distance %s %s: %d", tt.b, tt.a, got)
		}
	}
}

// A limit only cuts off.
func TestDistanceUpToALimit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	word := func() string {
		b := make([]byte, random.IntN(14))
		for i := range b {
			b[i] = "abc"[random.IntN(3)]
		}
		return string(b)
	}
	for range 5000 {
		a, b := word(), word()
		whole := distance(a, b, 100)
		for limit := 1; limit < 9; limit++ {
			if got := distance(a, b, limit); got != min(whole, limit) {
				t.Fatalf("distance %q %q up to %d: %d, without a limit %d", a, b, limit, got, whole)
			}
		}
	}
}

func TestResolve(t *testing.T) {
	path := write(t, "job.properties", working+"task.window.ms=5\nsystems.kafka.consumer.sasl.jaas.config=hidden\nmine=1\ntask.opts=x\nyarn.queue=q\nstores.s.factory=memory\n")
	c, _, err := Load(t.Context(), LoadOptions{Paths: []string{path}, Overrides: []string{"job.id=7"}})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Resolved{}
	all := Resolve(c)
	for _, r := range all {
		if _, twice := rows[r.Key]; twice {
			t.Errorf("%s twice", r.Key)
		}
		rows[r.Key] = r
		if strings.Contains(r.Value, "hidden") {
			t.Errorf("%+v", r)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b Resolved) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("not sorted")
	}
	for _, want := range []Resolved{
		{"task.window.ms", "5", "job.properties:5", false, true, ""},
		{"job.id", "7", "--config", false, true, ""},
		{"systems.kafka.consumer.sasl.jaas.config", Mask, "job.properties:6", false, true, ""},
		{"mine", "1", "job.properties:7", false, false, ""},
		{"task.opts", "x", "job.properties:8", false, true, "no meaning here"},
		{"yarn.queue", "q", "job.properties:9", false, true, "not read without YARN"},
		{"task.commit.ms", "60000", "default", true, true, ""},
		{"job.coordinator.system", "kafka", "default", true, true, "job.default.system, else the only system"},
		{"stores.s.write.batch.size", "", "default", true, true, "all, at each commit"},
		{"systems.kafka.samza.fetch.threshold", "10000", "default", true, true, ""},
		{"streams.in.samza.offset.default", "upcoming", "default", true, true, ""},
	} {
		if got := rows[want.Key]; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	c = c.With(map[string]string{"systems.kafka.samza.offset.default": "oldest"})
	for _, r := range Resolve(c) {
		if r.Key == "streams.in.samza.offset.default" {
			t.Errorf("a default that is not in effect: %+v", r)
		}
	}
}

func TestRewrite(t *testing.T) {
	c := fromText(working + `job.config.rewriters=topics,env
		job.config.rewriter.topics.class=org.apache.samza.config.RegExTopicGenerator
		job.config.rewriter.topics.system=kafka
		job.config.rewriter.topics.regex=click.*
		job.config.rewriter.topics.config.samza.msg.serde=json
		systems.kafka.streams.clicks.b.samza.msg.serde=string
		job.config.rewriter.env.class=EnvironmentConfigRewriter`)
	topics := func(system string) ([]string, error) {
		return []string{"in", "myclicks", "clicks.b", "clicks"}, nil
	}
	got, err := Rewrite(c, RewriteInput{Environ: []string{"SAMZA_TASK_WINDOW_MS=9", "PATH=/bin", "SAMZA_X=a=b"}, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"task.inputs": "kafka.clicks,kafka.clicks.b,kafka.in", "task.window.ms": "9", "x": "a=b",
		"systems.kafka.streams.clicks.samza.msg.serde": "json", "systems.kafka.streams.clicks.b.samza.msg.serde": "string",
	} {
		if v, _ := got.Get(key); v != want {
			t.Errorf("%s=%s, want %s", key, v, want)
		}
	}
	if o := got.Origin("task.window.ms").String(); o != "rewriter env" {
		t.Errorf("origin %s", o)
	}
	if _, err := Validate(got); err != nil {
		t.Error(err)
	}
	if _, err := Rewrite(c, RewriteInput{}); err == nil {
		t.Error("no error without topics")
	}
	_, err = Rewrite(c.With(map[string]string{"job.config.rewriters": "env", "Task.Window.ms": "1"}), RewriteInput{Environ: []string{"SAMZA_TASK_WINDOW_MS=9"}})
	if err == nil || !strings.Contains(err.Error(), "Task.Window.ms: the environment sets task.window.ms, which differs only in case") {
		t.Error(err)
	}
	_, err = Rewrite(c.With(map[string]string{"job.config.rewriter.topics.regex": "("}), RewriteInput{Topics: topics})
	if err == nil || !strings.Contains(err.Error(), "job.config.rewriter.topics.regex") {
		t.Error(err)
	}
}

func TestPreloads(t *testing.T) {
	c := fromText(working + "heddle.preload.kafka.a.b=x.jsonl\nheddle.preload.kafka.in=y.jsonl\nheddle.preload.key=user\nheddle.preload.key.kafka.in=id")
	got := Preloads(c)
	want := []Preload{
		{SystemStream{"kafka", "a.b"}, "x.jsonl", "user", "heddle.preload.kafka.a.b"},
		{SystemStream{"kafka", "in"}, "y.jsonl", "id", "heddle.preload.kafka.in"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// docs/configuration.md is what Reference writes. To renew it:
//
//	UPDATE=1 go test ./config -run TestReference
func TestReference(t *testing.T) {
	const path = "../docs/configuration.md"
	var b bytes.Buffer
	if err := Reference(&b); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(committed, b.Bytes()) {
		t.Errorf("%s is out of date (%v); renew it with UPDATE=1 go test ./config -run TestReference", path, err)
	}
	b.Reset()
	if err := ReferenceJSON(&b); err != nil || !bytes.Contains(b.Bytes(), []byte(`"key": "task.window.ms"`)) {
		t.Errorf("%v", err)
	}
}

func TestGoingBack(t *testing.T) {
	const real = "systems.kafka.producer.bootstrap.servers"
	for _, tt := range []struct {
		set  map[string]string
		want string
	}{
		{map[string]string{real: "h:1"}, ""},
		{map[string]string{real: "h:1", "heddle.processing.guarantee": "exactly-once"}, "systems.kafka.consumer.isolation.level"},
		{map[string]string{real: "h:1", "heddle.processing.guarantee": "exactly-once", "systems.kafka.consumer.isolation.level": "read_committed"}, ""},
		{map[string]string{"heddle.processing.guarantee": "exactly-once"}, ""}, // embedded
		{map[string]string{real: "h:1", "heddle.processing.guarantee": "exactly-once", "systems.other.samza.factory": "kafka", "systems.other.producer.bootstrap.servers": "g:1",
			"job.default.system": "kafka", "stores.s.factory": "memory", "stores.s.changelog": "other.log"},
			"systems.kafka.consumer.isolation.level systems.other.consumer.isolation.level"},
	} {
		var got []string
		for _, w := range GoingBack(New(map[string]string{"job.name": "j", "systems.kafka.samza.factory": "kafka"}).With(tt.set)) {
			got = append(got, w.Key)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %v, want %v", tt.set, got, tt.want)
		}
	}
}

func TestGuarantee(t *testing.T) {
	c := New(map[string]string{"job.name": "j"})
	for _, tt := range []struct {
		set             map[string]string
		commit, timeout string
		committed       bool
	}{
		{nil, "1m0s", "4m0s", true},
		{map[string]string{"systems.k.consumer.isolation.level": "READ_UNCOMMITTED"}, "1m0s", "4m0s", false},
		{map[string]string{"heddle.processing.guarantee": "exactly-once"}, "1s", "1m3s", true},
		{map[string]string{"heddle.processing.guarantee": "exactly-once", "task.commit.ms": "30000", "task.commit.max.delay.ms": "5000"}, "30s", "1m35s", true},
		{map[string]string{"heddle.processing.guarantee": "exactly-once", "task.commit.max.delay.ms": "0"}, "1s", "1m0s", true},
		{map[string]string{"heddle.processing.guarantee": "exactly-once", "systems.k.consumer.isolation.level": "read_uncommitted"}, "1s", "1m3s", false},
		{map[string]string{"systems.k.consumer.isolation.level": "read_committed"}, "1m0s", "4m0s", true},
	} {
		c := c.With(tt.set)
		commit, err := CommitInterval(c)
		timeout, err2 := TransactionTimeout(c)
		if err != nil || err2 != nil || commit.String() != tt.commit || timeout.String() != tt.timeout || ReadsCommitted(c, "k") != tt.committed {
			t.Errorf("%v: commit %v (%v), time-out %v (%v), committed %v", tt.set, commit, err, timeout, err2, ReadsCommitted(c, "k"))
		}
	}
	if id := TransactionalID(c, "Partition 3"); id != "heddle-j-1-Partition 3" {
		t.Error(id)
	}
}
