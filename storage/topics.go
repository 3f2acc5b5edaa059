package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"heddle/config"
	"heddle/system"
)

// Topic is the changelog of one store, as it has to be.
type Topic struct {
	Store  string
	System string
	// AccessLog tells that it is the changelog's access log; nobody reads it here.
	AccessLog bool
	// RollsBack tells that a restore undoes what lies behind the checkpoint, so that
	// compaction must not have taken what it goes back to.
	RollsBack bool
	system.StreamSpec
}

// ChangelogTopics gives the topics that the logged stores need. partitions is
// the largest changelog partition of any task plus one; brokers is the number
// of brokers by system, for replication factors that nobody set.
func ChangelogTopics(c config.Config, specs []Spec, partitions int32, brokers map[string]int) ([]Topic, error) {
	var topics []Topic
	for _, s := range specs {
		if !s.Logged() {
			continue
		}
		replicas, err := config.ReplicationFactor(c, config.ForChangelog(s.Changelog.System, s.Name), brokers[s.Changelog.System])
		if err != nil {
			return nil, err
		}
		spec := system.StreamSpec{Name: s.Changelog.Stream, Partitions: partitions, ReplicationFactor: replicas, Settings: s.Topic}
		topics = append(topics, Topic{Store: s.Name, System: s.Changelog.System, StreamSpec: spec, RollsBack: !s.Policy.ExactlyOnce && !s.Policy.ToNewest})
		if s.AccessLogRatio > 0 {
			spec.Name, spec.Settings = AccessLogStream(s.Changelog).Stream, nil
			topics = append(topics, Topic{Store: s.Name, System: s.Changelog.System, AccessLog: true, StreamSpec: spec})
		}
	}
	return topics, nil
}

// Failed says whose topic could not be made or looked at, by which keys, and why.
func (t Topic) Failed(err error) error {
	return fmt.Errorf("changelog of store %q (stores.%s.changelog, and below it): %w", t.Store, t.Store, err)
}

// Check compares a topic that exists with what it has to be. The error says
// what would go wrong and the way out; the warning is about what may be meant
// so.
func (t Topic) Check(info system.StreamInfo) (warning string, err error) {
	if t.AccessLog {
		if info.Partitions < t.Partitions {
			return "", fmt.Errorf("the access log %s.%s of store %q has %d partitions, but the job's tasks need %d: delete the topic, or set stores.%s.accesslog.enabled=false",
				t.System, t.Name, t.Store, info.Partitions, t.Partitions, t.Store)
		}
		return "", nil
	}
	if info.Partitions != t.Partitions {
		return "", fmt.Errorf("the changelog %s.%s of store %q has %d partitions, but the job's tasks need %d: delete the topic (the state is lost) or name another in stores.%s.changelog",
			t.System, t.Name, t.Store, info.Partitions, t.Partitions, t.Store)
	}
	want := t.Settings["cleanup.policy"]
	has, set := info.Settings["cleanup.policy"]
	if want != "" && !strings.Contains(want, "compact") {
		return t.checkAged(info)
	}
	dropsByAge := strings.Contains(has, "delete") && !strings.Contains(want, "delete")
	switch {
	case want == "":
		return "", nil
	case strings.Contains(has, "compact") && !dropsByAge:
		return t.checkCompacted(info)
	case set:
		return "", fmt.Errorf("the changelog %s.%s of store %q has cleanup.policy=%s, so that state would be dropped by age: set it to %s with Kafka's tools, or name another topic in stores.%s.changelog",
			t.System, t.Name, t.Store, has, want, t.Store)
	}
	switch has = info.Defaults["cleanup.policy"]; {
	case strings.Contains(has, "delete"):
		return "", fmt.Errorf("the changelog %s.%s of store %q has no cleanup.policy of its own, and the brokers' is %s, so that state would be dropped by age: set it to %s with Kafka's tools, or name another topic in stores.%s.changelog",
			t.System, t.Name, t.Store, has, want, t.Store)
	case has != "":
		return t.checkCompacted(info)
	}
	return fmt.Sprintf("the changelog %s.%s of store %q has no cleanup.policy of its own; unless the broker's default is %s, state will be dropped by age",
		t.System, t.Name, t.Store, want), nil
}

// checkCompacted is Check for what a restore takes for granted of a topic that is
// compacted.
func (t Topic) checkCompacted(info system.StreamInfo) (warning string, err error) {
	const deletes, lag = "delete.retention.ms", "min.compaction.lag.ms"
	if want, ok := millisOf(t.Settings, deletes); ok {
		if has, known := inForce(info, deletes); known && has < want {
			return "", fmt.Errorf("the changelog %s.%s of store %q has %s=%d, but local state of up to %d ms is used (stores.%s.changelog.%s), which may lack deletions that the topic does not have any more: set the key to %d, or the topic's to %d with Kafka's tools",
				t.System, t.Name, t.Store, deletes, has, want, t.Store, deletes, has, want)
		}
	}
	want, ok := millisOf(t.Settings, lag)
	has, known := inForce(info, lag)
	unless := ""
	if !known {
		unless = "unless the brokers' default is as much, "
	}
	if ok && t.RollsBack && has < want {
		return fmt.Sprintf("the changelog %s.%s of store %q has %s=%d, not %d: %sKafka may compact away what a restore to the checkpoint goes back to; set it to %d with Kafka's tools, or stores.%s.changelog.%s to what it is",
			t.System, t.Name, t.Store, lag, has, want, unless, want, t.Store, lag), nil
	}
	return "", nil
}

// inForce is what holds for a setting in ms: the topic's own, else the brokers'.
func inForce(info system.StreamInfo, name string) (ms int64, known bool) {
	if ms, known = millisOf(info.Settings, name); known {
		return ms, true
	}
	return millisOf(info.Defaults, name)
}

// millisOf is a setting in ms; ok is false if it is not set, or no number.
func millisOf(settings map[string]string, name string) (ms int64, ok bool) {
	ms, err := strconv.ParseInt(settings[name], 10, 64)
	return ms, err == nil
}

// checkAged is Check for a changelog that is to drop records by age, as that of a
// store with a TTL is.
func (t Topic) checkAged(info system.StreamInfo) (warning string, err error) {
	if has := info.Settings["cleanup.policy"]; strings.Contains(has, "compact") {
		retention := ""
		if ms := t.Settings["retention.ms"]; ms != "" {
			retention = " and retention.ms to " + ms
		}
		return "", fmt.Errorf("the changelog %s.%s of store %q has cleanup.policy=%s, but the job wants %s (for stores.%s.rocksdb.ttl.ms, or by stores.%s.changelog.kafka.cleanup.policy) and nothing would drop what has ended: set the topic's cleanup.policy to %s%s with Kafka's tools, or set stores.%s.changelog.kafka.cleanup.policy=compact, or name another topic in stores.%s.changelog",
			t.System, t.Name, t.Store, has, t.Settings["cleanup.policy"], t.Store, t.Store, t.Settings["cleanup.policy"], retention, t.Store, t.Store)
	}
	want, err := strconv.ParseInt(t.Settings["retention.ms"], 10, 64)
	if err != nil || want < 0 {
		return "", nil //nolint:nilerr // without a number of its own there is nothing to compare
	}
	text, set := info.Settings["retention.ms"]
	has, err := strconv.ParseInt(text, 10, 64)
	switch {
	case set && err == nil && has >= 0 && has < want:
		return "", fmt.Errorf("the changelog %s.%s of store %q has retention.ms=%d, which is less than the store's TTL, so that state would be dropped before it ends: set it to %d with Kafka's tools, or name another topic in stores.%s.changelog",
			t.System, t.Name, t.Store, has, want, t.Store)
	case !set && want > kafkaRetention.Milliseconds():
		return fmt.Sprintf("the changelog %s.%s of store %q has no retention.ms of its own; unless the broker's default is %d or more, state will be dropped before it ends",
			t.System, t.Name, t.Store, want), nil
	}
	return "", nil
}

// kafkaRetention is Kafka's default log.retention.hours.
const kafkaRetention = 7 * 24 * time.Hour

// Create makes the changelogs that do not exist and checks those that do. It
// may run at the same time somewhere else. The warnings are Check's.
func Create(ctx context.Context, systems map[string]system.System, topics []Topic) (warnings []string, err error) {
	for _, t := range topics {
		w, err := create(ctx, systems[t.System], t)
		if err != nil {
			return warnings, t.Failed(err)
		}
		if w != "" {
			warnings = append(warnings, w)
		}
	}
	return warnings, nil
}

func create(ctx context.Context, sys system.System, t Topic) (warning string, err error) {
	if sys == nil {
		return "", fmt.Errorf("system %q is not configured; set systems.%s.samza.factory", t.System, t.System)
	}
	admin, err := sys.Admin()
	if err != nil {
		return "", err
	}
	for first := true; ; first = false {
		infos, err := admin.Describe(ctx, t.Name)
		if err != nil {
			return "", err
		}
		if info, ok := infos[t.Name]; ok {
			return t.Check(info)
		}
		err = admin.Create(ctx, t.StreamSpec)
		if !first || err == nil || !errors.Is(err, system.ErrExists) {
			return "", err
		}
	}
}
