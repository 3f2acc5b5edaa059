//go:build grid

package endtoend

import "testing"

// TestSideBySide runs what needs no YARN beside the test that waits for most of a minute until a machine
// counts as dead, and during which the cluster is not whole. Most of it is run on YARN below.
func TestSideBySide(t *testing.T) {
	t.Run("HostAffinity", func(t *testing.T) {
		t.Parallel()
		hostAffinity(t)
	})
	t.Run("Local", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct {
			name string
			run  func(t *testing.T, factories ...string)
		}{
			{"LatencyRuns", latencyRuns},
			{"GroupByRuns", groupByRuns},
			{"UntilCaughtUp", untilCaughtUp},
			{"StopAndStart", stopAndStart},
			{"CheckpointOfAnotherGrouper", checkpointOfAnotherGrouper},
			{"StateOfARunningJob", stateOfARunningJob},
			{"BootstrapAndBroadcast", bootstrapAndBroadcast},
		} {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, "thread", "process") })
		}
		t.Run("StoreRebuiltBesideTransactions", storeRebuiltBesideTransactions)
	})
}

func TestLatencyRunsOnYARN(t *testing.T) { latencyRuns(t, "yarn") }

func TestGroupByRunsOnYARN(t *testing.T) { groupByRuns(t, "yarn") }

func TestUntilCaughtUpEndsWhereTheInputEndedAtTheStart(t *testing.T) { untilCaughtUp(t, "yarn") }

func TestStopAndStartGoesOnFromTheCheckpoint(t *testing.T) { stopAndStart(t, "yarn") }

func TestCheckpointOfAnotherGrouper(t *testing.T) { checkpointOfAnotherGrouper(t, "yarn") }

func TestStateOfARunningJob(t *testing.T) { stateOfARunningJob(t, "yarn") }
