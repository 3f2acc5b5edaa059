package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	s, err := parse(os.Args[1:], os.Getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(help)
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v; bin/bench.sh --help lists the options\n", err)
		os.Exit(2)
	case s.check:
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs all workloads.
func run(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	k, err := connect(ctx, s.brokers)
	if err != nil {
		return err
	}
	defer k.close()
	work, err := os.MkdirTemp("", "heddle-bench-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer os.RemoveAll(work)
	if s.profiles != "" {
		if err := os.MkdirAll(s.profiles, 0o755); err != nil {
			return fmt.Errorf("--profiles: %w", err)
		}
	}
	b := &bench{s: s, kafka: k, work: work, stamp: time.Now().UTC().Format("20060102-150405"), say: stderr}
	defer func() { err = errors.Join(err, b.cleanUp(context.WithoutCancel(ctx))) }()
	var all []summary
	for _, w := range s.workloads {
		for _, p := range s.partitions {
			sums, err := b.workload(ctx, workloads[w].of(s), p)
			if err != nil {
				return fmt.Errorf("%s with %d partitions: %w", w, p, err)
			}
			all = append(all, sums...)
			for _, sum := range sums {
				if !s.json {
					break
				}
				if err := json.NewEncoder(stdout).Encode(sum); err != nil {
					return err
				}
			}
		}
	}
	if !s.json {
		if _, err := io.WriteString(stdout, table(all)); err != nil {
			return err
		}
	}
	if s.save != "" {
		return save(s.save, markdown(all, machine(), time.Now()))
	}
	return nil
}

func save(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// bench is one call of the command.
type bench struct {
	s     settings
	kafka *broker
	work  string
	stamp string
	say   io.Writer
	made  []string // topics to delete
	n     int
}

func (b *bench) topic(ctx context.Context, name string, partitions int, as topicSettings) error {
	b.made = append(b.made, name)
	return b.kafka.create(ctx, name, partitions, as)
}

// forget deletes topics; what could not be deleted is left for cleanUp.
func (b *bench) forget(ctx context.Context, names ...string) {
	if b.kafka.remove(ctx, names...) == nil {
		b.made = slices.DeleteFunc(b.made, func(n string) bool { return slices.Contains(names, n) })
	}
}

// cleanUp deletes what is left, and the jobs' own topics.
func (b *bench) cleanUp(ctx context.Context) error {
	return b.kafka.removeLike(ctx, b.stamp)
}
