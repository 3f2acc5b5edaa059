package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// sections are the headings of the reference, in order.
var sections = []struct{ name, doc string }{
	{sectionJob, "The job as a whole."},
	{sectionTask, "The tasks: what they read, when they commit, what errors do."},
	{sectionSystem, "The systems that hold streams."},
	{sectionStream, "Single streams."},
	{sectionSerializer, "How bytes become values."},
	{sectionStore, "Local state."},
	{sectionYARN, "The cluster. With another job factory than `yarn`, keys that begin with `yarn.` are neither parsed nor checked."},
	{sectionMetrics, "Metrics and their reporters."},
	{sectionHeddle, "Keys of our own, that Samza does not know."},
}

var errNotYet = errors.New("known, but not supported yet")

// regex is a regular expression in the syntax that Go and Java share.
var regex = kind[string]{
	name: "regular expression",
	parse: func(s string) (string, error) {
		if _, err := regexp.Compile(s); err != nil {
			return "", fmt.Errorf("expected a regular expression: %w", err)
		}
		return s, nil
	},
	format: func(s string) string { return s },
}

// versions are versions of the checkpoint format.
var versions = kind[[]string]{
	name: "list of 1 and 2",
	parse: func(s string) ([]string, error) {
		l, _ := list.parse(s)
		if len(l) == 0 {
			return nil, errors.New("expected 1, 2 or both, separated by a comma")
		}
		for _, v := range l {
			if v != "1" && v != "2" {
				return nil, errors.New("expected 1, 2 or both, separated by a comma")
			}
		}
		return l, nil
	},
	format: list.format,
}

const kafkaBackend = "org.apache.samza.storage.KafkaChangelogStateBackendFactory"

// backupFactories are Samza's state backends, of which only the changelog is
// here.
var backupFactories = kind[[]string]{
	name: "comma-separated list",
	parse: func(s string) ([]string, error) {
		l, _ := list.parse(s)
		if i := slices.IndexFunc(l, func(f string) bool { return f != kafkaBackend && simpleName(f) != simpleName(kafkaBackend) }); i >= 0 {
			return nil, fmt.Errorf("%s is %w; use %s, and set %s for copies of stores outside of Kafka", l[i], errNotYet, kafkaBackend, "heddle.snapshot.uri")
		}
		return l, nil
	},
	format: list.format,
}

// simpleName is a class name without its package.
func simpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }
