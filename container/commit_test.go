package container

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"heddle/checkpoint"
	"heddle/system"
	"heddle/system/memory"
)

// The order of a commit, as the outside sees it. Every record and checkpoint
// is noted with what came before it; another order fails.
func TestCommitOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).store()
		r.newTask = counting(1000)
		var mu sync.Mutex
		var order []string
		note := func(s string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, s)
		}
		release := make(chan struct{})
		r.checkpoints.wrote = func(_ string, c checkpoint.Checkpoint) {
			note("checkpoint " + c.Changelogs["counts"].Offset)
		}
		r.broker.SetFaults(memory.Faults{
			Send: func(_ string, rec system.Record) error {
				if rec.Stream == "log" {
					note("cached write to the changelog")
				}
				return nil
			},
			Ack: func(_ string, rec system.Record) error {
				<-release
				note("acknowledged " + rec.Stream)
				return nil
			},
		})
		c, end := r.begin(t.Context())
		synctest.Wait()
		order = nil // the commit at the start
		r.fill(0, "a")
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("before the commit: %v; the write is cached, the output waits for its acknowledgement", order)
		}
		c.CommitAll()
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "cached write to the changelog" {
			t.Errorf("before the acknowledgements: %s", got)
		}
		close(release)
		synctest.Wait()
		// Outputs and changelogs are independent of each other.
		slices.Sort(order[1:3])
		want := "cached write to the changelog, acknowledged log, acknowledged out, checkpoint 0"
		if got := strings.Join(order, ", "); got != want {
			t.Errorf("the commit did: %s\nwant: %s", got, want)
		}
		r.stopNow(end)
	})
}
