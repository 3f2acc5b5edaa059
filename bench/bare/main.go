package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"heddle/bench/steady"
)

// loop is what the flags say.
type loop struct {
	brokers    []string
	in, out    string
	partitions int // of in
	records    int64
	keys       int64  // entries of the store
	history    int64  // how often the changelog has each
	state      string // folder for databases
	signs      string // file for signs
	cacheBytes int64  // of blocks
	bufferSize int64  // of all memtables
	meter      *steady.Meter
	failed     atomic.Pointer[error]
}

func main() {
	var l loop
	var o steady.Options
	brokers := flag.String("brokers", "", "addresses, with commas")
	flag.StringVar(&l.in, "in", "", "topic to read")
	flag.StringVar(&l.out, "out", "", "topic to write")
	flag.IntVar(&l.partitions, "partitions", 4, "partitions of the topic to read")
	flag.Int64Var(&l.records, "records", 0, "how many records to read")
	flag.Int64Var(&l.keys, "keys", 0, "how many keys the changelog, -out, has")
	flag.Int64Var(&l.history, "history", 1, "how many records it has of each")
	flag.StringVar(&l.state, "state", "", "folder for databases")
	flag.StringVar(&l.signs, "signs", "", "file for signs")
	flag.Int64Var(&l.cacheBytes, "cache-bytes", 100<<20, "cache of blocks")
	flag.Int64Var(&l.bufferSize, "buffer-bytes", 32<<20, "memtables of all partitions together")
	flag.Int64Var(&o.After, "after", 0, "how many records come before the steady part")
	flag.StringVar(&o.Report, "report", "", "file for the report")
	flag.StringVar(&o.Profile, "profile", "", "file for a CPU profile of the steady part")
	flag.Parse()
	if err := steady.ProfileUntilReady(); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
	l.brokers, o.Records = strings.Split(*brokers, ","), l.records
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := l.run(ctx, flag.Arg(0), o); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func (l *loop) run(ctx context.Context, workload string, o steady.Options) error {
	var err error
	if l.meter, err = steady.New(o); err != nil {
		return err
	}
	switch workload {
	case "passthrough":
		err = l.passThrough(ctx)
	case "count":
		err = l.count(ctx, &merging{})
	case "count-cache":
		err = l.count(ctx, &writing{})
	case "restore":
		err = l.restore(ctx)
	case "large":
		err = l.count(ctx, &replacing{})
	case "recovery":
		return l.recover(ctx)
	default:
		err = errors.New("the workload is passthrough, count, count-cache, restore, large or recovery")
	}
	if err != nil {
		return err
	}
	if e := l.failed.Load(); e != nil {
		return fmt.Errorf("produce: %w", *e)
	}
	return l.meter.Write()
}
