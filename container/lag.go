package container

import (
	"fmt"
	"slices"
	"sync"

	"heddle/coordinator"
	"heddle/system"
	"heddle/task"
)

// consumerMetrics is Samza's group of what it measures of input partitions, those
// of side inputs among them.
const consumerMetrics = "org.apache.samza.system.kafka.KafkaSystemConsumerMetrics"

// lags are the container's gauges of how far it is behind, one for each partition
// that it reads, under Samza's names: "kafka-clicks-0-messages-behind-high-watermark".
// They are asked when somebody looks. Who reads a partition more than once, as the
// tasks of a broadcast or several stores, tells what the last of the readers is behind.
type lags struct {
	registry task.Metrics

	mu      sync.Mutex
	readers map[system.Partition][]lagOf
}

// lagOf is how many messages a reader is behind; -1: not known yet.
type lagOf func() int64

// add takes in a reader of a partition.
func (l *lags) add(p system.Partition, of lagOf) {
	r, ok := l.registry.(interface {
		GaugeFunc(group, name string, value func() float64)
	})
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		l.readers = map[system.Partition][]lagOf{}
	}
	// A look may be under way at what was there before.
	l.readers[p] = append(slices.Clip(l.readers[p]), of)
	if len(l.readers[p]) == 1 {
		name := fmt.Sprintf("%s-%s-%d-messages-behind-high-watermark", p.System, p.Stream, p.Partition)
		r.GaugeFunc(consumerMetrics, name, func() float64 { return float64(l.of(p)) })
	}
}

// of is the lag of the reader that is furthest behind; -1: of one it is not known.
func (l *lags) of(p system.Partition) int64 {
	l.mu.Lock()
	readers := l.readers[p]
	l.mu.Unlock()
	most := int64(-1)
	for _, of := range readers {
		n := of()
		if n < 0 {
			return -1
		}
		most = max(most, n)
	}
	return most
}

// behind is the lag of a reader that goes on at next in a partition that ended at
// end; -1 if one of them is not known.
func behind(next, end int64) int64 {
	if n, ok := (coordinator.InputReport{Next: next, HighWatermark: end}).Lag(); ok {
		return n
	}
	return -1
}
