package container

import (
	"slices"
	"testing"

	"heddle/metrics"
)

// How long a task's restore took is a metric of the container, under Samza's name.
func TestRestoresAreMeasured(t *testing.T) {
	r := newRig(t, 2).store()
	r.newTask, r.until = counting(1), true
	r.fill(0, "a")
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range r.current.opts.Metrics("").(*metrics.Registry).Snapshot().Groups { //nolint:forcetypeassert // the rig's
		for _, m := range g.Metrics {
			if g.Name == containerMetrics {
				names = append(names, m.Name)
			}
		}
	}
	for _, want := range []string{"partition 0-restore-time", "partition 1-restore-time"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no %s among %q", want, names)
		}
	}
}
