package main

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"heddle/bench/steady"
	"heddle/task"
)

// All tasks of the process share one meter.
var (
	meterOnce sync.Once
	meter     *steady.Meter
	errMeter  error
	open      atomic.Int64
)

// measured is the part of a task that counts its messages.
type measured struct {
	count  steady.Count
	opened bool
}

// Init reads bench.records, bench.report and bench.profile.
func (t *measured) Init(ctx task.Context) error {
	meterOnce.Do(func() {
		var o steady.Options
		o.Report, _ = ctx.Setting("bench.report")
		o.Profile, _ = ctx.Setting("bench.profile")
		records, _ := ctx.Setting("bench.records")
		if o.Records, errMeter = strconv.ParseInt(records, 10, 64); errMeter != nil {
			errMeter = fmt.Errorf("bench.records: %w", errMeter)
			return
		}
		if after, ok := ctx.Setting("bench.after"); ok {
			if o.After, errMeter = strconv.ParseInt(after, 10, 64); errMeter != nil {
				errMeter = fmt.Errorf("bench.after: %w", errMeter)
				return
			}
		}
		meter, errMeter = steady.New(o)
	})
	if errMeter != nil {
		return errMeter
	}
	t.count.Meter, t.opened = meter, true
	open.Add(1)
	return nil
}

// Close writes the report when it is the last task's.
func (t *measured) Close() error {
	if !t.opened {
		return nil
	}
	t.count.Rest()
	if open.Add(-1) > 0 {
		return nil
	}
	return meter.Write()
}
