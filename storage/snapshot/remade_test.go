package snapshot

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/internal/heard"
	"heddle/storage"
	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
	"heddle/system/kafka"
)

// counting is a task with one store on a Kafka, its local state, its snapshots
// and its checkpoint.
type counting struct {
	t        *testing.T
	w        *world
	settings map[string]string
	topic    string
	base     string // of local state
	log      *heard.Text

	sys     *kafka.System
	out     system.Outbox
	keeper  *Keeper
	set     *storage.Set
	targets map[string]storage.Target
	last    storage.Progress
}

func newCounting(t *testing.T, topic string, settings map[string]string) *counting {
	t.Helper()
	c := &counting{t: t, w: newWorld(t), settings: settings, topic: topic, base: t.TempDir(), log: &heard.Text{}}
	c.connect()
	t.Cleanup(func() { check(t, c.sys.Close()) })
	return c
}

func (c *counting) connect() {
	c.t.Helper()
	var err error
	c.sys, err = kafka.New("kafka", config.New(c.settings), kafka.Options{JobName: "counting", Logger: slog.New(slog.DiscardHandler)})
	check(c.t, err)
}

// make makes the changelog.
func (c *counting) make() {
	c.t.Helper()
	a, err := c.sys.Admin()
	check(c.t, err)
	check(c.t, a.Create(c.t.Context(), system.StreamSpec{Name: c.topic, Partitions: 1, Settings: map[string]string{"cleanup.policy": "compact"}}))
}

// remake deletes the changelog and makes it anew with n records. The process that
// uses it afterwards is another.
func (c *counting) remake(n int) {
	c.t.Helper()
	client := func() *kgo.Client {
		addrs, err := c.sys.Addresses(c.t.Context())
		check(c.t, err)
		client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.RecordDeliveryTimeout(time.Minute))
		check(c.t, err)
		return client
	}
	before := client()
	deleted, err := kadm.NewClient(before).DeleteTopics(c.t.Context(), c.topic)
	before.Close()
	check(c.t, err)
	check(c.t, deleted.Error())
	a, err := c.sys.Admin()
	check(c.t, err)
	for there := true; there; { // a real Kafka deletes in its own time
		infos, err := a.Describe(c.t.Context(), c.topic)
		check(c.t, err)
		_, there = infos[c.topic]
	}
	c.make()
	check(c.t, c.sys.Close())
	c.connect()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: c.topic, Key: fmt.Appendf(nil, "new%03d", i), Value: []byte("anew")})
	}
	after := client()
	defer after.Close()
	check(c.t, after.ProduceSync(c.t.Context(), records...).FirstErr())
}

// start opens the store and restores it; it gives what the log says.
func (c *counting) start() string {
	c.t.Helper()
	c.keeper = newKeeper(c.w.options(c.log, c.t.TempDir()))
	close(c.keeper.over)
	log := slog.New(slog.NewTextHandler(c.log, nil))
	p, err := c.sys.Producer()
	check(c.t, err)
	c.out, err = p.Outbox("Partition 0")
	check(c.t, err)
	c.set, err = storage.Open([]storage.Spec{{
		Name: "counts", Engine: engine.Pebble, KeySerde: "string", ValueSerde: "string",
		Changelog: system.StreamID{System: "kafka", Stream: c.topic},
	}}, storage.Options{
		TaskName: "Partition 0", Outbox: func(string) (system.Outbox, error) { return c.out, nil }, Logger: log,
		Folders: &local.Job{Base: c.base, Name: "counting", ID: "1", Logger: log}, Snapshots: c.keeper, Now: c.w.clock,
	})
	check(c.t, err)
	c.log.Take()
	var mu sync.Mutex
	check(c.t, c.set.Restore(c.t.Context(), map[string]system.System{"kafka": c.sys}, c.targets, func(p storage.Progress) {
		mu.Lock()
		defer mu.Unlock()
		c.last = p
	}))
	return c.log.Take()
}

// commit puts what is given, and commits it.
func (c *counting) commit(keys ...string) {
	c.t.Helper()
	s, err := c.set.Store("counts")
	check(c.t, err)
	for _, k := range keys {
		check(c.t, s.Put(k, "old"))
	}
	began := c.w.clock()
	check(c.t, c.set.Flush())
	check(c.t, c.out.Flush(c.t.Context()))
	c.targets = map[string]storage.Target{}
	for name, p := range c.set.Positions() {
		c.targets[name] = storage.Target{Topic: p.Topic, Offset: p.Offset, Committed: began}
	}
	check(c.t, c.set.Committed(c.t.Context(), storage.Commit{Checkpoint: "1-1", Began: began}))
	for len(c.keeper.jobs) > 0 {
		c.keeper.run(<-c.keeper.jobs)
	}
}

func (c *counting) end() {
	c.t.Helper()
	check(c.t, c.set.Close())
	check(c.t, c.keeper.Close())
}

// entries are those of the store; each has one of the values.
func (c *counting) entries() map[string]int {
	c.t.Helper()
	s, err := c.set.Store("counts")
	check(c.t, err)
	m := map[string]int{}
	for e := range s.All() {
		check(c.t, e.Err)
		m[fmt.Sprint(e.Value)]++
	}
	return m
}

// changelogMadeAnew writes state and a snapshot, and makes the changelog anew
// with more records than it had: with one warning neither is used, and the state
// is what the new changelog holds.
func changelogMadeAnew(t *testing.T, c *counting) {
	c.make()
	c.start()
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprint("old", i))
	}
	c.commit(keys...)
	c.w.pass(2 * interval)
	c.commit("one more")
	c.end()
	if n := len(c.names(manifestsFolder)); n != 1 {
		t.Fatalf("%d snapshots were taken", n)
	}
	// All is well with each of them.
	if log := c.start(); c.last.Source != storage.FromLocalState || c.last.Records != 0 || warnings(log) != 0 {
		t.Errorf("%+v\n%s", c.last, log)
	}
	c.end()
	host := c.base
	c.base = t.TempDir()
	if log := c.start(); c.last.Source != storage.FromSnapshot || c.last.Records != 0 || warnings(log) != 0 || c.entries()["old"] != 11 {
		t.Errorf("%+v, %v\n%s", c.last, c.entries(), log)
	}
	c.end()
	c.base = host

	c.remake(50)
	targets := c.targets
	for _, host := range []string{host, t.TempDir()} {
		c.base, c.targets = host, targets
		log := c.start()
		if c.last.Source != storage.FromChangelog || c.last.Records != 50 || c.last.Undone != 0 ||
			warnings(log) != 1 || !strings.Contains(log, "the changelog was deleted and made anew") {
			t.Errorf("%+v\n%s", c.last, log)
		}
		if got := c.entries(); got["anew"] != 50 || got["old"] != 0 {
			t.Errorf("the state is %v", got)
		}
		c.end()
	}
	// From the next commit on all is as it was.
	log := c.start()
	if warnings(log) != 1 {
		t.Errorf("before a commit:\n%s", log)
	}
	c.commit("after")
	c.w.pass(2 * interval)
	c.commit("and more")
	c.end()
	c.base = t.TempDir()
	if log := c.start(); c.last.Source != storage.FromSnapshot || c.last.Records != 0 || warnings(log) != 0 {
		t.Errorf("%+v\n%s", c.last, log)
	}
	if got := c.entries(); got["anew"] != 50 || got["old"] != 2 {
		t.Errorf("the state is %v", got)
	}
	c.end()
}

// names are those of a folder of the store's snapshots.
func (c *counting) names(folder string) []string {
	c.t.Helper()
	names, err := filepath.Glob(filepath.Join(c.w.root, component, "counting-1", "counts", "*", folder, "*"))
	check(c.t, err)
	return names
}

func TestChangelogMadeAnew(t *testing.T) {
	changelogMadeAnew(t, newCounting(t, "counts", map[string]string{"heddle.home": t.TempDir()}))
}

// TestEmbeddedKafkaStartedAnew: its topics keep their ids, so state and snapshots
// are good.
func TestEmbeddedKafkaStartedAnew(t *testing.T) {
	c := newCounting(t, "counts", map[string]string{"heddle.home": t.TempDir()})
	c.make()
	c.start()
	c.commit("a", "b")
	c.w.pass(2 * interval)
	c.commit("c")
	for _, source := range []storage.Source{storage.FromLocalState, storage.FromSnapshot} {
		c.end()
		check(t, c.sys.Close())
		c.connect()
		log := c.start()
		if c.targets["counts"].Topic == (system.TopicID{}) || c.last.Source != source || c.last.Records != 0 || warnings(log) != 0 || c.entries()["old"] != 3 {
			t.Errorf("%s: %+v, %v\n%s", source, c.last, c.entries(), log)
		}
		c.w.pass(time.Minute)
		c.base = t.TempDir()
	}
	c.end()
}
