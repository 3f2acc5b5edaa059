package config

import (
	"fmt"
	"slices"
	"strings"
)

// Systems returns the names of the systems, sorted: those with a factory, and
// those with nothing but bootstrap addresses, which count as Kafka.
func Systems(c Config) []string { return slices.Clone(c.facts().systems()) }

func findSystems(c Config) []string {
	var out []string
	for key := range c.m {
		rest, ok := strings.CutPrefix(key, "systems.")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, ".")
		switch rest {
		case "samza.factory", "consumer.bootstrap.servers", "producer.bootstrap.servers":
			if name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SystemKind returns what the system is. The error names the system's key, or
// the systems that there are.
func SystemKind(c Config, system string) (Alias, error) {
	if !slices.Contains(Systems(c), system) {
		return Alias{Kind: KindSystem}, noSystem(c, system)
	}
	if !SystemFactory.IsSet(c, system) {
		return Canonical(KindSystem, "kafka")
	}
	name, err := SystemFactory.Get(c, system)
	if err != nil {
		return Alias{Kind: KindSystem}, err
	}
	return Canonical(KindSystem, name)
}

func noSystem(c Config, system string) error {
	all := Systems(c)
	there := "there is none"
	if len(all) > 0 {
		there = fmt.Sprintf("there are: %s%s", strings.Join(all, ", "), didYouMean(system, all))
	}
	return &Error{
		Key:     SystemFactory.Name(system),
		Problem: fmt.Sprintf("the system %s is not defined; %s", quote(system), there),
		Hint:    fmt.Sprintf("set %s=kafka", SystemFactory.Name(system)),
	}
}

// Bootstrap returns the addresses of a Kafka system and the key that holds
// them: the producer's, else the consumer's. None means embedded.
func Bootstrap(c Config, system string) (servers []string, key string) {
	return SystemProducerBootstrap.Of(c, system), SystemProducerBootstrap.Found(c, system)
}

// Embedded tells whether the system is the Kafka that lives in the job's own
// processes: a Kafka system without an address, or with the address "embedded".
func Embedded(c Config, system string) bool {
	if k, err := SystemKind(c, system); err != nil || k.Name != "kafka" {
		return false
	}
	servers, _ := Bootstrap(c, system)
	return len(servers) == 0 || len(servers) == 1 && servers[0] == "embedded"
}

// DefaultSystem is the system of all that names none: job.default.system, else
// the only system, else the only Kafka system; empty if there is no such.
func DefaultSystem(c Config) string { return c.facts().def() }

func findDefaultSystem(c Config) string {
	if s := JobDefaultSystem.Of(c); s != "" {
		return s
	}
	all := Systems(c)
	if len(all) == 1 {
		return all[0]
	}
	kafka := slices.DeleteFunc(all, func(s string) bool {
		k, err := SystemKind(c, s)
		return err != nil || k.Name != "kafka"
	})
	if len(kafka) == 1 {
		return kafka[0]
	}
	return ""
}

// CoordinatorSystem is the system of the coordinator stream:
// job.coordinator.system, else DefaultSystem.
func CoordinatorSystem(c Config) (string, error) { return serviceSystem(c, JobCoordinatorSystem) }

// CheckpointSystem is the system of the checkpoint topic:
// task.checkpoint.system, else DefaultSystem.
func CheckpointSystem(c Config) (string, error) { return serviceSystem(c, TaskCheckpointSystem) }

// ChangelogSystem is the system of changelogs that name none:
// job.changelog.system, else DefaultSystem.
func ChangelogSystem(c Config) (string, error) { return serviceSystem(c, JobChangelogSystem) }

func serviceSystem(c Config, k Key[string]) (string, error) {
	s, key := k.Of(c), k.Found(c)
	if s == "" {
		s = DefaultSystem(c)
	}
	all := Systems(c)
	switch {
	case s == "" && len(all) == 0:
		return "", errorAt(c, SystemFactory.Name("kafka"), "set it to kafka", "no system is defined")
	case s == "":
		return "", errorAt(c, key, fmt.Sprintf("set %s or job.default.system", key),
			"not set, and there are several systems: %s", strings.Join(all, ", "))
	case !slices.Contains(all, s):
		return "", errorAt(c, key, "", "the system %s is not defined; there are: %s%s", quote(s), strings.Join(all, ", "), didYouMean(s, all))
	}
	return s, nil
}

// TopicUse says for what a topic is made: ForCoordinator, ForCheckpoint,
// ForChangelog, ForStream.
type TopicUse struct {
	system string
	keys   []string // from the most special
	value  int      // Samza's default
}

// ForCoordinator is the use of the coordinator topic on this system.
func ForCoordinator(system string) TopicUse {
	return TopicUse{system, []string{JobCoordinatorReplicationFactor.Name()}, 3}
}

// ForCheckpoint is the use of the checkpoint topic on this system.
func ForCheckpoint(system string) TopicUse {
	return TopicUse{system, []string{TaskCheckpointReplicationFactor.Name()}, 3}
}

// ForChangelog is the use of a store's changelog on this system.
func ForChangelog(system, store string) TopicUse {
	return TopicUse{system, []string{
		StoreChangelogReplication.Name(store), StoreDefaultReplication.Name(),
	}, 2}
}

// ForStream is the use of a job's input or output.
func ForStream(c Config, system, stream string) TopicUse {
	return TopicUse{system, []string{
		StreamReplicationFactor.Name(StreamID(c, system, stream)),
		"systems." + system + ".streams." + stream + ".replication.factor",
	}, 2}
}

// ReplicationFactor is the number of replicas with which a topic is made: what
// is set for it, else for the system's streams; if nobody set any, Samza's
// default (3 for coordinator and checkpoint, 2 for the rest), but never more
// than there are brokers. What is set but no positive number is an error.
func ReplicationFactor(c Config, use TopicUse, brokers int) (int, error) {
	keys := append(slices.Clone(use.keys), SystemDefaultReplication.Name(use.system))
	for _, key := range keys {
		v, ok := c.Get(key)
		if !ok {
			continue
		}
		n, err := integer(1).parse(v)
		if err != nil {
			return 0, typeError(c, key, v, err)
		}
		return n, nil
	}
	return max(1, min(use.value, brokers)), nil
}
