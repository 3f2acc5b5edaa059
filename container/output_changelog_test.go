package container

import (
	"strings"
	"testing"

	"heddle/task"
)

// TestOutputToAChangelog: a message to the changelog of one of the job's stores
// would become its state; it is wrong configuration, and nothing is written.
func TestOutputToAChangelog(t *testing.T) {
	r := newRig(t, 1).store()
	r.newTask = calls{process: func(ctx task.Context, _ *task.Message) error {
		return ctx.Send(task.Output{Stream: "mem.log", RawKey: []byte("k"), RawValue: []byte("v")})
	}}.factory()
	r.until = true
	r.fill(0, "a")
	err := r.run()
	if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), `stores.counts.changelog: mem.log is the changelog of the store "counts"`) {
		t.Errorf("%v, exit code %d", err, exitCode(err))
	}
	if n := len(r.broker.Records("log", 0)); n != 0 {
		t.Errorf("%d records were written", n)
	}
}
