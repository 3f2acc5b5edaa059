package job

import (
	"strings"
	"testing"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
)

func TestMoved(t *testing.T) {
	part := func(n int32) system.Partition {
		return system.Partition{System: "kafka", Stream: "in", Partition: n}
	}
	task := func(name string, n int32) jobmodel.Task {
		return jobmodel.Task{Name: name, Inputs: []jobmodel.Input{{System: "kafka", Stream: "in", Partition: n}}}
	}
	p := &positions{
		model: jobmodel.JobModel{Containers: map[string]jobmodel.Container{"0": {ID: "0", Tasks: map[string]jobmodel.Task{
			"Partition 0": task("Partition 0", 0), "Partition 1": task("Partition 1", 1)}}}},
		last: map[string]checkpoint.Checkpoint{"Partition 0": {
			ID: "1-1", Inputs: map[system.Partition]string{part(0): "7"},
			Changelogs: map[string]checkpoint.Changelog{"counts": {Offset: "3"}},
		}},
		ends: map[system.StreamID][]system.Ends{{System: "kafka", Stream: "in"}: {{Oldest: 5, Next: 10}, {Oldest: 0, Next: 0}}},
	}
	tests := []struct {
		name string
		move Move
		want string // "0:offset 1:offset" of the tasks that change
		err  string
	}{
		{"oldest", Move{Partition: -1, To: "oldest"}, "0:4 1:-1", ""},
		{"newest", Move{Partition: -1, To: "newest"}, "0:9 1:-1", ""},
		{"an offset of one partition", Move{Partition: 0, To: "6"}, "0:5", ""},
		{"one task", Move{Partition: -1, Task: "Partition 0", To: "10"}, "0:9", ""},
		{"beyond the end", Move{Partition: 0, To: "11"}, "", "holds the offsets 5 to 10"},
		{"before the oldest", Move{Partition: 0, To: "4"}, "", "holds the offsets 5 to 10"},
		{"no such task", Move{Partition: -1, Task: "x", To: "oldest"}, "", "there are: Partition 0, Partition 1"},
		{"no such partition", Move{Partition: 9, To: "oldest"}, "", "--partition=9"},
		{"no input", Move{Stream: "kafka.out", Partition: -1, To: "oldest"}, "", "kafka.out is no input"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := config.SystemStream{System: "kafka", Stream: "in"}
			if tt.move.Stream != "" {
				at.Stream = "out"
			}
			got, err := p.moved(at, tt.move)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || ExitCode(err) != ExitUsage {
					t.Fatalf("error %v with code %d, want %q with %d", err, ExitCode(err), tt.err, ExitUsage)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var parts []string
			for i, name := range []string{"Partition 0", "Partition 1"} {
				if c, ok := got[name]; ok {
					parts = append(parts, string(rune('0'+i))+":"+c.Inputs[part(int32(i))])
				}
			}
			if s := strings.Join(parts, " "); s != tt.want {
				t.Errorf("moved to %q, want %q", s, tt.want)
			}
			if c, ok := got["Partition 0"]; ok && c.Changelogs["counts"].Offset != "3" {
				t.Error("the changelog's position was lost")
			}
			if p.last["Partition 0"].Inputs[part(0)] != "7" {
				t.Error("what was read was changed")
			}
		})
	}
}

// TestMovedInATopicMadeAnew: the new checkpoint is of the topic that is there now,
// and what it says of other partitions is of it, too.
func TestMovedInATopicMadeAnew(t *testing.T) {
	in, log := system.StreamID{System: "kafka", Stream: "in"}, system.StreamID{System: "kafka", Stream: "log"}
	part := func(n int32) system.Partition {
		return system.Partition{System: "kafka", Stream: "in", Partition: n}
	}
	for _, tt := range []struct {
		then system.TopicID
		want string
	}{{system.TopicID{1}, "4"}, {system.TopicID{2}, "7"}, {system.TopicID{}, "7"}} {
		p := &positions{
			model: jobmodel.JobModel{Containers: map[string]jobmodel.Container{"0": {ID: "0", Tasks: map[string]jobmodel.Task{
				"all": {Name: "all", Inputs: []jobmodel.Input{{System: "kafka", Stream: "in", Partition: 0}, {System: "kafka", Stream: "in", Partition: 1}}}}}}},
			last: map[string]checkpoint.Checkpoint{"all": {
				ID: "1-1", Inputs: map[system.Partition]string{part(0): "7", part(1): "8"},
				Topics: map[system.StreamID]system.TopicID{in: tt.then, log: {9}},
			}},
			ends: map[system.StreamID][]system.Ends{in: {{Oldest: 5, Next: 10, Topic: system.TopicID{2}}, {Oldest: 0, Next: 20, Topic: system.TopicID{2}}}},
		}
		got, err := p.moved(config.SystemStream{System: "kafka", Stream: "in"}, Move{Partition: 1, To: "13"})
		if err != nil {
			t.Fatal(err)
		}
		c := got["all"]
		if c.Inputs[part(0)] != tt.want || c.Inputs[part(1)] != "12" || c.Topics[in] != (system.TopicID{2}) || c.Topics[log] != (system.TopicID{9}) {
			t.Errorf("a checkpoint of topic %q became %+v", tt.then, c)
		}
		if p.last["all"].Topics[in] != tt.then || p.last["all"].Inputs[part(0)] != "7" {
			t.Error("what was read was changed")
		}
	}
}

func TestMoveCheck(t *testing.T) {
	for to, ok := range map[string]bool{"oldest": true, "newest": true, "0": true, "17": true, "": false, "-1": false, "soon": false} {
		if err := (Move{To: to}).Check(); (err == nil) != ok {
			t.Errorf("--to=%q: %v", to, err)
		}
	}
}
