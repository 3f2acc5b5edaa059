package config

import (
	"slices"
	"strings"
	"time"
)

// exactlyOnceCommit is task.commit.ms under exactly-once when it is not set:
// outputs are seen downstream only after a commit.
const exactlyOnceCommit = time.Second

// ExactlyOnce says whether heddle.processing.guarantee is exactly-once.
func ExactlyOnce(c Config) bool { return HeddleGuarantee.Of(c) == "exactly-once" }

// CommitInterval is the time between a task's commits, task.commit.ms; 0 or
// less: none by the clock. Under exactly-once the default is a second instead
// of a minute.
func CommitInterval(c Config) (time.Duration, error) {
	if ExactlyOnce(c) && !TaskCommit.IsSet(c) {
		return exactlyOnceCommit, nil
	}
	return TaskCommit.Get(c)
}

// TransactionTimeout is for how long a task's transaction may be open before
// Kafka aborts it: three commit intervals and the longest delay of a commit
// (task.commit.max.delay.ms), at least a minute.
func TransactionTimeout(c Config) (time.Duration, error) {
	commit, err := CommitInterval(c)
	if err != nil {
		return 0, err
	}
	delay, err := TaskCommitMaxDelay.Get(c)
	if err != nil {
		return 0, err
	}
	return max(time.Minute, 3*commit+max(delay, 0)), nil
}

// TransactionalID is the transactional id of a task under exactly-once, the
// same in every container and application of the job.
func TransactionalID(c Config, task string) string {
	return "heddle-" + JobName.Of(c) + "-" + JobID.Of(c) + "-" + task
}

// ReadsCommitted says whether consumers of the system are given only what was
// committed: systems.S.consumer.isolation.level. Without being set it is
// read_committed, whatever the job's guarantee is (Kafka's default, and with it
// Samza's, is read_uncommitted): a job that reads what an exactly-once job
// writes must not count what was aborted, and where nobody writes transactions
// there is no difference.
func ReadsCommitted(c Config, system string) bool {
	v, ok := c.Get(isolationLevel(system))
	return !ok || strings.EqualFold(strings.TrimSpace(v), "read_committed")
}

func isolationLevel(system string) string {
	return SystemConsumerSetting.Name(system, "isolation.level")
}

// guarantee checks what exactly-once needs, as far as no broker has to be asked:
// whether all lies on one cluster, addresses do not tell.
func (v *validator) guarantee() {
	if !ExactlyOnce(v.c) {
		return
	}
	const with = "heddle.processing.guarantee=exactly-once"
	if commit, err := CommitInterval(v.c); err == nil && commit <= 0 {
		key := TaskCommit.Found(v.c)
		v.fail(errorAt(v.c, key, "remove the key (the default is then 1000), or set at-least-once",
			"%s needs commits by the clock: Kafka aborts a transaction that stays open", with))
	}
	if TaskDropProducer.Of(v.c) {
		v.fail(errorAt(v.c, TaskDropProducer.Found(v.c), "remove the key, or set at-least-once",
			"%s cannot be kept when outputs that fail are passed over", with))
	}
	if TaskTransactionalRestore.Of(v.c) && !TaskTransactionalCheckpoint.Of(v.c) && !TaskTransactionalRetain.Of(v.c) {
		v.fail(errorAt(v.c, TaskTransactionalRetain.Name(), "remove one of the two keys, or set at-least-once",
			"with %s=false each start would empty the stores, whose inputs %s does not read again", TaskTransactionalCheckpoint.Name(), with))
	}
	factory, err := TaskCheckpointFactory.Get(v.c)
	if err != nil {
		return // found by others
	}
	if factory != "kafka" {
		v.fail(errorAt(v.c, TaskCheckpointFactory.Name(), "set it to kafka, or set at-least-once",
			"%s needs checkpoints in Kafka, where they are part of a task's transaction; %s is none", with, factory))
		return
	}
	home, err := CheckpointSystem(v.c)
	if err != nil {
		return // found by others
	}
	if k, err := SystemKind(v.c, home); err == nil && k.Name != "kafka" && k.Name != "memory" {
		v.fail(errorAt(v.c, SystemFactory.Name(home), "set at-least-once",
			"%s needs a system with transactions, which %s has not", with, k.Name))
	}
}

// GoingBack says what the files of an exactly-once job need before Samza may run
// the job again. Heddle itself needs nothing of it.
func GoingBack(c Config) []Warning {
	if !ExactlyOnce(c) {
		return nil
	}
	var out []Warning
	for _, s := range systemsReadBack(c) {
		if _, set := c.Get(isolationLevel(s)); !set {
			out = append(out, Warning{Key: isolationLevel(s), Text: "before going back to Samza, set it to read_committed: its readers of checkpoints and changelogs take what was aborted otherwise (Heddle reads committed records without being told)"})
		}
	}
	return out
}

// systemsReadBack are the Kafka systems with checkpoints or changelogs.
func systemsReadBack(c Config) []string {
	var out []string
	add := func(s string) {
		if k, err := SystemKind(c, s); err == nil && k.Name == "kafka" && !Embedded(c, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if s, err := CheckpointSystem(c); err == nil {
		add(s)
	}
	stores, _ := Stores(c) // an error was reported
	for _, s := range stores {
		if s.Logged() {
			add(s.Changelog.System)
		}
	}
	return out
}
