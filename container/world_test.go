package container

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/internal/heard"
	"heddle/jobmodel"
	"heddle/storage"
	_ "heddle/storage/engine/pebble"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// world is a job that outlives its containers: its topics, its checkpoints, and
// the disks of its hosts.
type world struct {
	t           *rapid.T
	broker      *memory.Broker
	checkpoints *memoryLog
	tasks       int32
	exactly     bool       // outputs, changelogs and checkpoint are one transaction
	hosts       []string   // the base folder of each
	images      []string   // copies of a host's folder, as it was once
	input       [][]string // by partition
	breaks      func(*instance, Step)
	log         heard.Text
}

// round is some input, and containers that read it or do not come so far.
func (w *world) round() error {
	for p := range w.input {
		for range rapid.IntRange(0, 25).Draw(w.t, "messages") {
			m := rapid.StringMatching(`\+[a-e]|-[a-e]|=`).Draw(w.t, "message")
			w.input[p] = append(w.input[p], m)
			if _, err := w.broker.Append("in", int32(p), nil, []byte(m)); err != nil {
				return err
			}
		}
	}
	if rapid.Bool().Draw(w.t, "compact") {
		if err := w.compact(); err != nil {
			return err
		}
	}
	if err := w.spoil(); err != nil {
		return err
	}
	return w.all(true)
}

// spoil does to the hosts what happens to hosts while no container is there.
func (w *world) spoil() error {
	for i, host := range w.hosts {
		switch rapid.SampledFrom([]string{"kept", "kept", "lost", "remembered", "as it was once"}).Draw(w.t, "disk") {
		case "lost":
			if err := os.RemoveAll(host); err != nil {
				return err
			}
		case "remembered":
			image := fmt.Sprintf("%s-image%d", host, len(w.images))
			if _, err := os.Stat(host); err != nil {
				continue
			}
			if err := os.CopyFS(image, os.DirFS(host)); err != nil {
				return err
			}
			w.images = append(w.images, image)
		case "as it was once":
			prefix := host + "-image"
			own := slices.DeleteFunc(slices.Clone(w.images), func(s string) bool { return !strings.HasPrefix(s, prefix) })
			if len(own) == 0 {
				continue
			}
			if err := os.RemoveAll(w.hosts[i]); err != nil {
				return err
			}
			if err := os.CopyFS(host, os.DirFS(rapid.SampledFrom(own).Draw(w.t, "image"))); err != nil {
				return err
			}
		}
	}
	return nil
}

// compact removes what compaction may.
func (w *world) compact() error {
	last, err := w.last()
	if err != nil {
		return err
	}
	for p := range w.tasks {
		c, ok := last[fmt.Sprintf("Partition %d", p)]
		if !ok {
			continue
		}
		target, err := strconv.ParseInt(c.Changelogs["counts"].Offset, 10, 64)
		if err != nil {
			continue
		}
		seen := map[string]bool{}
		records := w.broker.Records("log", p)
		for i := len(records) - 1; i >= 0; i-- {
			switch key := string(records[i].Key); {
			case records[i].Offset > target:
			case seen[key]:
				_ = w.broker.Remove("log", p, records[i].Offset)
			default:
				seen[key] = true
			}
		}
	}
	return nil
}

// last are the tasks' newest checkpoints, as far as no open transaction hides
// them.
func (w *world) last() (map[string]checkpoint.Checkpoint, error) {
	if !w.exactly {
		return maps.Clone(w.checkpoints.last), nil // no container is there
	}
	sys := memory.New("mem", w.broker)
	defer sys.Close()
	return checkpoint.ReadAll(context.Background(), config.New(w.settings()), Systems{"mem": sys}, checkpoint.Options{})
}

// all runs all tasks, in one container or several, each on some host. With
// crashes, they may end at any step of any commit.
func (w *world) all(crashes bool) error {
	containers := map[int][]int32{}
	n := rapid.IntRange(1, int(w.tasks)).Draw(w.t, "containers")
	for p := range w.tasks {
		i := rapid.IntRange(0, n-1).Draw(w.t, "container")
		containers[i] = append(containers[i], p)
	}
	for _, i := range slices.Sorted(maps.Keys(containers)) {
		left := 1 << 30
		if crashes {
			left = rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 1 << 30}).Draw(w.t, "steps")
			w.spoilWrites(rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 5}).Draw(w.t, "refused"), w.exactly && rapid.Bool().Draw(w.t, "left open"))
		}
		err := w.run(containers[i], rapid.SampledFrom(w.hosts).Draw(w.t, "host"), left, w.counting(rapid.IntRange(1, 15).Draw(w.t, "commit every")))
		if err != nil && (!crashes || !errors.Is(err, errTest)) {
			return fmt.Errorf("a container ended: %w\n%s", err, w.log.String())
		}
	}
	return nil
}

// spoilWrites lets the changelog refuse all records after the next n; below 0:
// none. With open, whoever fails leaves its transactions open, as who is killed.
func (w *world) spoilWrites(n int, open bool) {
	var f memory.Faults
	if n >= 0 {
		var left atomic.Int32
		left.Store(int32(n))
		f.Ack = func(_ string, r system.Record) error {
			if r.Stream == "log" && left.Add(-1) < 0 {
				return errTest
			}
			return nil
		}
	}
	if open {
		f.Transaction = func(method, _ string) error {
			if method == "Abort" {
				return errTest
			}
			return nil
		}
	}
	w.broker.SetFaults(f)
}

// counting is a task that counts, deletes, and reads its store in order.
func (w *world) counting(commitEvery int) task.Factory {
	return func() task.Task {
		n := 0
		return calls{process: func(ctx task.Context, m *task.Message) error {
			s, err := ctx.Store("counts")
			if err != nil {
				return err
			}
			if err := step(string(m.ValueBytes), storeOf{s}); err != nil {
				return err
			}
			if n++; n%commitEvery == 0 {
				ctx.Commit(task.ThisTask)
			}
			return ctx.Send(task.Output{Stream: "mem.out", RawKey: fmt.Appendf(nil, "%d/%d", m.Source.Partition, m.Offset)})
		}}
	}
}

// counts is what a step works on: the store, or the model.
type counts interface {
	get(key string) (int64, error)
	put(key string, n int64) error
	remove(key string) error
	sum() (int64, error)
}

// step is what one message does.
func step(message string, c counts) error {
	switch message[0] {
	case '-':
		return c.remove(message[1:])
	case '=':
		n, err := c.sum()
		if err != nil {
			return err
		}
		return c.put("sum", n)
	}
	n, err := c.get(message[1:])
	if err != nil {
		return err
	}
	return c.put(message[1:], n+1)
}

type storeOf struct{ task.Store }

func (s storeOf) get(key string) (n int64, err error) { _, err = s.GetInto(key, &n); return n, err }

func (s storeOf) put(key string, n int64) error { return s.Put(key, n) }

func (s storeOf) remove(key string) error { return s.Delete(key) }

func (s storeOf) sum() (n int64, err error) {
	for e := range s.Range(nil, "sum") {
		if e.Err != nil {
			return 0, e.Err
		}
		n += e.Value.(int64)
	}
	return n, nil
}

type model map[string]int64

func (m model) get(key string) (int64, error) { return m[key], nil }

func (m model) put(key string, n int64) error { m[key] = n; return nil }

func (m model) remove(key string) error { delete(m, key); return nil }

func (m model) sum() (n int64, err error) {
	for key, v := range m {
		if key != "sum" {
			n += v
		}
	}
	return n, nil
}

// settings are the job's.
func (w *world) settings() map[string]string {
	m := map[string]string{
		"job.name": "test", "task.class": "test", "task.inputs": "mem.in",
		"systems.mem.samza.factory": "memory", "systems.mem.samza.offset.default": "oldest",
		"stores.counts.factory": "memory", "stores.counts.changelog": "mem.log", "stores.counts.key.serde": "string", "stores.counts.msg.serde": "long",
	}
	if w.exactly {
		m["heddle.processing.guarantee"], m["task.commit.ms"] = "exactly-once", "60000"
	}
	return m
}

// run runs a container with some of the tasks on a host to its end, or until
// so many steps of commits are done.
func (w *world) run(tasks []int32, host string, left int, newTask task.Factory) error {
	settings := w.settings()
	settings["job.logged.store.base.dir"] = host
	settings["stores.counts.factory"] = rapid.SampledFrom([]string{"pebble", "pebble", "pebble", "memory"}).Draw(w.t, "engine")
	commits := []string{"-1", "60000", "1"}
	if w.exactly {
		commits = commits[1:] // it has to be positive
	}
	settings["task.commit.ms"] = rapid.SampledFrom(commits).Draw(w.t, "commit")
	for key, values := range map[string][]string{
		"stores.counts.object.cache.size": {"", "", "0", "1", "3"},
		"stores.counts.write.batch.size":  {"", "", "0", "1", "2"},
	} {
		if v := rapid.SampledFrom(values).Draw(w.t, key); v != "" {
			settings[key] = v
		}
	}
	cfg := config.New(settings)
	specs, err := storage.Specs(cfg)
	if err != nil {
		return err
	}
	m := jobmodel.Container{ID: "0", Tasks: map[string]jobmodel.Task{}}
	var names []string
	for p := range w.tasks {
		name := fmt.Sprintf("Partition %d", p)
		names = append(names, name)
		if slices.Contains(tasks, p) {
			m.Tasks[name] = jobmodel.Task{Name: name, ChangelogPartition: p, Inputs: []jobmodel.Input{{System: "mem", Stream: "in", Partition: p}}}
		}
	}
	sys := memory.New("mem", w.broker)
	defer sys.Close()
	logger := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	checkpoints := checkpoint.Log(w.checkpoints)
	if w.exactly {
		if checkpoints, err = openCheckpoints(context.Background(), cfg, Systems{"mem": sys}, logger); err != nil {
			return err
		}
		defer checkpoints.Close()
	}
	var c *Container
	var mu sync.Mutex // tasks run side by side
	failpoint := func(name string, s Step) error {
		mu.Lock()
		defer mu.Unlock()
		if w.breaks != nil {
			w.breaks(c.tasks[slices.IndexFunc(c.tasks, func(t *instance) bool { return t.name == name })], s)
		}
		if left--; left < 0 {
			return errTest
		}
		return nil
	}
	c, err = New(Options{
		Config: cfg, Model: m, JobTasks: names, NewTask: newTask, Getenv: func(string) string { return "" },
		System:      func(string) (system.System, error) { return sys, nil },
		Checkpoints: checkpoints, Stores: specs, Metrics: newMeasures(cfg, "0").of,
		Logger: logger, UntilCaughtUp: true, Failpoint: failpoint,
	})
	if err != nil {
		return err
	}
	// They start one after the other, so that a dump needs no lock.
	c.parallel = 1
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.Run(ctx)
}

// check compares the state with what the input makes.
func (w *world) check(empty string) error {
	want := map[string]int64{}
	for p, messages := range w.input {
		m := model{}
		for _, text := range messages {
			if err := step(text, m); err != nil {
				return err
			}
		}
		for key, n := range m {
			want[fmt.Sprint(p, "/", key)] = n
		}
	}
	var everyTask []int32
	for p := range w.tasks {
		everyTask = append(everyTask, p)
	}
	hosts := append(slices.Clone(w.hosts), empty)
	for _, host := range hosts {
		got := map[string]int64{}
		dump := calls{init: func(ctx task.Context) error {
			s, err := ctx.Store("counts")
			if err != nil {
				return err
			}
			p := strings.TrimPrefix(ctx.TaskName(), "Partition ")
			for e := range s.All() {
				if e.Err != nil {
					return e.Err
				}
				got[p+"/"+e.Key.(string)] = e.Value.(int64)
			}
			return nil
		}}
		if err := w.run(everyTask, host, 1<<30, dump.factory()); err != nil {
			return err
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("the state on %s is %v, the input makes %v\n%s", filepath.Base(host), got, want, w.log.String())
		}
	}
	replayed := map[string]int64{}
	last, err := w.last()
	if err != nil {
		return err
	}
	for p := range w.tasks {
		c := last[fmt.Sprintf("Partition %d", p)]
		for _, r := range w.broker.Records("log", p) {
			if fmt.Sprintf("%020d", r.Offset) > fmt.Sprintf("%020s", c.Changelogs["counts"].Offset) {
				return fmt.Errorf("partition %d of the changelog has a record at %d, the checkpoint ends at %q", p, r.Offset, c.Changelogs["counts"].Offset)
			}
			key := fmt.Sprint(p, "/", string(r.Key))
			if r.Value == nil {
				delete(replayed, key)
			} else {
				replayed[key] = int64(binary.BigEndian.Uint64(r.Value))
			}
		}
	}
	if !maps.Equal(replayed, want) {
		return fmt.Errorf("the changelog makes the state %v, the input %v", replayed, want)
	}
	return w.complete()
}

// complete finds outputs that are missing, or came twice although they must
// not, and warnings that no story gives cause for.
func (w *world) complete() error {
	seen := map[string]int{}
	for _, r := range w.broker.Records("out", 0) {
		seen[string(r.Key)]++
	}
	for p, messages := range w.input {
		for i := range messages {
			switch n := seen[fmt.Sprintf("%d/%d", p, i)]; {
			case n == 0:
				return fmt.Errorf("the output of message %d of partition %d is lost", i, p)
			case n > 1 && w.exactly:
				return fmt.Errorf("the output of message %d of partition %d came twice: %d times", i, p, n)
			}
		}
	}
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "local state") || strings.Contains(line, "restore") {
			return fmt.Errorf("a warning without a cause: %s", line)
		}
	}
	return nil
}
