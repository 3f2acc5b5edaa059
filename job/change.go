package job

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"heddle/config"
	"heddle/job/topic"
	"heddle/system"
)

// change makes the topics and preloads the inputs. It gives the keys that tell
// the containers where the preloaded records begin.
func (j *Job) change(ctx context.Context, r *ready) (map[string]string, error) {
	for _, c := range r.create {
		admin, err := r.systems[c.System].Admin()
		if err != nil {
			return nil, err
		}
		err = admin.Create(ctx, c.Spec)
		if errors.Is(err, system.ErrExists) {
			continue
		}
		if err != nil {
			return nil, c.Failed(err)
		}
		j.say.Step("made the topic %s.%s with %s (%s)", c.System, c.Spec.Name, Count(int64(c.Spec.Partitions), "partition"), c.Why)
	}
	return j.preload(ctx, r)
}

// checkPreloads opens every file that is to be preloaded, before anything is
// changed.
func (j *Job) checkPreloads() error {
	for _, p := range config.Preloads(j.Config) {
		f, err := os.Open(j.Config.Beside(p.ConfigKey, p.Path))
		if err != nil {
			return &config.Error{Key: p.ConfigKey, Origin: j.Config.Origin(p.ConfigKey), Problem: err.Error(), Hint: "a relative path lies beside the properties file"}
		}
		_ = f.Close()
	}
	return nil
}

// preload appends the lines of heddle.preload.* to their streams.
func (j *Job) preload(ctx context.Context, r *ready) (map[string]string, error) {
	keys := map[string]string{}
	for _, p := range config.Preloads(j.Config) {
		at := config.Physical(j.Config, p.Stream.System, p.Stream.Stream)
		sys, err := r.systems.Get(at.System)
		if err != nil {
			return nil, usageError{err}
		}
		admin, err := sys.Admin()
		if err != nil {
			return nil, err
		}
		before, err := admin.Offsets(ctx, at.Stream)
		if err != nil {
			return nil, err
		}
		path := j.Config.Beside(p.ConfigKey, p.Path)
		file, err := os.Open(path)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", p.ConfigKey, err)}
		}
		n, err := topic.Produce(ctx, sys, at.Stream, bufio.NewReader(file), topic.Lines{
			KeyField: p.KeyField, Name: path,
			Progress: func(n, size int64) { j.say.Moving("preloading %s: %s, %s", at, Count(n, "message"), Bytes(size)) },
		})
		_ = file.Close()
		j.say.Done()
		if err != nil {
			return nil, fmt.Errorf("preload %s: %w", at, err)
		}
		j.say.Step("preloaded %s from %s into %s", Count(n, "message"), path, at)
		var starts []string
		for partition, e := range before {
			starts = append(starts, fmt.Sprintf("%d:%d", partition, e.Next))
		}
		keys[config.HeddleRunPreloaded.Name(at.System, at.Stream)] = strings.Join(starts, ",")
	}
	return keys, nil
}
