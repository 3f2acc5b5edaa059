package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"heddle/config"
	"heddle/system"
)

func job(more string) config.Config {
	m := map[string]string{
		"job.name":                    "j",
		"task.class":                  "t",
		"task.inputs":                 "kafka.in",
		"systems.kafka.samza.factory": "kafka",
	}
	for line := range strings.Lines(more) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			m[k] = v
		}
	}
	return config.New(m)
}

func facts(embedded, auto bool, streams ...string) Facts {
	f := SystemFacts{Streams: map[string]system.StreamInfo{}, Brokers: 1, AutoCreates: auto, Embedded: embedded}
	for _, s := range streams {
		f.Streams[s] = system.StreamInfo{Name: s, Partitions: 3}
	}
	return Facts{map[string]SystemFacts{"kafka": f}}
}

func TestTopics(t *testing.T) {
	const out = "streams.out.samza.system=kafka\n"
	tests := []struct {
		name  string
		more  string
		facts Facts
		want  string // topics to be made: "name partitions replication why"
		err   string // parts of the error, separated by |
	}{
		{"all there", out, facts(false, false, "in", "out"), "", ""},
		{"input missing", "", facts(false, false), "", "task.inputs: the input topic kafka.in does not exist|topic create kafka.in --partitions=4"},
		{"broadcast input missing", "task.broadcast.inputs=kafka.rules#0", facts(false, false), "", "task.broadcast.inputs: the input topic kafka.rules does not exist|topic create kafka.rules"},
		{"input missing though configured", "streams.in.samza.system=kafka\nstreams.in.partition.count=7", facts(false, false), "", "topic create kafka.in --partitions=7"},
		{"input missing on brokers that make topics", "", facts(false, true), "", "the input topic kafka.in does not exist"},
		{"input missing in the embedded Kafka", "", facts(true, false), "", "the input topic kafka.in does not exist"},
		{"input preloaded", "heddle.preload.kafka.in=x.jsonl", facts(true, false), "in 4 1 preloaded input", ""},
		{"input preloaded with its count", "heddle.preload.kafka.in=x.jsonl\nstreams.in.samza.system=kafka\nstreams.in.partition.count=2", facts(false, false), "in 2 1 preloaded input", ""},
		{"output says how", out + "streams.out.partition.count=5", facts(false, false, "in"), "out 5 1 output", ""},
		{"output does not say how", out, facts(false, false, "in"), "", "the output topic kafka.out does not exist|streams.out.partition.count"},
		{"output on brokers that make topics", out, facts(false, true, "in"), "", ""},
		{"output in the embedded Kafka", out, facts(true, false, "in"), "out 4 1 output", ""},
		{"everything that is missing is told", out, facts(false, false), "", "kafka.in does not exist|kafka.out does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			create, err := Topics(job(tt.more), tt.facts)
			var got []string
			for _, c := range create {
				got = append(got, fmt.Sprintf("%s %d %d %s", c.Spec.Name, c.Spec.Partitions, c.Spec.ReplicationFactor, c.Why))
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("makes %q, want %q", got, tt.want)
			}
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			for part := range strings.SplitSeq(tt.err, "|") {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want one with %q", err, part)
				}
			}
			var m *Missing
			if !errors.As(err, &m) || m.ExitCode() != 2 {
				t.Errorf("error %v is no *Missing with exit code 2", err)
			}
		})
	}
}

func TestTask(t *testing.T) {
	c := job("")
	if err := Task(c, "prog", []string{"a", "t"}); err != nil {
		t.Fatal(err)
	}
	err := Task(c, "prog", []string{"a", "b"})
	if err == nil || !strings.Contains(err.Error(), `no task is registered as "t"`) || !strings.Contains(err.Error(), "prog registers a, b") {
		t.Fatalf("error %v", err)
	}
}
