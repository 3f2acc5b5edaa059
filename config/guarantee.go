package config

import (
	"fmt"
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
// committed: systems.S.consumer.isolation.level, which without being set is
// read_committed under exactly-once (as in Kafka Streams) and read_uncommitted
// otherwise (Kafka's default).
func ReadsCommitted(c Config, system string) bool {
	if v, ok := c.Get(isolationLevel(system)); ok {
		return strings.EqualFold(strings.TrimSpace(v), "read_committed")
	}
	return ExactlyOnce(c)
}

func isolationLevel(system string) string {
	return SystemConsumerSetting.Name(system, "isolation.level")
}

// guarantee checks what exactly-once needs.
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
	stores, err := Stores(v.c)
	if err != nil {
		return // found by others
	}
	for _, s := range stores {
		if s.Logged() && !sameCluster(v.c, home, s.Changelog.System) {
			v.fail(errorAt(v.c, StoreChangelog.Name(s.Name), "name the same system for both, or set at-least-once",
				"%s needs changelogs and checkpoints on one Kafka cluster: the store %s has its changelog on the system %s (%s), checkpoints are on %s (%s)",
				with, quote(s.Name), s.Changelog.System, place(v.c, s.Changelog.System), home, place(v.c, home)))
		}
	}
	if k, err := SystemKind(v.c, home); err == nil && k.Name != "kafka" && k.Name != "memory" {
		v.fail(errorAt(v.c, SystemFactory.Name(home), "set at-least-once",
			"%s needs a system with transactions, which %s has not", with, k.Name))
	}
	for _, s := range v.systemsReadBack() {
		if _, set := v.c.Get(isolationLevel(s)); !set {
			v.warnings = append(v.warnings, Warning{Key: isolationLevel(s), Text: fmt.Sprintf(
				"before going back to Samza, set it to read_committed: its readers of checkpoints and changelogs take what was aborted otherwise (%s reads committed records without being told)", with)})
		}
	}
}

// systemsReadBack are the Kafka systems with checkpoints or changelogs.
func (v *validator) systemsReadBack() []string {
	var out []string
	add := func(s string) {
		if k, err := SystemKind(v.c, s); err == nil && k.Name == "kafka" && !Embedded(v.c, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if s, err := CheckpointSystem(v.c); err == nil {
		add(s)
	}
	stores, _ := Stores(v.c) // an error was reported
	for _, s := range stores {
		if s.Logged() {
			add(s.Changelog.System)
		}
	}
	return out
}

// sameCluster says whether two systems are one Kafka cluster as far as their
// addresses tell: they share one.
func sameCluster(c Config, a, b string) bool {
	if a == b {
		return true
	}
	ka, errA := SystemKind(c, a)
	kb, errB := SystemKind(c, b)
	if errA != nil || errB != nil || ka.Name != "kafka" || kb.Name != "kafka" {
		return false
	}
	if Embedded(c, a) || Embedded(c, b) {
		return Embedded(c, a) && Embedded(c, b)
	}
	of, _ := Bootstrap(c, a)
	other, _ := Bootstrap(c, b)
	return slices.ContainsFunc(of, func(s string) bool { return slices.Contains(other, s) })
}

// place is where a system is, for messages.
func place(c Config, system string) string {
	if Embedded(c, system) {
		return "embedded"
	}
	servers, _ := Bootstrap(c, system)
	return strings.Join(servers, ",")
}
