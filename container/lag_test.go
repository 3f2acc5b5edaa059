package container

import (
	"testing"

	"heddle/config"
	"heddle/system"
)

// TestLags: a partition has one gauge, of its reader that is furthest behind.
func TestLags(t *testing.T) {
	m := newMeasures(config.Config{}, "0")
	l := lags{registry: m.of("")}
	a, b := system.Partition{System: "kafka", Stream: "clicks"}, system.Partition{System: "kafka", Stream: "clicks", Partition: 1}
	lag := []int64{5, 7, 0}
	for i, p := range []system.Partition{a, a, b} {
		l.add(p, func() int64 { return lag[i] })
	}
	is := func(first, second float64) {
		t.Helper()
		got := m.snapshot()[consumerMetrics]
		if len(got) != 2 || got["kafka-clicks-0-messages-behind-high-watermark"] != first || got["kafka-clicks-1-messages-behind-high-watermark"] != second {
			t.Errorf("%v, want %v and %v", got, first, second)
		}
	}
	is(7, 0)
	lag[0], lag[2] = 9, behind(10, 30)
	is(9, 20)
	lag[1], lag[2] = behind(-1, 4), behind(12, 10)
	is(-1, 0)
}
