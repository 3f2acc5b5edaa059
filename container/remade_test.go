package container

import (
	"fmt"
	"strings"
	"testing"

	"heddle/system"
	"heddle/task"
)

// TestTopicsMadeAnew: an input and a changelog that were deleted and made anew,
// and have grown past the checkpoint, are read from their beginnings, with one
// warning each; the checkpoint that says so is one in Samza's topic.
func TestTopicsMadeAnew(t *testing.T) {
	for _, guarantee := range []string{"at-least-once", "exactly-once"} {
		t.Run(guarantee, func(t *testing.T) {
			r := newRig(t, 1).store().set("heddle.processing.guarantee", guarantee)
			r.inTopic, r.until = true, true
			r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
				if err := countWord(ctx, m); err != nil {
					return err
				}
				return forward(ctx, m)
			}}.factory()
			remake := func(name string) {
				t.Helper()
				if err := r.broker.Delete(name); err != nil {
					t.Fatal(err)
				}
				if err := r.broker.Create(system.StreamSpec{Name: name, Partitions: 1}); err != nil {
					t.Fatal(err)
				}
			}
			run := func(out, warning string) {
				t.Helper()
				before := len(r.out())
				if err := r.run(); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(r.out()[before:], " "); got != out {
					t.Errorf("it read %q, want %q", got, out)
				}
				n := 0
				if warning != "" {
					n = 1
				}
				if log := r.log.String(); strings.Count(log, "level=WARN") != n || !strings.Contains(log, warning) {
					t.Errorf("want %q, the log is\n%s", warning, log)
				}
			}
			r.fill(0, "a", "b", "a")
			run("a b a", "")
			run("", "")
			remake("in")
			r.fill(0, "c", "d", "c", "e", "f")
			run("c d c e f", "the topic was deleted and made anew since the checkpoint")
			run("", "")
			remake("log")
			for i := range 20 {
				if _, err := r.broker.Append("log", 0, fmt.Append(nil, "w", i), []byte{0, 0, 0, 0, 0, 0, 0, 7}); err != nil {
					t.Fatal(err)
				}
			}
			r.fill(0, "w19")
			run("w19", "the changelog was deleted and made anew since the last commit")
			// Nothing of it was undone, and the count goes on from it.
			last := r.broker.Records("log", 0)
			if len(last) != 21 || string(last[20].Key) != "w19" || last[20].Value[7] != 8 {
				t.Errorf("the changelog has %d records, the last is %+v", len(last), last[len(last)-1])
			}
			run("", "")
		})
	}
}
