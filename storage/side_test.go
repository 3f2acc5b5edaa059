package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/system"
	"heddle/task"
)

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
