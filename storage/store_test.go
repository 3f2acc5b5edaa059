package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

func plain(t testing.TB, spec Spec) task.Store {
	t.Helper()
	set, err := Open([]Spec{spec}, Options{TaskName: "Partition 0"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := set.Store(spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unlogged(keys, values string, cache, batch int) Spec {
	return Spec{Name: "s", Engine: engine.Memory, KeySerde: keys, ValueSerde: values, CacheEntries: cache, WriteBatch: batch}
}

// sizes are caches and batches under which everything has to be the same.
var sizes = [][2]int{{0, 0}, {1, 1}, {1, 5}, {3, 2}, {1000, 500}, {Unlimited, Unlimited}}

type point struct {
	X, Y int
	Tags []string
}

func TestTypedValues(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := plain(t, unlogged("string", "json", size[0], size[1]))
			check(t, s.Put("p", point{1, 2, []string{"a"}}))
			check(t, s.Put("n", 5))
			check(t, s.Put("t", "text"))
			check(t, s.Put("f", 2.5))
			for range 2 { // as put, then as flushed
				for key, want := range map[string]any{
					"p": map[string]any{"X": int64(1), "Y": int64(2), "Tags": []any{"a"}}, "n": int64(5), "t": "text", "f": 2.5, "none": nil,
				} {
					if v, err := s.Get(key); err != nil || !reflect.DeepEqual(v, want) {
						t.Errorf("get %q: %#v, %v", key, v, err)
					}
				}
				var p point
				if ok, err := s.GetInto("p", &p); !ok || err != nil || !reflect.DeepEqual(p, point{1, 2, []string{"a"}}) {
					t.Errorf("p: %+v, %v, %v", p, ok, err)
				}
				var n int64
				var i int
				var f float64
				var a any
				for _, into := range []any{&n, &i, &f, &a} {
					if ok, err := s.GetInto("n", into); !ok || err != nil {
						t.Errorf("n into %T: %v, %v", into, ok, err)
					}
				}
				if n != 5 || i != 5 || f != 5 || a != any(int64(5)) {
					t.Errorf("n: %v %v %v %#v", n, i, f, a)
				}
				if ok, err := s.GetInto("none", &n); ok || err != nil {
					t.Errorf("none: %v, %v", ok, err)
				}
				if ok, err := s.GetInto("t", &n); ok || err == nil || !strings.Contains(err.Error(), `store "s": value of key "t"`) {
					t.Errorf("text into a number: %v, %v", ok, err)
				}
				check(t, s.Flush())
			}
			// A value that is changed after it was put, or after it was got,
			// stays as it is in the store.
			m := map[string]any{"k": []any{"old"}}
			check(t, s.Put("m", m))
			m["k"].([]any)[0] = "new"
			got, err := s.Get("m")
			check(t, err)
			if !reflect.DeepEqual(got, map[string]any{"k": []any{"old"}}) {
				t.Errorf("m: %v", got)
			}
			got.(map[string]any)["k"] = "new"
			if again, _ := s.Get("m"); !reflect.DeepEqual(again, map[string]any{"k": []any{"old"}}) {
				t.Errorf("m: %v", again)
			}
		})
	}
}

func TestBytesAreCopied(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := plain(t, unlogged("", "", size[0], size[1]))
			key, value := []byte("k"), []byte("old")
			check(t, s.Put(key, value))
			key[0], value[0] = '#', '#'
			look := func() {
				t.Helper()
				v, err := s.Get([]byte("k"))
				if err != nil || string(v.([]byte)) != "old" {
					t.Fatalf("k: %q, %v", v, err)
				}
				v.([]byte)[0] = '!'
				var into []byte
				if ok, err := s.GetInto([]byte("k"), &into); !ok || err != nil || string(into) != "old" {
					t.Fatalf("k: %q, %v, %v", into, ok, err)
				}
				into[0] = '!'
				for e := range s.All() {
					if string(e.Key.([]byte)) != "k" || string(e.Value.([]byte)) != "old" || e.Err != nil {
						t.Fatalf("%+v", e)
					}
					e.Key.([]byte)[0], e.Value.([]byte)[0] = '!', '!'
				}
			}
			look()
			check(t, s.Flush())
			look()
			check(t, s.Put([]byte("k"), []byte{}))
			if v, err := s.Get([]byte("k")); err != nil || v == nil || len(v.([]byte)) != 0 {
				t.Errorf("an empty value: %#v, %v", v, err)
			}
			check(t, s.Flush())
			if n := len(contents(t, s)); n != 1 {
				t.Errorf("an empty value is gone")
			}
			check(t, s.Put([]byte("k"), nil))
			if v, err := s.Get([]byte("k")); err != nil || v != nil {
				t.Errorf("deleted: %v, %v", v, err)
			}
		})
	}
}

// holder is an outbox that keeps the slices it is given, as Kafka's does.
type holder struct {
	system.Outbox
	records []system.Record
	copies  []string
	fail    error
}

func (h *holder) Send(r system.Record) error {
	if h.fail != nil {
		return h.fail
	}
	h.records = append(h.records, r)
	h.copies = append(h.copies, fmt.Sprintf("%s %q %v", r.Key, r.Value, r.Value == nil))
	return nil
}

func (h *holder) Acked(string, int32) (int64, bool) { return 0, false }

func held(t *testing.T, spec Spec) (*holder, *Set, task.Store) {
	t.Helper()
	h := &holder{}
	spec.Changelog = system.StreamID{System: "kafka", Stream: "log"}
	set, err := Open([]Spec{spec}, Options{TaskName: "Partition 0", ChangelogPartition: 7, Outbox: func(string) (system.Outbox, error) { return h, nil }})
	check(t, err)
	s, err := set.Store(spec.Name)
	check(t, err)
	return h, set, s
}

// TestSentBytesStay changes values again and again after they were handed to
// the changelog.
func TestSentBytesStay(t *testing.T) {
	for _, serde := range []string{"", "long", "json", "string"} {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s %v", serde, size), func(t *testing.T) {
				h, _, s := held(t, unlogged("string", serde, size[0], size[1]))
				for round := range 40 {
					for k := range 3 {
						var v any = int64(round*10 + k)
						switch {
						case serde == "" || serde == "string":
							v = fmt.Sprint("value ", round*10+k)
						case serde == "json" && k == 1:
							v = map[string]int{"n": round}
						}
						check(t, s.Put(fmt.Sprint("k", k), v))
						if round%5 == 4 {
							check(t, s.Delete(fmt.Sprint("k", k)))
						}
					}
					if round%3 == 2 {
						check(t, s.Flush())
					}
				}
				check(t, s.Flush())
				for i, r := range h.records {
					if now := fmt.Sprintf("%s %q %v", r.Key, r.Value, r.Value == nil); now != h.copies[i] {
						t.Fatalf("record %d was %s, is %s", i, h.copies[i], now)
					}
					if r.Stream != "log" || r.At != 8 {
						t.Fatalf("record %+v", r)
					}
				}
			})
		}
	}
}

// TestOneWritePerKeyAndFlush counts what reaches the changelog.
func TestOneWritePerKeyAndFlush(t *testing.T) {
	h, set, s := held(t, unlogged("string", "long", Unlimited, Unlimited))
	for n := range 1000 {
		check(t, s.Put(fmt.Sprint("k", n%7), n))
	}
	check(t, s.Delete("k3"))
	check(t, s.Put("short-lived", 1))
	check(t, s.Delete("short-lived"))
	if len(h.records) != 0 {
		t.Errorf("%d records before the flush", len(h.records))
	}
	check(t, set.Flush())
	if len(h.records) != 8 {
		t.Errorf("%d records for 8 keys", len(h.records))
	}
	check(t, set.Flush())
	if len(h.records) != 8 {
		t.Errorf("%d records after a flush of nothing", len(h.records))
	}
}

func TestWriteBatch(t *testing.T) {
	h, _, s := held(t, unlogged("string", "long", 100, 3))
	for n := range 5 {
		check(t, s.Put(fmt.Sprint("k", n), n))
	}
	if len(h.records) != 3 {
		t.Errorf("%d records after 5 changed keys in batches of 3", len(h.records))
	}
	// Reading needs the order, and the order is the engine's.
	if n := len(contents(t, s)); n != 5 || len(h.records) != 5 {
		t.Errorf("%d entries, %d records", n, len(h.records))
	}
}

func TestEvictionWritesWhatIsDirty(t *testing.T) {
	h, _, s := held(t, unlogged("string", "long", 2, Unlimited))
	check(t, s.Put("a", 1))
	check(t, s.Put("b", 2))
	check(t, s.Put("c", 3))
	if len(h.records) != 2 {
		t.Errorf("%d records", len(h.records))
	}
	for k, want := range map[string]int64{"a": 1, "b": 2, "c": 3} {
		if v, err := s.Get(k); err != nil || v != want {
			t.Errorf("%s: %v, %v", k, v, err)
		}
	}
}

func TestRanges(t *testing.T) {
	for _, size := range sizes {
		s := plain(t, unlogged("string", "long", size[0], size[1]))
		for i, k := range []string{"b", "ba", "bb", "c", "a", "b\xff", ""} {
			check(t, s.Put(k, i))
		}
		check(t, s.Delete("c"))
		keys := func(seq func(func(task.Entry) bool)) (got []string) {
			for e := range seq {
				if e.Err != nil {
					t.Fatal(e.Err)
				}
				got = append(got, e.Key.(string))
			}
			return got
		}
		for _, tt := range []struct {
			name string
			got  []string
			want []string
		}{
			{"all", keys(s.All()), []string{"", "a", "b", "ba", "bb", "b\xff"}},
			{"open", keys(s.Range(nil, nil)), []string{"", "a", "b", "ba", "bb", "b\xff"}},
			{"from", keys(s.Range("ba", nil)), []string{"ba", "bb", "b\xff"}},
			{"to", keys(s.Range(nil, "b")), []string{"", "a"}},
			{"to the first", keys(s.Range(nil, "")), nil},
			{"between", keys(s.Range("b", "bb")), []string{"b", "ba"}},
			{"nothing", keys(s.Range("x", "z")), nil},
			{"backwards", keys(s.Range("c", "a")), nil},
			{"prefix", keys(s.Prefix("b")), []string{"b", "ba", "bb", "b\xff"}},
			{"prefix at the end", keys(s.Prefix("b\xff")), []string{"b\xff"}},
			{"prefix of all", keys(s.Prefix("")), []string{"", "a", "b", "ba", "bb", "b\xff"}},
		} {
			if !slices.Equal(tt.got, tt.want) {
				t.Errorf("%v %s: %q, want %q", size, tt.name, tt.got, tt.want)
			}
		}
		// What is changed while it runs is not seen.
		n := 0
		for e := range s.All() {
			check(t, s.Put(e.Key.(string)+"0", 1))
			check(t, s.Delete("bb"))
			check(t, s.Flush())
			n++
		}
		if n != 6 {
			t.Errorf("%v: %d entries while changing, want 6", size, n)
		}
		for range s.All() {
			break
		}
	}
}

func TestNumericKeysAreOrdered(t *testing.T) {
	s := plain(t, unlogged("integer", "string", Unlimited, Unlimited))
	for _, k := range []int{300, 2, 70000, 1} {
		check(t, s.Put(k, "x"))
	}
	var got []any
	for e := range s.Range(2, 70000) {
		got = append(got, e.Key)
	}
	if !reflect.DeepEqual(got, []any{int32(2), int32(300)}) {
		t.Errorf("%#v", got)
	}
}

func TestStoreErrors(t *testing.T) {
	for _, size := range sizes {
		s := plain(t, unlogged("string", "long", size[0], size[1]))
		for name, err := range map[string]error{
			"nil key": func() error { _, err := s.Get(nil); return err }(),
			"value":   s.Put("a", "text"),
			"key":     s.Delete(nil),
			"bound": func() error {
				for e := range s.Range(make(chan int), nil) {
					return e.Err
				}
				return nil
			}(),
		} {
			if err == nil || !strings.Contains(err.Error(), `in store "s"`) {
				t.Errorf("%v %s: error %v", size, name, err)
			}
		}
		// None of these harmed the store.
		check(t, s.Put("a", 1))
		if got := contents(t, s); !maps.Equal(got, map[string]string{"a": "1"}) {
			t.Errorf("%v", got)
		}
	}
}

// TestRefusedRecord: once the changelog refused a record, the store answers
// nothing any more.
func TestRefusedRecord(t *testing.T) {
	for _, size := range sizes {
		h, set, s := held(t, unlogged("string", "long", size[0], size[1]))
		h.fail = errors.New("too large")
		err := errors.Join(s.Put("a", 1), set.Flush())
		if err == nil || !strings.Contains(err.Error(), "changelog kafka.log, partition 7: too large") || !errors.Is(err, h.fail) {
			t.Errorf("%v: %v", size, err)
		}
		if n := set.stores[0].pending.bytes; n != 0 {
			t.Errorf("%v: %d bytes of what the changelog refused are pending", size, n)
		}
		h.fail = nil
		if _, err := s.Get("a"); err == nil {
			t.Errorf("%v: it still answers", size)
		}
		if err := s.Put("b", 1); err == nil {
			t.Errorf("%v: it still takes", size)
		}
		for e := range s.All() {
			if e.Err == nil {
				t.Errorf("%v: it still lists", size)
			}
		}
	}
}

func TestSetNamesAndEnd(t *testing.T) {
	set, err := Open([]Spec{{Name: "b", Engine: engine.Memory}, {Name: "a", Engine: engine.Memory}}, Options{TaskName: "Partition 0"})
	check(t, err)
	if !slices.Equal(set.Names(), []string{"a", "b"}) {
		t.Errorf("names %v", set.Names())
	}
	if _, err := set.Store("c"); err == nil || !strings.Contains(err.Error(), "there are a, b; set stores.c.factory") {
		t.Errorf("unknown store: %v", err)
	}
	if len(set.Positions()) != 0 {
		t.Errorf("positions %v of stores without a changelog", set.Positions())
	}
	check(t, set.Restore(context.Background(), nil, nil, nil))
	s, _ := set.Store("a")
	check(t, set.Close())
	if err := s.Put([]byte("k"), []byte("v")); err == nil || !strings.Contains(err.Error(), `store "a" is closed`) {
		t.Errorf("put after close: %v", err)
	}
	empty, err := Open(nil, Options{})
	check(t, err)
	if _, err := empty.Store("c"); err == nil || !strings.Contains(err.Error(), "nor is any other") {
		t.Errorf("unknown store: %v", err)
	}
	check(t, errors.Join(empty.Flush(), empty.Close()))
}
