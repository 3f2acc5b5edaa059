package grid

import (
	"slices"
	"testing"
)

func TestTally(t *testing.T) {
	for _, c := range []struct {
		name           string
		sent, received []string
		want           Delivery
		missing        []string
	}{
		{"nothing", nil, nil, Delivery{}, nil},
		{"exact, other order", []string{"a", "b", "c"}, []string{"c", "a", "b"}, Delivery{In: 3, Out: 3}, nil},
		{"lost", []string{"a", "b"}, []string{"b"}, Delivery{In: 2, Out: 1, Lost: 1}, []string{"a"}},
		{"twice and thrice", []string{"a", "b"}, []string{"a", "a", "a", "b"}, Delivery{In: 2, Out: 4, Twice: 2}, nil},
		{"unknown", []string{"a"}, []string{"x", "a", "x"}, Delivery{In: 1, Out: 3, Unknown: 2}, nil},
		{"sent twice, came once", []string{"a", "a"}, []string{"a"}, Delivery{In: 2, Out: 1, Lost: 1}, []string{"a"}},
		{"lost and twice do not even out", []string{"a", "b"}, []string{"a", "a"}, Delivery{In: 2, Out: 2, Lost: 1, Twice: 1}, []string{"b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Tally(c.sent, c.received); got != c.want {
				t.Errorf("Tally = %v, want %v", got, c.want)
			}
			if got := Missing(c.sent, c.received, 10); !slices.Equal(got, c.missing) {
				t.Errorf("Missing = %q, want %q", got, c.missing)
			}
		})
	}
}

func TestMissingVariable(t *testing.T) {
	environment := map[string]string{"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092", "HADOOP_CONF_DIR": "/conf"}
	g := fromEnvironment(func(name string) string { return environment[name] })
	if got := g.missing([]Part{Kafka}); got != "" {
		t.Errorf("Kafka alone: %s is missing, want nothing", got)
	}
	if got := g.missing([]Part{Kafka, YARN}); got != "GRID_RM_WEB" {
		t.Errorf("with YARN: %q is missing, want GRID_RM_WEB", got)
	}
}

func TestParseProcesses(t *testing.T) {
	const container = "container_e02_1700000000000_0012_01_000002"
	commands := map[int]string{10: "/bin/bash launch_container.sh", 11: "/grid/nm1/package/bin/run-container --x"}
	got, err := parseProcesses([]byte("10 "+container+" nm1\n11 "+container+" nm1\n12 "+container+" nm1\n"),
		func(pid int) string { return commands[pid] })
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[1].PID != 11 || got[1].Program() != "run-container" || got[1].NodeManager != "nm1" {
		t.Errorf("processes = %+v", got)
	}
	for application, want := range map[string]bool{"application_1700000000000_0012": true, "application_1700000000000_0001": false} {
		if ofApplication(container, application) != want {
			t.Errorf("%s of %s: want %t", container, application, want)
		}
	}
	if _, err := parseProcesses([]byte("no such line at all\n"), nil); err == nil {
		t.Error("a line of another shape was taken")
	}
}
