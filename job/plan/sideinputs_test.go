package plan

import (
	"errors"
	"strings"
	"testing"

	"heddle/config"
	"heddle/system"
)

func sideJob(more ...string) config.Config {
	m := map[string]string{
		"job.name": "j", "task.class": "x", "task.inputs": "kafka.in", "systems.kafka.samza.factory": "kafka",
		"stores.users.factory": "memory", "stores.users.side.inputs": "kafka.users",
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return config.New(m)
}

func TestSideInputFunctionsAreCheckedAtTheDoor(t *testing.T) {
	if err := SideInputs(sideJob(), []string{}); err != nil {
		t.Error(err)
	}
	c := sideJob("stores.users.side.inputs.processor.factory", "com.example.Users")
	for _, held := range [][]string{nil, {"com.example.Users", "other"}} {
		if err := SideInputs(c, held); err != nil {
			t.Errorf("held %v: %v", held, err)
		}
	}
	err := SideInputs(c, []string{"other"})
	var wrong *config.Error
	if !errors.As(err, &wrong) || wrong.Key != "stores.users.side.inputs.processor.factory" || wrong.ExitCode() != 2 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{`"com.example.Users"`, "there are other", "container.WithSideInput"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestAMissingSideInputIsAnErrorWithTheCommand(t *testing.T) {
	facts := Facts{Systems: map[string]SystemFacts{"kafka": {Streams: map[string]system.StreamInfo{"in": {Name: "in", Partitions: 1}}, AutoCreates: true, Brokers: 1}}}
	for _, c := range []config.Config{sideJob(), sideJob("heddle.stores.users.shared", "true")} {
		_, err := Topics(c, facts)
		var missing *Missing
		if !errors.As(err, &missing) || missing.Key != "stores.users.side.inputs" {
			t.Fatalf("%v", err)
		}
		if want := "topic create kafka.users"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestASideInputThatDropsByAgeIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		embedded bool
		want     string // "": no warning
	}{
		{nil, false, "cleanup.policy is not set"},
		{map[string]string{"cleanup.policy": "delete"}, false, "cleanup.policy is delete"},
		{map[string]string{"cleanup.policy": "compact,delete"}, false, "cleanup.policy is compact,delete"},
		{map[string]string{"retention.ms": "3600000"}, false, "kafka.users may drop messages by age"},
		{map[string]string{"cleanup.policy": "compact"}, false, ""},
		{map[string]string{"retention.ms": "-1"}, false, ""},
		{map[string]string{"cleanup.policy": "delete", "retention.ms": "-1"}, false, ""},
		{nil, true, ""},
	} {
		facts := Facts{Systems: map[string]SystemFacts{"kafka": {Embedded: c.embedded, Streams: map[string]system.StreamInfo{"users": {Name: "users", Partitions: 1, Settings: c.settings}}}}}
		got, err := SideTopics(sideJob(), facts)
		if err != nil || len(got) != min(1, len(c.want)) {
			t.Errorf("%v: %v, %v", c.settings, got, err)
			continue
		}
		if c.want != "" && (got[0].Key != "stores.users.side.inputs" || !strings.Contains(got[0].String(), c.want)) {
			t.Errorf("%v: %s", c.settings, got[0])
		}
	}
	if got, err := SideTopics(sideJob(), Facts{}); err != nil || len(got) > 0 {
		t.Errorf("a topic that is to be made: %v, %v", got, err)
	}
}
