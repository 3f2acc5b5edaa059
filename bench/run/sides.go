package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// heddle runs the workload's job as a user would: run-job with its properties
// file, in a process of its own.
func (b *bench) heddle(ctx context.Context, o order) (string, error) {
	args := []string{
		"--config-path=" + filepath.Join(b.s.files, o.workload+".properties"), "--quiet", "--until-caught-up",
	}
	set := func(key, value string) { args = append(args, "--config", key+"="+value) }
	set("job.name", o.name)
	set("task.inputs", "kafka."+o.in)
	set("systems.kafka.producer.bootstrap.servers", strings.Join(b.s.brokers, ","))
	set("heddle.task.program", filepath.Join(b.s.programs, "tasks"))
	set("heddle.home", filepath.Join(b.work, "home"))
	set("bench.records", strconv.FormatInt(b.s.records, 10))
	set("bench.report", o.report)
	if o.profile != "" {
		set("bench.profile", o.profile)
	}
	if o.workload == count {
		set("stores.counts.changelog", "kafka."+o.createdOutput)
	} else {
		set("bench.output", "kafka."+o.createdOutput)
	}
	for _, c := range b.s.config {
		args = append(args, "--config", c)
	}
	return o.createdOutput, b.process(ctx, o.log, filepath.Join(b.s.programs, "run-job"), args...)
}

// bare runs the bare loop.
func (b *bench) bare(ctx context.Context, o order) (string, error) {
	return o.createdOutput, b.process(ctx, o.log, filepath.Join(b.s.programs, "bare"),
		"--brokers="+strings.Join(b.s.brokers, ","), "--in="+o.in, "--out="+o.createdOutput,
		"--partitions="+strconv.Itoa(o.partitions), "--records="+strconv.FormatInt(b.s.records, 10),
		"--report="+o.report, "--profile="+o.profile, o.workload)
}

// process runs a program to its end.
func (b *bench) process(ctx context.Context, log, program string, args ...string) error {
	f, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = f, f
	// run-job and its child end in order; a second after that they are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Second
	err = errors.Join(cmd.Run(), f.Close())
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w; it said:\n%s", filepath.Base(program), err, tail(log, 20))
}

// tail gives the last lines of a log.
func tail(file string, n int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
