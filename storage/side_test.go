package storage

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

var users = system.StreamID{System: "kafka", Stream: "users"}

// sideRig is a store of one task that is filled from users, on a broker and a disk
// that outlive it.
type sideRig struct {
	t       testing.TB
	broker  *memory.Broker
	sys     *memory.System
	spec    Spec
	process task.SideInput
	base    string
	parts   []int32
	drop    bool
	now     time.Time
	log     *strings.Builder

	side     *Side
	set      *Set
	progress []Progress
}

func newSideRig(t testing.TB, partitions int32) *sideRig {
	b := memory.NewBroker()
	if err := b.Create(system.StreamSpec{Name: "users", Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return &sideRig{
		t: t, broker: b, sys: memory.New("kafka", b), parts: []int32{0}, now: now, log: &strings.Builder{},
		spec: Spec{Name: "users", Engine: engine.Memory, KeySerde: "string", ValueSerde: "string", SideInputs: []system.StreamID{users}},
	}
}

func (r *sideRig) disk() *sideRig {
	r.spec.Engine = diskEngine
	r.base = r.t.TempDir()
	theDisks.reset()
	r.t.Cleanup(theDisks.reset)
	return r
}

// put appends key=value, or a deletion for a key alone.
func (r *sideRig) put(partition int32, entries ...string) {
	r.t.Helper()
	for _, e := range entries {
		k, v, ok := strings.Cut(e, "=")
		value := []byte(v)
		if !ok {
			value = nil
		}
		if _, err := r.broker.Append("users", partition, []byte(k), value); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *sideRig) start() error {
	r.t.Helper()
	o := Options{TaskName: "Partition 0", Logger: slog.New(slog.NewTextHandler(r.log, nil)), Now: func() time.Time { return r.now }}
	if r.base != "" {
		o.Folders = &local.Job{Base: r.base, Name: "j", ID: "1", Logger: o.Logger}
	}
	var err error
	if r.side, err = OpenSide(r.spec, r.process, r.drop, o); err != nil {
		return err
	}
	var sources []*task.Source
	for _, p := range r.parts {
		sources = append(sources, &task.Source{System: "kafka", Stream: "users", Partition: p, KeySerde: serde.Text{}, ValueSerde: serde.Text{}})
	}
	r.progress = nil
	if err := r.side.Fill(r.t.Context(), sources, map[string]system.System{"kafka": r.sys}, func(p Progress) { r.progress = append(r.progress, p) }); err != nil {
		return errors.Join(err, r.side.Close())
	}
	if r.set, err = Open(nil, o); err != nil {
		return err
	}
	return r.set.Lend(r.side)
}

func (r *sideRig) mustStart() {
	r.t.Helper()
	if err := r.start(); err != nil {
		r.t.Fatalf("start: %v", err)
	}
}

// end ends the process; a crash loses what the disk did not keep.
func (r *sideRig) end(crash bool) {
	r.t.Helper()
	if err := r.set.Close(); err != nil {
		r.t.Fatal(err)
	}
	theDisks.mu.Lock()
	theDisks.losing = crash
	theDisks.mu.Unlock()
	if err := r.side.Close(); err != nil {
		r.t.Fatal(err)
	}
	theDisks.mu.Lock()
	theDisks.losing = false
	theDisks.mu.Unlock()
}

// catchUp takes all that the broker has, as the container's follower does.
func (r *sideRig) catchUp() error {
	consumer, err := r.sys.Consumer()
	if err != nil {
		return err
	}
	defer consumer.Close()
	behind := 0
	for _, p := range r.side.Places() {
		src := r.side.places[p.Partition].source
		if err := consumer.Assign(src, p.Next); err != nil {
			return err
		}
		records := r.broker.Records("users", p.Partition.Partition)
		if len(records) > 0 && records[len(records)-1].Offset >= p.Next {
			behind++
		}
	}
	for behind > 0 {
		batches, err := consumer.Poll(r.t.Context())
		if err != nil {
			return err
		}
		for _, b := range batches {
			if err := r.side.Take(b); err != nil {
				return err
			}
			if b.Next >= b.HighWatermark {
				behind--
			}
		}
	}
	return nil
}

func (r *sideRig) contents() map[string]string {
	r.t.Helper()
	s, err := r.set.Store("users")
	if err != nil {
		r.t.Fatal(err)
	}
	return contents(r.t.(failer), s)
}

func (r *sideRig) want(want map[string]string) {
	r.t.Helper()
	if got := r.contents(); !maps.Equal(got, want) {
		r.t.Errorf("the store holds %v, want %v", got, want)
	}
}

func (r *sideRig) last() Progress {
	r.t.Helper()
	if len(r.progress) == 0 {
		r.t.Fatal("no progress was told")
	}
	return r.progress[len(r.progress)-1]
}

func TestSideInputsFillAStore(t *testing.T) {
	r := newSideRig(t, 2)
	r.put(0, "a=1", "b=2", "a=3", "c=4", "b", "e=")
	r.put(1, "z=9")
	r.mustStart()
	want := map[string]string{"a": "3", "c": "4", "e": ""}
	r.want(want)
	if p := r.last(); !p.Done || p.Records != 6 || p.Next != 6 || p.To != 6 || p.Store != "users" {
		t.Errorf("progress %+v", p)
	}

	// It goes on while the task reads it.
	r.put(0, "c", "f=6")
	if err := r.catchUp(); err != nil {
		t.Fatal(err)
	}
	r.want(map[string]string{"a": "3", "e": "", "f": "6"})
	if got := r.side.Places(); len(got) != 1 || got[0].Next != 8 || got[0].End != 8 {
		t.Errorf("places %+v", got)
	}
	r.end(false)
}

func TestAStoreOfSideInputsIsReadOnly(t *testing.T) {
	r := newSideRig(t, 1)
	r.put(0, "a=1")
	r.mustStart()
	s, err := r.set.Store("users")
	check(t, err)
	for name, f := range map[string]func() error{
		"put": func() error { return s.Put("a", "2") }, "delete": func() error { return s.Delete("a") }, "put nil": func() error { return s.Put("a", nil) },
		"put all": func() error { return s.PutAll([]task.Entry{{Key: "a", Value: "2"}}) },
	} {
		if err := f(); !errors.Is(err, ErrSideStore) || !strings.Contains(err.Error(), `"users"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, s.Flush())
	r.want(map[string]string{"a": "1"})
	if _, err := r.set.Store("other"); err == nil || !strings.Contains(err.Error(), "there are users") {
		t.Errorf("another store: %v", err)
	}
	if len(r.set.Positions()) != 0 {
		t.Errorf("it has changelog positions: %v", r.set.Positions())
	}
	check(t, r.set.Flush())
	check(t, r.set.Committed(t.Context(), Commit{}))
	r.want(map[string]string{"a": "1"})
	r.end(false)
	if _, err := s.Get("a"); err == nil {
		t.Error("it can be read after its end")
	}
}

func TestSideInputsMessagesWithoutAKeyArePassedOver(t *testing.T) {
	r := newSideRig(t, 1)
	if _, err := r.broker.Append("users", 0, nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	r.put(0, "a=1")
	r.mustStart()
	r.want(map[string]string{"a": "1"})
	if !strings.Contains(r.log.String(), "without a key") {
		t.Error("nobody is told")
	}
	r.end(false)
}

func TestSideInputsAreRecodedWhereSerdesDiffer(t *testing.T) {
	r := newSideRig(t, 1)
	r.spec.ValueSerde = "json"
	r.put(0, "a=hello")
	r.mustStart()
	s, err := r.set.Store("users")
	check(t, err)
	if v, err := s.Get("a"); err != nil || v != "hello" {
		t.Errorf("%v, %v", v, err)
	}
	view, err := r.set.View("users", false)
	check(t, err)
	if raw, _, _ := view.Get("a"); string(raw) != `"hello"` {
		t.Errorf("it is stored as %q", raw)
	}
	r.end(false)
}

func TestSideInputsThatCannotBeDecoded(t *testing.T) {
	bad := func(m *task.Message, s task.Store) error {
		if string(m.ValueBytes) == "bad" {
			return &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value", Err: errors.New("no good")}
		}
		return s.Put(string(m.KeyBytes), string(m.ValueBytes))
	}
	r := newSideRig(t, 1)
	r.process = bad
	r.put(0, "a=1", "b=bad", "c=3")
	err := r.start()
	if err == nil || !strings.Contains(err.Error(), "kafka.users, partition 0, offset 1") || !strings.Contains(err.Error(), `store "users"`) {
		t.Fatalf("%v", err)
	}
	r.drop = true
	r.mustStart()
	r.want(map[string]string{"a": "1", "c": "3"})
	r.end(false)
}

func TestLocalStateOfSideInputsIsUsedAgain(t *testing.T) {
	r := newSideRig(t, 2).disk()
	r.parts = []int32{0, 1}
	r.put(0, "a=1", "b=2")
	r.put(1, "c=3")
	r.mustStart()
	r.put(0, "d=4")
	check(t, r.catchUp())
	r.end(false)

	r.put(0, "a", "e=5")
	r.mustStart()
	r.want(map[string]string{"b": "2", "c": "3", "d": "4", "e": "5"})
	if p := r.last(); p.Records != 2 {
		t.Errorf("%d records were read again, want the 2 new ones", p.Records)
	}
	// Nothing was kept of the second run: it falls back to the first one's end.
	r.end(true)
	r.mustStart()
	r.want(map[string]string{"b": "2", "c": "3", "d": "4", "e": "5"})
	if p := r.last(); p.Records != 2 {
		t.Errorf("after a crash %d records were read", p.Records)
	}
	r.end(false)
}

func TestLocalStateOfSideInputsThatIsOfNoUse(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *sideRig)
		reads  int64
		log    string
		want   map[string]string
	}{
		"another processor":  {func(r *sideRig) { r.spec.SideProcessor = "p" }, 3, "removed", nil},
		"another serde":      {func(r *sideRig) { r.spec.ValueSerde = "" }, 3, "removed", nil},
		"clean":              {func(r *sideRig) { r.spec.CleanAtStart = true }, 3, "", nil},
		"fewer partitions":   {func(r *sideRig) { r.parts = []int32{0} }, 2, "not read any more", map[string]string{"a": "1", "b": "2"}},
		"retention, a tail":  {func(r *sideRig) { r.now = r.now.Add(23 * time.Hour); r.put(0, "a=1") }, 4, "deletions since then", nil},
		"retention, no tail": {func(r *sideRig) { r.now = r.now.Add(100 * time.Hour) }, 0, "", nil},
		"made anew": {func(r *sideRig) { // with as many messages, and more
			if err := errors.Join(r.broker.Delete("users"), r.broker.Create(system.StreamSpec{Name: "users", Partitions: 2})); err != nil {
				r.t.Fatal(err)
			}
			r.put(0, "x=1", "y=2", "z=3")
			r.put(1, "v=4")
		}, 4, "kafka.users was deleted and made anew", map[string]string{"x": "1", "y": "2", "z": "3", "v": "4"}},
		"dropped by age": {func(r *sideRig) {
			r.put(0, "x=1", "a=1", "b=2")
			if err := r.broker.Trim("users", 0, 3); err != nil {
				r.t.Fatal(err)
			}
		}, 3, "dropped by age", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSideRig(t, 2).disk()
			r.parts = []int32{0, 1}
			r.put(0, "a=1", "b=2")
			r.put(1, "c=3")
			r.mustStart()
			r.end(false)
			c.change(r)
			r.log.Reset()
			r.mustStart()
			want := c.want
			if want == nil {
				want = map[string]string{"a": "1", "b": "2", "c": "3"}
			}
			if r.spec.ValueSerde != "" {
				r.want(want)
			}
			if got := r.last().Records; got != c.reads {
				t.Errorf("%d records were read, want %d", got, c.reads)
			}
			if !strings.Contains(r.log.String(), c.log) {
				t.Errorf("the log lacks %q:\n%s", c.log, r.log)
			}
			r.end(false)
		})
	}
}

func TestALongSideInputIsLoadedInBulk(t *testing.T) {
	r := newSideRig(t, 1).disk()
	for i := range bulkFrom + 10 {
		r.put(0, fmt.Sprintf("k%d=%d", i%1000, i))
	}
	r.mustStart()
	if theDisks.loads != 1 {
		t.Errorf("%d loads, want 1", theDisks.loads)
	}
	if got := r.contents(); len(got) != 1000 || got["k9"] != fmt.Sprint(bulkFrom+9) {
		t.Errorf("%d entries, k9=%s", len(got), got["k9"])
	}
	r.end(true)
	r.mustStart()
	if p := r.last(); p.Records != 0 {
		t.Errorf("%d records were read again", p.Records)
	}
	r.end(false)
}

// A processor that depends on how often it is called shows that entries and
// places go together: whatever a crash loses, each message counts once.
func TestSideInputsCountEachMessageOnceAcrossCrashes(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newSideRig(t, 2).disk()
		r.parts = []int32{0, 1}
		r.spec.ValueSerde, r.spec.SideProcessor = "long", "count"
		r.process = func(m *task.Message, s task.Store) error {
			var n int64
			if _, err := s.GetInto(string(m.KeyBytes), &n); err != nil {
				return err
			}
			return s.Put(string(m.KeyBytes), n+1)
		}
		theDisks.keep = func() bool { return rnd.IntN(3) == 0 }
		want := map[string]int{}
		feed := func() {
			for range rnd.IntN(1200) {
				k := fmt.Sprintf("k%d", rnd.IntN(20))
				want[k]++
				r.put(rnd.Int32N(2), k+"=x")
			}
		}
		for range 6 {
			feed()
			r.mustStart()
			feed()
			check(t, r.catchUp())
			got := r.contents()
			for k, n := range want {
				if got[k] != fmt.Sprint(n) {
					t.Fatalf("seed %d: %s was counted %s times, came %d times", seed, k, got[k], n)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d: %d keys, want %d", seed, len(got), len(want))
			}
			r.end(rnd.IntN(2) == 0)
		}
	}
}

func TestFillingEndsAtATransactionsMarker(t *testing.T) {
	r := newSideRig(t, 1)
	r.put(0, "a=1")
	check(t, r.broker.Skip("users", 0, 2)) // markers: no record lies at the end
	r.mustStart()
	if got := r.side.Places(); got[0].Next != 3 {
		t.Errorf("it ended at %d, want 3", got[0].Next)
	}
	r.end(false)
}

// Tasks read while the store is filled; each sees of a batch all or nothing.
func TestReadersOfASideStoreSeeWholeBatches(t *testing.T) {
	r := newSideRig(t, 1)
	r.put(0, "a=0", "b=0")
	r.mustStart()
	sets := make([]*Set, 4)
	for i := range sets {
		var err error
		sets[i], err = Open(nil, Options{TaskName: fmt.Sprint("Partition ", i)})
		check(t, err)
		check(t, sets[i].Lend(r.side))
	}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, set := range sets {
		wg.Go(func() {
			s, err := set.Store("users")
			if err != nil {
				t.Error(err)
				return
			}
			seen := ""
			for ctx.Err() == nil {
				var got []string
				for e := range s.All() {
					got = append(got, fmt.Sprint(e.Value))
				}
				if len(got) != 2 || got[0] != got[1] || got[0] < seen {
					t.Errorf("a reader saw %v after %s", got, seen)
					return
				}
				seen = got[0]
				if v, err := s.Get("a"); err != nil || fmt.Sprint(v) < seen {
					t.Errorf("get: %v, %v after %s", v, err, seen)
					return
				}
			}
		})
	}
	src := r.side.places[system.Partition{System: "kafka", Stream: "users"}].source
	for i := range 2000 {
		v := []byte(fmt.Sprintf("%06d", i))
		check(t, r.side.Take(system.Batch{Source: src, Next: int64(4 + 2*i), HighWatermark: int64(4 + 2*i), Messages: []task.Message{
			{Offset: int64(2 + 2*i), KeyBytes: []byte("a"), ValueBytes: v}, {Offset: int64(3 + 2*i), KeyBytes: []byte("b"), ValueBytes: v},
		}}))
	}
	stop()
	wg.Wait()
	r.end(false)
}

func TestSideMark(t *testing.T) {
	for _, places := range [][]sidePlace{
		nil,
		{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}},
		{{system.Partition{System: "kafka", Stream: "a"}, 0, time.Time{}, system.TopicID{}}, {system.Partition{System: "x", Stream: "b", Partition: 1 << 30}, 1 << 60, now, system.TopicID{}}},
		{{system.Partition{System: "kafka", Stream: "a"}, 0, time.Time{}, system.TopicID{1, 15: 9}}, {system.Partition{System: "x", Stream: "b", Partition: 1 << 30}, 1 << 60, now, system.TopicID{}}},
	} {
		b := appendSideMark(nil, places)
		got, err := parseSideMark(b)
		if err != nil || !slices.Equal(got, places) {
			t.Errorf("%v became %v, %v", places, got, err)
		}
		// A Heddle of before ids can read what has none.
		if known := len(places) > 0 && places[0].topic != (system.TopicID{}); known != (b[0] == sideMarkWithTopics) {
			t.Errorf("%v became a mark of version %d", places, b[0])
		}
		for n := range b {
			if _, err := parseSideMark(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken for a mark", n, len(b))
			}
		}
		if _, err := ParseMark(b); err == nil {
			t.Error("it is taken for a mark of a changelog")
		}
	}
}

// TestSideMarkOfBeforeTopicIDs: what an older Heddle left on a disk is read.
func TestSideMarkOfBeforeTopicIDs(t *testing.T) {
	old, err := hex.DecodeString("0201056b61666b610161031180f8b784c168")
	check(t, err)
	want := []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}}
	if got, err := parseSideMark(old); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func FuzzSideMark(f *testing.F) {
	f.Add(appendSideMark(nil, []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}}))
	f.Add(appendSideMark(nil, []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{4}}}))
	f.Add([]byte{2, 0xff, 0xff, 0x3f})
	f.Fuzz(func(t *testing.T, b []byte) {
		places, err := parseSideMark(b)
		if err != nil {
			return
		}
		again, err := parseSideMark(appendSideMark(nil, places))
		if err != nil || len(again) != len(places) {
			t.Errorf("%x: %v, then %v, %v", b, places, again, err)
		}
	})
}

func TestSideStoresLieWithTheOthers(t *testing.T) {
	r := newSideRig(t, 1).disk()
	r.mustStart()
	r.end(false)
	found, err := filepath.Glob(filepath.Join(r.base, "heddle-v1", "j-1", "users", "Partition_0", "IDENTITY"))
	if err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}

// How far it is can be seen while it is filled, and a start that was killed goes on
// where its last flush was, although it never came to the end.
func TestSideInputsWhileAStoreIsFilled(t *testing.T) {
	r := newSideRig(t, 1).disk()
	r.spec.SideProcessor = "p"
	failing := errors.New("told to fail")
	var seen []int64
	r.process = func(m *task.Message, s task.Store) error {
		if m.Offset == 3 {
			p := r.side.Places()
			if len(p) != 1 || p[0].End != 6 {
				t.Errorf("places %+v", p)
			}
			// What came before is written down, as a full memtable is.
			if err := errors.Join(r.side.apply(), r.side.st.onDisk().Flush()); err != nil {
				t.Error(err)
			}
			return failing
		}
		seen = append(seen, m.Offset)
		return s.Put(string(m.KeyBytes), string(m.ValueBytes))
	}
	r.put(0, "a=1", "b=2", "c=3", "d=4", "e=5", "f=6")
	if err := r.start(); !errors.Is(err, failing) {
		t.Fatalf("%v", err)
	}
	r.process = func(m *task.Message, s task.Store) error {
		seen = append(seen, m.Offset)
		return s.Put(string(m.KeyBytes), string(m.ValueBytes))
	}
	r.mustStart()
	r.want(map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"})
	if !slices.Equal(seen, []int64{0, 1, 2, 3, 4, 5}) {
		t.Errorf("messages taken: %v, want each once", seen)
	}
	r.end(false)
}

// A killed process loses no more than keepEvery messages.
func TestSideInputsAreKeptNowAndThen(t *testing.T) {
	r := newSideRig(t, 1).disk()
	r.spec.SideProcessor = "p"
	r.process = func(m *task.Message, s task.Store) error { return s.Put(string(m.KeyBytes), string(m.ValueBytes)) }
	for range keepEvery {
		r.put(0, "a=1")
	}
	r.mustStart()
	r.put(0, "b=2", "c=3")
	check(t, r.catchUp())
	r.end(true)
	r.mustStart()
	r.want(map[string]string{"a": "1", "b": "2", "c": "3"})
	if p := r.last(); p.Records != 2 {
		t.Errorf("after a crash %d messages were read, want the 2 behind the first filling", p.Records)
	}
	r.end(false)
}
