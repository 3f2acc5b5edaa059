package container

import (
	"errors"
	"fmt"
	"log/slog"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/system/memory"
)

// Systems are the systems of a process, by their names in the configuration.
type Systems map[string]system.System

// OpenSystems makes every system that the configuration defines
// ("systems.NAME.*"). Nothing is connected yet. Errors are wrong
// configuration.
func OpenSystems(c config.Config, log *slog.Logger) (Systems, error) {
	return openSystems(c, kafka.Options{Logger: log})
}

func openSystems(c config.Config, o kafka.Options) (Systems, error) {
	all := Systems{}
	for _, name := range config.Systems(c) {
		s, err := openSystem(name, c, o)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all[name] = s
	}
	return all, nil
}

func openSystem(name string, c config.Config, o kafka.Options) (system.System, error) {
	kind, err := config.SystemKind(c, name)
	if err != nil {
		return nil, err
	}
	switch kind.Name {
	case "kafka":
		o.JobName, o.JobID = config.JobName.Of(c), config.JobID.Of(c)
		return kafka.New(name, c, o)
	case "memory":
		return memory.New(name, memory.NewBroker()), nil
	}
	return nil, &config.Error{Key: config.SystemFactory.Name(name), Origin: c.Origin(config.SystemFactory.Name(name)),
		Problem: fmt.Sprintf("a system of the kind %q cannot hold streams of a job", kind.Name), Hint: "set it to kafka"}
}

// Get gives a system by name; the error says which there are.
func (s Systems) Get(name string) (system.System, error) {
	if sys, ok := s[name]; ok {
		return sys, nil
	}
	return nil, fmt.Errorf("the system %q is not defined; there are %v; set systems.%s.samza.factory=kafka", name, sortedKeys(s), name)
}

// Close closes all of them.
func (s Systems) Close() error {
	var errs []error
	for _, name := range sortedKeys(s) {
		errs = append(errs, s[name].Close())
	}
	return errors.Join(errs...)
}
