package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/steady"
)

// open opens a database for each partition, with the memory that the stores of
// a container of Heddle have.
func (l *loop) open() (dbs []*pebble.DB, shut func(), err error) {
	blocks := pebble.NewCache(l.cacheBytes)
	shut = func() {
		for _, db := range dbs {
			if err := db.Close(); err != nil {
				l.fail(err)
			}
		}
		blocks.Unref()
	}
	dir := l.state
	if dir == "" {
		if dir, err = os.MkdirTemp("", "heddle-bench-bare-"); err != nil {
			return nil, nil, err
		}
		closed := shut
		shut = func() { closed(); _ = os.RemoveAll(dir) }
	}
	for p := range l.partitions {
		o := &pebble.Options{
			Cache: blocks, DisableWAL: true, MemTableSize: uint64(l.bufferSize) / uint64(l.partitions),
			FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
		}
		o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
		db, err := pebble.Open(filepath.Join(dir, fmt.Sprintf("p%d", p)), o)
		if err != nil {
			shut()
			return nil, nil, err
		}
		dbs = append(dbs, db)
	}
	return dbs, shut, nil
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// restore puts the records of the changelog into the databases.
func (l *loop) restore(ctx context.Context) error {
	dbs, shut, err := l.open()
	if err != nil {
		return err
	}
	defer shut()
	if err := l.fill(ctx, dbs); err != nil {
		return err
	}
	return l.meter.Ready()
}

func (l *loop) fill(ctx context.Context, dbs []*pebble.DB) error {
	client, err := kgo.NewClient(append(options(l.brokers...), reading(l.out, l.partitions))...)
	if err != nil {
		return err
	}
	defer client.Close()
	batches := make([]chan []*kgo.Record, l.partitions)
	errs := make([]error, l.partitions)
	var wg sync.WaitGroup
	for p := range batches {
		batches[p] = make(chan []*kgo.Record, 2)
		wg.Go(func() { errs[p] = put(dbs[p], batches[p]) })
	}
	for left := l.keys * l.history; left > 0 && err == nil; {
		fetches := client.PollFetches(ctx)
		if err = fetches.Err(); err != nil {
			break
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				left -= int64(len(p.Records))
				batches[p.Partition] <- p.Records
			}
		})
	}
	for _, b := range batches {
		close(b)
	}
	wg.Wait()
	return errors.Join(err, errors.Join(errs...))
}

// put writes what comes, a batch of the database for each that was fetched.
func put(db *pebble.DB, batches <-chan []*kgo.Record) error {
	var failed error
	for records := range batches {
		if failed != nil {
			continue
		}
		b := db.NewBatch()
		for _, r := range records {
			if failed = b.Set(r.Key, r.Value, nil); failed != nil {
				break
			}
		}
		if failed == nil {
			failed = b.Commit(pebble.NoSync)
		}
	}
	return errors.Join(failed, db.Flush())
}

// recover restores the databases unless they are there, leaves a sign at the
// next record of the input, and then waits for its end.
func (l *loop) recover(ctx context.Context) error {
	_, err := os.Stat(filepath.Join(l.state, "whole"))
	there := err == nil
	dbs, shut, err := l.open()
	if err != nil {
		return err
	}
	defer shut()
	client, err := kgo.NewClient(options(l.brokers...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	if !there {
		ends, err := kadm.NewClient(client).ListEndOffsets(ctx, l.out)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return err
		}
		l.keys, l.history = 0, 1
		ends.Each(func(o kadm.ListedOffset) { l.keys += o.Offset })
		if err := l.fill(ctx, dbs); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.state, "whole"), nil, 0o600); err != nil {
			return err
		}
	}
	from := map[int32]kgo.Offset{}
	for p := range int32(l.partitions) {
		from[p] = kgo.NewOffset().AtEnd().Relative(-1)
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{l.in: from})
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		if fetches.NumRecords() > 0 {
			break
		}
	}
	if err := steady.Leave(l.signs, steady.First); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
	return nil
}
