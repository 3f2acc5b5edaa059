package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"heddle/checkpoint"
)

// exactlyJob is a job on a Kafka of its own.
const exactlyJob = `job.name=j
task.class=latency.CountLatency
task.inputs=kafka.in
systems.kafka.samza.factory=kafka
systems.kafka.samza.msg.serde=json
systems.kafka.samza.offset.default=oldest
systems.kafka.samza.key.serde=string
heddle.processing.guarantee=exactly-once
`

// may is a right.
func may(resource kmsg.ACLResourceType, name string, pattern kmsg.ACLResourcePatternType, op kmsg.ACLOperation) kfake.ACL {
	return kfake.ACL{Resource: resource, Name: name, Pattern: pattern, Operation: op, Allow: true}
}

// rights are all that a job needs but those to transactional ids.
var rights = []kfake.ACL{
	may(kmsg.ACLResourceTypeTopic, "*", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationAll),
	may(kmsg.ACLResourceTypeCluster, "kafka-cluster", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationAll),
}

// TestExactlyOnceBadInput holds what Kafka cannot or may not do for exactly-once
// to one line that says for which task, what to do, and exit code 2.
func TestExactlyOnceBadInput(t *testing.T) {
	id := func(op kmsg.ACLOperation) kfake.ACL {
		return may(kmsg.ACLResourceTypeTransactionalId, "heddle-", kmsg.ACLResourcePatternTypePrefixed, op)
	}
	acls := func(more ...kfake.ACL) []kfake.Opt {
		return []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("PLAIN", "job", "pw", append(more, rights...)...)}
	}
	sasl := []string{
		"--config", "systems.kafka.consumer.security.protocol=SASL_PLAINTEXT", "--config", "systems.kafka.consumer.sasl.mechanism=PLAIN",
		"--config", `systems.kafka.consumer.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="job" password="pw";`,
		"--config", "systems.kafka.producer.security.protocol=SASL_PLAINTEXT", "--config", "systems.kafka.producer.sasl.mechanism=PLAIN",
		"--config", `systems.kafka.producer.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="job" password="pw";`,
	}
	for _, tt := range []struct {
		name  string
		kafka []kfake.Opt
		args  []string
		code  int
		want  string // parts of the first line, separated by |
	}{
		{"nothing wrong", nil, nil, 0, ""},
		{"all rights", acls(id(kmsg.ACLOperationAll)), sasl, 0, ""},
		{"brokers without transactions", []kfake.Opt{kfake.MaxVersions(kversion.V0_10_2())}, nil, 2, "job.properties:8: heddle.processing.guarantee|system kafka|no transactions|Kafka has them since 0.11; update the brokers|at-least-once"},
		{"brokers too old for anything", []kfake.Opt{kfake.MaxVersions(kversion.V0_10_2())}, []string{"--config", "heddle.processing.guarantee=at-least-once"}, 3, "system kafka|older than Kafka 0.11|update them"},
		{"a time-out above the brokers'", []kfake.Opt{kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "50000"})}, nil, 2, "task.commit.ms: the time-out of each task's transactions would be 63000 ms|transaction.max.timeout.ms (50000)|lower them, or raise"},
		{"a commit interval too long", nil, []string{"--config", "task.commit.ms=600000"}, 2, "--config: task.commit.ms: the time-out of each task's transactions would be 1860000 ms|transaction.max.timeout.ms (900000)|lower them, or raise"},
		{"no right to the id", acls(), sasl, 2, `job.properties:8: heddle.processing.guarantee|"heddle-j-1-Partition 0"|allow Write and Describe on TransactionalId with the prefix heddle-|at-least-once`},
		{"no right to write under the id", acls(id(kmsg.ACLOperationDescribe)), sasl, 2, `job.properties:8: heddle.processing.guarantee|"heddle-j-1-Partition 0"|allow Write and Describe on TransactionalId with the prefix heddle-|at-least-once`},
		{"a right to one task's id only", acls(may(kmsg.ACLResourceTypeTransactionalId, "heddle-j-1-Partition 0", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationAll)), sasl, 2,
			`heddle.processing.guarantee|task "Partition 1"|"heddle-j-1-Partition 1"|allow Write and Describe|at-least-once`},
		{"no commits by time", nil, []string{"--config", "task.commit.ms=-1"}, 2, "--config: task.commit.ms|exactly-once|remove the key|at-least-once"},
		{"checkpoints in files", nil, []string{"--config", "task.checkpoint.factory=file"}, 2, "--config: task.checkpoint.factory|exactly-once|set it to kafka"},
		{"errors dropped", nil, []string{"--config", "task.drop.producer.errors=true"}, 2, "--config: task.drop.producer.errors|exactly-once|remove the key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := newOnKafka(t, tt.kafka...)
			_, errs, code := j.run(tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d; stderr:\n%s", code, tt.code, errs)
			}
			first, _, _ := strings.Cut(errs, "\n")
			if strings.Contains(tt.want, "task \"") { // met by the container, when warnings have been given
				first = firstError(errs)
			}
			for part := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(first, part) {
					t.Errorf("the first line is %q, want it to hold %q", first, part)
				}
			}
		})
	}
}

// onKafka is a job on a Kafka in this process.
type onKafka struct {
	t   *testing.T
	c   *kfake.Cluster
	dir string
}

func newOnKafka(t *testing.T, opts ...kfake.Opt) *onKafka {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(2, "in"), kfake.ClusterID(fmt.Sprint("guarantee-", time.Now().UnixNano()))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	j := &onKafka{t, c, t.TempDir()}
	if err := os.WriteFile(filepath.Join(j.dir, "job.properties"), []byte(exactlyJob), 0o600); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *onKafka) run(args ...string) (stdout, stderr string, code int) {
	j.t.Helper()
	return start(j.t, j.dir, append([]string{"--config-path=job.properties", "--until-caught-up", "--quiet",
		"--config", "systems.kafka.producer.bootstrap.servers=" + j.c.ListenAddrs()[0]}, args...)...)
}

// firstError is the first line of an error: warnings of passwords in the open may
// stand before it.
func firstError(stderr string) string {
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "level=WARN") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// TestExactlyOnceOpenTransaction: what a process of an older epoch left open is
// ended by the job's start, which does not wait for its time-out. That process
// can commit nothing any more, and nothing of it is seen.
func TestExactlyOnceOpenTransaction(t *testing.T) {
	j := newOnKafka(t)
	client := func(opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(j.c.ListenAddrs()...))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	old := client(kgo.TransactionalID("heddle-j-1-Partition 0"), kgo.TransactionTimeout(10*time.Minute))
	if err := old.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := old.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Value: []byte("no JSON, never committed")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := j.run(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	if err := old.EndTransaction(t.Context(), kgo.TryCommit); !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Errorf("the older process commits: %v", err)
	}
	ends, err := kadm.NewClient(client()).ListCommittedOffsets(t.Context(), "in")
	if err != nil {
		t.Fatal(err)
	}
	all, err := kadm.NewClient(client()).ListEndOffsets(t.Context(), "in")
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		stable, _ := ends.Lookup("in", p)
		if end, _ := all.Lookup("in", p); stable.Offset != end.Offset {
			t.Errorf("partition %d ends at %d, the last stable offset is %d: the transaction is open still", p, end.Offset, stable.Offset)
		}
	}
}

// TestCheckpointSetBehindAnOpenTransaction: a killed container left a transaction
// open on the topic with the checkpoints, and another has committed behind it.
// What is set anew begins with that, and not with what lies in front of it:
// positions of other inputs would go back. Neither that nor showing it waits.
func TestCheckpointSetBehindAnOpenTransaction(t *testing.T) {
	j := newOnKafka(t, kfake.SeedTopics(1, "a", "b", "pageviews"))
	inputs := []string{"--config", "task.inputs=kafka.a,kafka.b"}
	kafka := "systems.kafka.producer.bootstrap.servers=" + j.c.ListenAddrs()[0]
	command := func(args ...string) []string {
		return append(append(args, "--config-path=job.properties", "--config", kafka), inputs...)
	}
	run := func() {
		t.Helper()
		if _, errs, code := j.run(inputs...); code != 0 {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
	}
	run()
	dead, err := kgo.NewClient(kgo.SeedBrokers(j.c.ListenAddrs()...), kgo.TransactionalID("heddle-j-1-Partition 7"), kgo.TransactionTimeout(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Close)
	if err := dead.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	key := checkpoint.AppendKey(nil, checkpoint.Key{Grouper: "org.apache.samza.container.grouper.stream.GroupByPartitionFactory", TaskName: "Partition 7", Type: checkpoint.TypeV1})
	if err := dead.ProduceSync(t.Context(), &kgo.Record{Topic: checkpoint.Topic("j", "1"), Key: key, Value: []byte("{}")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	alive, err := kgo.NewClient(kgo.SeedBrokers(j.c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alive.Close)
	for i := range 5 {
		v := fmt.Appendf(nil, `{"user":"u","latencyMs":%d}`, i)
		if err := alive.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: v}, &kgo.Record{Topic: "b", Value: v}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	run() // commits behind the open transaction

	if _, errs, code := start(t, j.dir, command("checkpoint", "set", "kafka.a", "--to=oldest")...); code != 0 {
		t.Fatalf("checkpoint set: exit code %d\n%s", code, errs)
	}
	out, errs, code := start(t, j.dir, command("checkpoint", "show", "--json")...)
	got := map[string]string{}
	for line := range strings.Lines(out) {
		var p struct {
			Stream string
			Offset *string
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Offset == nil {
			t.Fatalf("%s: %v", line, err)
		}
		got[p.Stream] = *p.Offset
	}
	if code != 0 {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	if want := map[string]string{"kafka.a": "-1", "kafka.b": "4"}; !maps.Equal(got, want) {
		t.Errorf("the positions are %v, want %v", got, want)
	}
}
