package am

import (
	"fmt"
	"testing"
	"time"
)

// What the machine gave up or replaced is still listed, with its end and where
// its logs are.
func TestHistory(t *testing.T) {
	h := &history{logURL: func(a Allocation) string { return "http://" + a.HTTP + "/" + a.ID }}
	m := NewMachine(plan(1))
	now := epoch
	step := func(e Event) {
		now = now.Add(time.Second)
		h.see(now, e, m.Step(now, e))
	}
	allocated := func(id string) Allocated {
		return Allocated{[]Allocation{{ID: id, Host: "h-" + id, HTTP: "h-" + id + ":8042", For: "0"}}}
	}
	step(Started{})
	step(allocated("c1"))
	step(LaunchFailed{"c1", "no disk"})
	step(allocated("c2"))
	step(Launched{"c2"})
	step(Reported{Processor: "0", ContainerID: "c2", Processing: true})
	step(Completed{[]Exit{{ContainerID: "c2", Status: 137}}})
	step(Completed{[]Exit{{ContainerID: "c2", Status: 137}}}) // told twice
	step(allocated("c3"))
	step(Launched{"c3"})
	got := ""
	for _, x := range h.Executions() {
		got += fmt.Sprintf("%s %s %s #%d %d-%d %q\n", x.Container, x.ID, x.LogURL, x.Start, x.StartedAt-epoch.UnixMilli(), max(0, x.EndedAt-epoch.UnixMilli()), x.Exit)
	}
	const want = `0 c1 http://h-c1:8042/c1 #1 2000-3000 "not started: no disk"
0 c2 http://h-c2:8042/c2 #2 4000-7000 "killed by signal 9 (exit code 137)"
0 c3 http://h-c3:8042/c3 #3 9000-0 ""
`
	if got != want {
		t.Errorf("remembered:\n%swant:\n%s", got, want)
	}
}

// Years of restarts take no more memory than the newest.
func TestHistoryIsBounded(t *testing.T) {
	h := &history{}
	launch := func(id string) []Action { return []Action{Launch{Processor: "0", In: Allocation{ID: id}}} }
	h.see(epoch, Started{}, launch("lives"))
	for i := range 2 * keptEnded {
		id := fmt.Sprint(i)
		h.see(epoch, Tick{}, launch(id))
		h.see(epoch.Add(time.Second), Completed{[]Exit{{ContainerID: id, Status: 1}}}, nil)
	}
	all := h.Executions()
	if len(all) != keptEnded+1 || all[0].ID != "lives" || all[1].ID != fmt.Sprint(keptEnded) || all[keptEnded].ID != fmt.Sprint(2*keptEnded-1) {
		t.Errorf("%d are kept, from %s and %s to %s", len(all), all[0].ID, all[1].ID, all[len(all)-1].ID)
	}
}
