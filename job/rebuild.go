package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/coordinator"
	"heddle/storage"
	"heddle/system"
)

// Rebuild says what `run-job state restore` is to rebuild, and where.
type Rebuild struct {
	Store string
	// Task is the only one; "": all of them.
	Task string
	// Dir is the folder to write to: new or empty.
	Dir string
	// ToEnd takes all of the changelog, also what no checkpoint knows of.
	ToEnd bool
}

// RebuiltTask is one task's part of a rebuilt store, as `state restore --json`
// prints it.
type RebuiltTask struct {
	Task string `json:"task"`
	// Folder lies in the folder of the store.
	Folder    string `json:"folder"`
	Changelog string `json:"changelog"`
	Partition int32  `json:"partition"`
	// From, To and End are offsets: [From, To) was read of a partition that ended
	// at End.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	End  int64 `json:"end"`
	// Checkpoint is when the checkpoint was written as of which the state is, in
	// ms; 0 with --to=end, or if there is none.
	Checkpoint int64 `json:"checkpoint,omitempty"`
	Records    int64 `json:"records"`
	Bytes      int64 `json:"bytes"`
	TookMs     int64 `json:"tookMs"`
	// Warning says what is not as it should be.
	Warning string `json:"warning,omitempty"`
}

// rebuiltStore is the file that says what lies in a folder.
type rebuiltStore struct {
	Version  int    `json:"version"`
	Job      string `json:"job"`
	Store    string `json:"store"`
	KeySerde string `json:"keySerde"`
	MsgSerde string `json:"msgSerde"`
	// To is "checkpoint" or "end".
	To    string        `json:"to"`
	At    int64         `json:"at"`
	Tasks []RebuiltTask `json:"tasks"`
}

const (
	rebuiltFile    = "RESTORED.json"
	rebuiltVersion = 1
)

// What --to takes: the position of the task's checkpoint, or the changelog's end.
const (
	ToCheckpoint = "checkpoint"
	ToEnd        = "end"
)

// RebuildStore reads a store's changelog into a folder, task by task; each is told
// of every task that is done. The job may run or not: nothing of it is changed,
// neither its topics nor its local state.
func (j *Job) RebuildStore(ctx context.Context, r Rebuild, each func(RebuiltTask) error) error {
	spec, file, err := j.rebuiltSpec(r.Store)
	if err != nil {
		return err
	}
	file.To = ToCheckpoint
	if r.ToEnd {
		file.To = ToEnd
	}
	systems, err := j.Systems()
	if err != nil {
		return err
	}
	defer systems.Close()
	sys, err := systems.Get(spec.Changelog.System)
	if err != nil {
		return usageError{err}
	}
	if err := changelogThere(ctx, sys, spec); err != nil {
		return err
	}
	partitions, last, err := j.rebuiltTasks(ctx, systems)
	if err != nil {
		return err
	}
	tasks := []string{}
	for name := range partitions {
		tasks = append(tasks, name)
	}
	slices.SortFunc(tasks, coordinator.CompareTasks)
	if r.Task != "" {
		if _, ok := partitions[r.Task]; !ok {
			return Usage("--task=%s: the job has no such task; there are %s", r.Task, some(tasks))
		}
		tasks = []string{r.Task}
	}
	if err := emptyFolder(r.Dir); err != nil {
		return err
	}
	// From here on it may wait, for a transaction that is open, and says for what.
	j.say.Release()
	for n, name := range tasks {
		t := RebuiltTask{Task: name, Folder: fmt.Sprintf("task-%d", n), Changelog: spec.Changelog.String(), Partition: partitions[name]}
		b := storage.Rebuild{Spec: spec, Partition: t.Partition, ToEnd: r.ToEnd, Dir: filepath.Join(r.Dir, t.Folder), Logger: j.log, Now: time.Now}
		if c, ok := last[name]; ok && !r.ToEnd {
			if mark, ok := c.Changelogs[spec.Name]; ok && mark.Partition.StreamID() == spec.Changelog {
				b.Target = &storage.Target{Topic: c.Topics[spec.Changelog], Offset: mark.Offset, Committed: checkpoint.IDTime(c.ID)}
				if at := b.Target.Committed; !at.IsZero() {
					t.Checkpoint = at.UnixMilli()
				}
			}
		}
		began := time.Now()
		got, err := b.Run(ctx, sys, func(p storage.Progress) {
			j.say.Moving("%s, %s (%d of %d): %d of %d records, %d a second, %s left", spec.Name, name, n+1, len(tasks),
				p.Next-p.From, p.To-p.From, int64(p.Rate), p.Left.Round(time.Second))
		})
		j.say.Done()
		if err != nil {
			return errors.Join(err, os.RemoveAll(b.Dir))
		}
		t.From, t.To, t.End, t.Records, t.Bytes, t.Warning = got.From, got.To, got.End, got.Records, got.Bytes, got.Warning
		t.TookMs = time.Since(began).Milliseconds()
		if t.Warning != "" {
			j.say.Warn("%s: %s", name, t.Warning)
		}
		file.Tasks = append(file.Tasks, t)
		if err := writeRebuilt(r.Dir, file); err != nil {
			return err
		}
		if err := each(t); err != nil {
			return err
		}
	}
	return nil
}

// rebuiltSpec finds the store.
func (j *Job) rebuiltSpec(name string) (storage.Spec, rebuiltStore, error) {
	specs, err := storage.Specs(j.Config)
	if err != nil {
		return storage.Spec{}, rebuiltStore{}, err
	}
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
		if s.Name != name {
			continue
		}
		switch {
		case s.FromSide():
			return s, rebuiltStore{}, Usage("the store %q has no changelog: it is filled from its side inputs; read those with run-job topic tail", name)
		case !s.Logged():
			return s, rebuiltStore{}, Usage("the store %q has no changelog (%s), so nothing holds its state but its tasks; ask the running job", name, config.StoreChangelog.Name(name))
		}
		f := rebuiltStore{Version: rebuiltVersion, Job: j.Name(), Store: name, At: time.Now().UnixMilli(), Tasks: []RebuiltTask{}}
		for _, of := range []struct {
			name, key string
			to        *string
		}{{s.KeySerde, config.StoreKeySerde.Name(name), &f.KeySerde}, {s.ValueSerde, config.StoreMsgSerde.Name(name), &f.MsgSerde}} {
			if of.name == "" {
				continue
			}
			alias, err := config.Serde(j.Config, of.name, of.key)
			if err != nil {
				return s, f, err
			}
			*of.to = alias.Name
		}
		return s, f, nil
	}
	return storage.Spec{}, rebuiltStore{}, Usage("the job has no store %q; there are %s", name, some(names))
}

// some lists names.
func some(names []string) string {
	const shown = 20
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > shown:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// changelogThere asks before anything else does: to ask for the offsets of a topic
// that is missing may make it, on a broker that makes topics by itself.
func changelogThere(ctx context.Context, sys system.System, spec storage.Spec) error {
	admin, err := sys.Admin()
	if err != nil {
		return err
	}
	found, err := admin.Describe(ctx, spec.Changelog.Stream)
	if err != nil && !errors.Is(err, system.ErrNoStream) {
		return err
	}
	if _, ok := found[spec.Changelog.Stream]; !ok {
		return Usage("the changelog %s of store %q does not exist: the job has not run yet, or it was deleted", spec.Changelog, spec.Name)
	}
	return nil
}

// rebuiltTasks are the changelog partitions of the job's tasks, and their
// checkpoints.
func (j *Job) rebuiltTasks(ctx context.Context, systems map[string]system.System) (map[string]int32, map[string]checkpoint.Checkpoint, error) {
	model, _, err := coordinator.Plan(ctx, j.Config, systems)
	if err != nil {
		return nil, nil, err
	}
	partitions := map[string]int32{}
	for _, c := range model.Containers {
		for name, t := range c.Tasks {
			partitions[name] = t.ChangelogPartition
		}
	}
	if config.TaskCheckpointFactory.Of(j.Config) == "none" {
		return partitions, nil, nil
	}
	last, err := checkpoint.ReadAll(ctx, j.Config, systems, checkpoint.Options{Logger: j.log})
	return partitions, last, err
}

// emptyFolder makes the folder; one that holds something is refused: it may be
// a job's own.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return Usage("--dir: %w", err)
		}
		return nil
	case err != nil:
		return Usage("--dir: %w", err)
	case len(entries) > 0:
		return Usage("--dir=%s: the folder is not empty; name a new one", dir)
	}
	return nil
}

func writeRebuilt(dir string, f rebuiltStore) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, rebuiltFile)
	if err := os.WriteFile(name+".tmp", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// PrintRebuilt writes a table.
func PrintRebuilt(w io.Writer, all []RebuiltTask) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TASK\tPARTITION\tOFFSETS\tCHANGELOG'S END\tRECORDS\tSIZE\tTOOK")
	for _, r := range all {
		fmt.Fprintf(t, "%s\t%d\t%d to %d\t%d\t%d\t%s\t%s\n", r.Task, r.Partition, r.From, r.To, r.End, r.Records, Bytes(r.Bytes),
			time.Duration(r.TookMs)*time.Millisecond)
	}
	return t.Flush()
}
