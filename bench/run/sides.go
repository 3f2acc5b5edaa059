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
// file, in a process of its own, until the input is read.
func (b *bench) heddle(ctx context.Context, o order) error {
	return b.process(ctx, o, filepath.Join(b.s.programs, "run-job"), append(b.job(o), "--until-caught-up")...)
}

// job are the arguments of run-job.
func (b *bench) job(o order) []string {
	args := []string{"--config-path=" + filepath.Join(b.s.files, o.workload.properties+".properties"), "--quiet"}
	set := func(key, value string) { args = append(args, "--config", key+"="+value) }
	set("job.name", o.name)
	set("task.inputs", "kafka."+o.in)
	set("systems.kafka.producer.bootstrap.servers", strings.Join(b.s.brokers, ","))
	set("heddle.task.program", filepath.Join(b.s.programs, "tasks"))
	set("heddle.home", filepath.Join(b.work, "home"))
	set("bench.records", strconv.FormatInt(max(o.workload.records, 1000), 10))
	set("bench.after", strconv.FormatInt(o.workload.after(), 10))
	set("bench.report", o.report)
	if o.profile != "" {
		set("bench.profile", o.profile)
	}
	switch o.workload.properties {
	case "passthrough":
		set("bench.output", "kafka."+o.createdOutput)
	case "count":
		set("stores.counts.changelog", "kafka."+o.createdOutput)
	case "state":
		set("stores.state.changelog", "kafka."+o.createdOutput)
		set("bench.key.bytes", strconv.Itoa(o.workload.keys.Size))
		set("bench.value.bytes", strconv.Itoa(o.workload.valueBytes))
	}
	for _, c := range append(o.config, b.s.config...) {
		args = append(args, "--config", c)
	}
	return args
}

// bare runs the bare loop.
func (b *bench) bare(ctx context.Context, o order) error {
	return b.process(ctx, o, filepath.Join(b.s.programs, "bare"), b.loop(o)...)
}

// loop are the arguments of the bare loop.
func (b *bench) loop(o order) []string {
	args := []string{
		"--brokers=" + strings.Join(b.s.brokers, ","), "--in=" + o.in, "--out=" + o.createdOutput,
		"--partitions=" + strconv.Itoa(o.partitions), "--records=" + strconv.FormatInt(max(o.workload.records, 1000), 10),
		"--keys=" + strconv.FormatInt(o.workload.keys.Users, 10), "--history=" + strconv.FormatInt(max(o.workload.history, 1), 10), "--state=" + o.state,
		"--after=" + strconv.FormatInt(o.workload.after(), 10), "--report=" + o.report, "--profile=" + o.profile,
	}
	return append(append(args, o.bareArgs...), o.workload.name)
}

// command is a program with its output in the run's log, in a group of its own.
func (b *bench) command(ctx context.Context, o order, program string, args ...string) (*exec.Cmd, *os.File, error) {
	f, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = append(os.Environ(), o.environment...)
	if b.s.procs > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(b.s.procs))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// run-job and its child end in order; some time after that they are killed.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd, f, nil
}

// process runs a program to its end.
func (b *bench) process(ctx context.Context, o order, program string, args ...string) error {
	cmd, f, err := b.command(ctx, o, program, args...)
	if err != nil {
		return err
	}
	err = errors.Join(cmd.Run(), f.Close())
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w; it said:\n%s", filepath.Base(program), err, tail(o.log, 20))
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
