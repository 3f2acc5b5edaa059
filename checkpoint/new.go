package checkpoint

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"heddle/config"
	"heddle/system"
)

// Options are what New needs besides the configuration.
type Options struct {
	// Logger is told what is unusual; nil: silence.
	Logger *slog.Logger
	// Tasks, if not nil, tells ReadAll that the job does not run, and which tasks it
	// has. It was perhaps killed, exactly-once: then ReadAll ends the transactions
	// that these tasks left open, so that nobody can commit them any more, and reads
	// their newest checkpoints (Kafka.Inherit). Without it ReadAll changes nothing,
	// and passes over what is open.
	Tasks []string
	// Waits, if not nil, is called when a transaction is open that may have to be
	// waited for.
	Waits func()
}

// New gives the log of checkpoints that the configuration names in
// task.checkpoint.factory: a topic of one of the systems (the default), files,
// or none. Start has to be called before it is used.
func New(c config.Config, systems map[string]system.System, o Options) (Log, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	factory, err := config.TaskCheckpointFactory.Get(c)
	if err != nil {
		return nil, err
	}
	switch factory {
	case "none":
		return None{}, nil
	case "file":
		path, err := config.TaskCheckpointPath.Get(c)
		if err != nil {
			return nil, err
		}
		if path == "" {
			path = filepath.Join(config.HeddleHome.Of(c), "checkpoints")
		}
		known, err := storesOf(c)
		if err != nil {
			return nil, err
		}
		return NewFiles(path, config.JobName.Of(c), known), nil
	case "kafka":
		k, err := kafkaOptions(c, systems)
		if err != nil {
			return nil, err
		}
		k.Logger = o.Logger
		return NewKafka(k), nil
	}
	return nil, fmt.Errorf("task.checkpoint.factory=%s: there are kafka, file and none", factory)
}

func kafkaOptions(c config.Config, systems map[string]system.System) (KafkaOptions, error) {
	name, err := config.CheckpointSystem(c)
	if err != nil {
		return KafkaOptions{}, err
	}
	sys, ok := systems[name]
	if !ok {
		return KafkaOptions{}, fmt.Errorf("checkpoints: system %q was not made", name)
	}
	grouper, err := config.JobGrouper.Get(c)
	if err != nil {
		return KafkaOptions{}, err
	}
	if a, err := config.Canonical(config.KindGrouper, grouper); err == nil && a.Class != "" {
		grouper = a.Class
	}
	known, err := storesOf(c)
	if err != nil {
		return KafkaOptions{}, err
	}
	write, read := versions(config.TaskCheckpointWriteVersions.Of(c)), versions(config.TaskCheckpointReadVersions.Of(c))
	if !slices.ContainsFunc(read, func(v int) bool { return slices.Contains(write, v) }) {
		return KafkaOptions{}, fmt.Errorf("task.checkpoint.read.versions has none of task.checkpoint.write.versions: no checkpoint that the job writes would ever be read")
	}
	settings, err := config.CheckpointTopic(c, name)
	if err != nil {
		return KafkaOptions{}, err
	}
	return KafkaOptions{
		System:  sys,
		Topic:   Topic(config.JobName.Of(c), config.JobID.Of(c)),
		Grouper: grouper, Settings: settings,
		Replicas: func(brokers int) (int, error) {
			return config.ReplicationFactor(c, config.ForCheckpoint(name), brokers)
		},
		Lenient:       !config.JobCheckpointValidation.Of(c),
		WriteVersions: write,
		ReadVersions:  read,
		MaxAge:        config.TaskLiveCheckpointMaxAge.Of(c),
		Stores:        known,
		Transactional: config.ExactlyOnce(c),
		TransactionalID: func(taskName string) string {
			return config.TransactionalID(c, taskName)
		},
	}, nil
}

func storesOf(c config.Config) (Stores, error) {
	all, err := config.Stores(c)
	if err != nil {
		return nil, err
	}
	known := Stores{}
	for _, s := range all {
		if s.Logged() {
			known[system.StreamID(s.Changelog)] = s.Name
		}
	}
	return known, nil
}

func versions(texts []string) []int {
	var out []int
	for _, t := range texts {
		switch strings.TrimSpace(t) {
		case "1":
			out = append(out, 1)
		case "2":
			out = append(out, 2)
		}
	}
	return out
}

// Topic is the name of a job's checkpoint topic. As in Samza, underscores in
// the job's name and id become dashes.
func Topic(jobName, jobID string) string {
	dashed := func(s string) string { return strings.ReplaceAll(s, "_", "-") }
	return "__samza_checkpoint_ver_1_for_" + dashed(jobName) + "_" + dashed(jobID)
}

// grouperError: the job's checkpoints are of another grouper of partitions, so
// that they tell nothing of its tasks. The configuration is at fault.
type grouperError struct{ task, written, configured string }

func (e grouperError) Error() string {
	return fmt.Sprintf("the checkpoint of task %q was written with the grouper %s, but the configuration has %s: set job.systemstreampartition.grouper.factory back, or give the job another job.id to begin anew",
		e.task, e.written, e.configured)
}

// ExitCode is that of a wrong configuration: another start would read the same.
func (grouperError) ExitCode() int { return 2 }
