package container

import (
	"fmt"
	"strings"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// settings is what the configuration says of the run loop, read once.
type settings struct {
	config         config.Config
	jobName, jobID string
	containerID    string

	// window and commit are task.window.ms and task.commit.ms; 0 and below:
	// never by the clock.
	window, commit time.Duration
	// commitTimeout fails a commit (task.commit.timeout.ms); shutdown bounds the
	// graceful end (task.shutdown.ms).
	commitTimeout, shutdown time.Duration

	dropDeserialization, dropSerialization, dropProducer bool
	ignored                                              ignored

	transactionalCheckpoint, transactionalRestore bool
	// exactlyOnce is heddle.processing.guarantee.
	exactlyOnce bool

	// safety bounds what is fetched and not processed, in bytes over all input
	// partitions of a system, besides systems.S.samza.fetch.threshold.
	safety int
	// arenaChunk bounds the chunks of the tasks' arenas.
	arenaChunk int

	untilCaughtUp bool
	showSamples   bool
}

// pollInterval is how long an idle partition waits at most to be looked at
// while others are full (Samza: task.poll.interval.ms, 50).
const pollInterval = 50 * time.Millisecond

// readSettings takes what it needs from a configuration that was validated
// when the job was planned; an error here is wrong configuration all the same.
func readSettings(c config.Config, containerID string) (*settings, error) {
	memory, err := config.ContainerMemoryMB(c)
	if err != nil {
		return nil, err
	}
	commit, err := config.CommitInterval(c)
	if err != nil {
		return nil, err
	}
	s := &settings{
		config:      c,
		jobName:     config.JobName.Of(c),
		jobID:       config.JobID.Of(c),
		containerID: containerID,
		commit:      commit,
		exactlyOnce: config.ExactlyOnce(c),
		safety:      fetchAhead(memory),
		arenaChunk:  maxChunk,
	}
	for _, err := range []error{
		get(&s.window, config.TaskWindow, c),
		get(&s.commitTimeout, config.TaskCommitTimeout, c),
		get(&s.shutdown, config.TaskShutdown, c),
		get(&s.dropDeserialization, config.TaskDropDeserialization, c),
		get(&s.dropSerialization, config.TaskDropSerialization, c),
		get(&s.dropProducer, config.TaskDropProducer, c),
		get(&s.transactionalCheckpoint, config.TaskTransactionalCheckpoint, c),
		get(&s.transactionalRestore, config.TaskTransactionalRestore, c),
	} {
		if err != nil {
			return nil, err
		}
	}
	if entries, ok := c.Get("task.ignored.exceptions"); ok {
		s.ignored = newIgnored(strings.Split(entries, ","))
	}
	return s, nil
}

// fetchAhead is the safety bound in bytes for a container of so many MiB: 16 MiB for
// one of 1024. All buffers together may hold twice that much, and the consumer's
// own about as much again, of which the collector lets some be there twice.
func fetchAhead(memory int) int { return max(4<<20, min(memory<<20/64, 64<<20)) }

func get[T any](v *T, k config.Key[T], c config.Config) (err error) {
	*v, err = k.Get(c)
	return err
}

// inputSettings is what the configuration says of one input stream.
type inputSettings struct {
	oldest     bool
	reset      bool
	outOfRange string
	committed  bool // reads only committed records
	// threshold and thresholdBytes are the system's samza.fetch.threshold and
	// samza.fetch.threshold.bytes.
	threshold, thresholdBytes int
	rank                      rank
}

func readInput(c config.Config, id system.StreamID) (inputSettings, error) {
	sc, err := config.Stream(c, id.System, id.Stream)
	if err != nil {
		return inputSettings{}, err
	}
	in := inputSettings{oldest: sc.OffsetDefault == "oldest", reset: sc.ResetOffset, rank: rankOf(sc.Bootstrap, sc.Priority)}
	if in.threshold, err = config.SystemFetchThreshold.Get(c, id.System); err != nil {
		return in, err
	}
	bytes, err := config.SystemFetchThresholdBytes.Get(c, id.System)
	if err != nil {
		return in, err
	}
	in.thresholdBytes = int(bytes)
	reset, err := config.SystemStreamAutoOffsetReset.Get(c, id.System, id.Stream)
	if err != nil {
		return in, err
	}
	switch reset {
	case "":
	case "none":
		in.outOfRange = "none"
	case "latest":
		in.outOfRange = "upcoming"
	default:
		in.outOfRange = "oldest"
	}
	in.committed = config.ReadsCommitted(c, id.System)
	return in, nil
}

// chosen tells which key chose the serde that could not decode a message; empty
// if none did. A container does not know the file that the key stands in.
func (s *settings) chosen(e *task.DecodeError) string {
	sc, err := config.Stream(s.config, e.Source.System, e.Source.Stream)
	if err != nil {
		return ""
	}
	name, key := sc.MsgSerde, sc.MsgSerdeKey
	if e.Part == "key" {
		name, key = sc.KeySerde, sc.KeySerdeKey
	}
	if name == "" || key == "" {
		return ""
	}
	return fmt.Sprintf("; the serde is chosen by %s=%s", key, name)
}
