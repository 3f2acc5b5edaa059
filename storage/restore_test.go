package storage

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// TestCommitOrder counts records as a task does, with the commits of Samza's
// order and of ours. Samza flushes the producer before the stores, so that the
// checkpoint's changelog offset misses what the stores had cached, and a
// restore undoes it, though its inputs are passed (reference: errata 7).
func TestCommitOrder(t *testing.T) {
	ctx := context.Background()
	ours := func(t *testing.T, r *rig) {
		check(t, r.set.Flush())
		check(t, r.out.Flush(ctx))
		r.checkpoint()
	}
	samzas := func(t *testing.T, r *rig) {
		check(t, r.out.Flush(ctx))
		r.checkpoint()
		check(t, r.set.Flush())
	}
	withoutAck := func(t *testing.T, r *rig) {
		check(t, r.set.Flush())
		r.checkpoint()
	}
	count := func(t *testing.T, commit func(*testing.T, *rig), slow bool) int64 {
		r := newRig(loggedSpec("counts"))
		r.start(t)
		commit(t, r)
		const inputs = 150
		committed := 0 // the checkpoint's input offset
		crashes := map[int]bool{40: true, 77: true, 149: true}
		for next := 0; next < inputs; {
			if slow && r.gate == nil {
				// The broker takes nothing until the process is dead.
				gate := make(chan struct{})
				r.gate = gate
				r.broker.SetFaults(memory.Faults{Ack: func(string, system.Record) error {
					<-gate
					return errors.New("the process is dead")
				}})
			}
			s := r.store(t, "counts")
			n := int64(0)
			if _, err := s.GetInto("all", &n); err != nil {
				t.Fatal(err)
			}
			check(t, s.Put("all", n+1))
			if next++; next%10 == 0 {
				commit(t, r)
				committed = next
			}
			if crashes[next] {
				delete(crashes, next)
				r.crash(t)
				if r.gate != nil {
					close(r.gate)
					r.gate = nil
				}
				r.broker.SetFaults(memory.Faults{})
				r.start(t)
				commit(t, r)
				next = committed
			}
		}
		v, err := r.store(t, "counts").Get("all")
		check(t, err)
		return v.(int64)
	}
	if n := count(t, ours, false); n != 150 {
		t.Errorf("our order: %d of 150 are counted", n)
	}
	if n := count(t, samzas, false); n >= 150 {
		t.Errorf("Samza's order: %d of 150 are counted; this test could not tell a wrong order", n)
	}
	// A commit that does not wait for the acknowledgements.
	if n := count(t, withoutAck, true); n >= 150 {
		t.Errorf("without waiting: %d of 150 are counted; this test could not tell a wrong order", n)
	}
}

func records(r *rig, store string) []string {
	var out []string
	for _, rec := range r.broker.Records(store+"-changelog", r.partition) {
		v := "null"
		if rec.Value != nil {
			v = fmt.Sprint(rec.Value[len(rec.Value)-1])
		}
		out = append(out, fmt.Sprintf("%d %s=%s", rec.Offset, rec.Key, v))
	}
	return out
}

// TestUndo looks at the records that a restore appends: one for each record
// after the checkpoint, in order, with the key's value at the checkpoint.
func TestUndo(t *testing.T) {
	spec := loggedSpec("counts")
	spec.CacheEntries = 0 // each write is a record
	r := newRig(spec)
	r.start(t)
	s := r.store(t, "counts")
	check(t, s.Put("a", 1))
	check(t, s.Put("b", 2))
	check(t, s.Delete("b"))
	check(t, s.Put("c", 3))
	check(t, r.commit(t, allSteps))
	if r.targets["counts"].Offset != "3" {
		t.Fatalf("committed at %q", r.targets["counts"].Offset)
	}
	check(t, s.Put("a", 10))
	check(t, s.Put("b", 20))
	check(t, s.Delete("c"))
	check(t, s.Put("a", 11))
	check(t, r.out.Flush(context.Background()))
	want := []string{"0 a=1", "1 b=2", "2 b=null", "3 c=3", "4 a=10", "5 b=20", "6 c=null", "7 a=11"}
	if got := records(r, "counts"); !slices.Equal(got, want) {
		t.Fatalf("changelog %v", got)
	}
	r.crash(t)
	r.start(t)
	want = append(want, "8 a=1", "9 b=null", "10 c=3", "11 a=1")
	if got := records(r, "counts"); !slices.Equal(got, want) {
		t.Errorf("changelog %v\nwant      %v", got, want)
	}
	if got := contents(t, r.store(t, "counts")); !maps.Equal(got, map[string]string{"a": "1", "c": "3"}) {
		t.Errorf("restored %v", got)
	}
	// The position is that of the last undone record, once it is committed.
	if p := r.set.Positions()["counts"]; p.Offset != "11" || p.Partition != (system.Partition{System: "kafka", Stream: "counts-changelog", Partition: 1}) {
		t.Errorf("position %+v", p)
	}
	// Dying before that commit, again and again, adds nothing.
	for range 3 {
		r.crash(t)
		r.start(t)
		if got := records(r, "counts"); !slices.Equal(got, want) {
			t.Errorf("changelog after another start %v", got)
		}
		if p := r.set.Positions()["counts"]; p.Offset != "3" {
			t.Errorf("position %+v, want the checkpoint's", p)
		}
	}
	check(t, r.store(t, "counts").Put("d", 4))
	check(t, r.commit(t, allSteps))
	r.crash(t)
	r.start(t)
	if got := contents(t, r.store(t, "counts")); !maps.Equal(got, map[string]string{"a": "1", "c": "3", "d": "4"}) {
		t.Errorf("restored %v", got)
	}
}

// TestGapsAndMarkers restores a changelog with offsets at which nothing lies.
func TestGapsAndMarkers(t *testing.T) {
	r := newRig(loggedSpec("counts"))
	put := func(k string, v byte) {
		value := []byte{0, 0, 0, 0, 0, 0, 0, v}
		if v == 0 {
			value = nil
		}
		if _, err := r.broker.Append("counts-changelog", changelogPartition, []byte(k), value); err != nil {
			t.Fatal(err)
		}
	}
	put("a", 1)
	put("b", 2)
	check(t, r.broker.Skip("counts-changelog", changelogPartition, 2)) // a commit marker
	put("b", 0)
	put("c", 3)
	check(t, r.broker.Remove("counts-changelog", changelogPartition, 1)) // compacted
	put("a", 9)
	check(t, r.broker.Remove("counts-changelog", changelogPartition, 6)) // the tail, compacted
	check(t, r.broker.Skip("counts-changelog", changelogPartition, 1))
	r.targets = map[string]Target{"counts": {Offset: "5", Committed: now}}
	r.start(t)
	if got := contents(t, r.store(t, "counts")); !maps.Equal(got, map[string]string{"a": "1", "c": "3"}) {
		t.Errorf("restored %v", got)
	}
	// The target may be an offset at which no record lies.
	r.targets = map[string]Target{"counts": {Offset: "3", Committed: now}}
	r.start(t)
	if got := contents(t, r.store(t, "counts")); !maps.Equal(got, map[string]string{"a": "1"}) {
		t.Errorf("restored %v", got)
	}
}

func TestRestoreWarnsAndPassesOver(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	r := newRig(loggedSpec("counts"))
	value := []byte{0, 0, 0, 0, 0, 0, 0, 1}
	for _, k := range [][]byte{[]byte("a"), nil, []byte("b")} {
		if _, err := r.broker.Append("counts-changelog", changelogPartition, k, value); err != nil {
			t.Fatal(err)
		}
	}
	r.targets = map[string]Target{"counts": {Offset: "77", Committed: now}}
	check(t, r.tryStart(log))
	if got := contents(t, r.store(t, "counts")); !maps.Equal(got, map[string]string{"a": "1", "b": "1"}) {
		t.Errorf("restored %v", got)
	}
	for _, want := range []string{"offset is 77", "records without a key were passed over", "store restored", "records=2", "store=counts"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log says nothing of %q:\n%s", want, text.String())
		}
	}
	if p := r.set.Positions()["counts"]; p.Offset != "2" {
		t.Errorf("position %+v", p)
	}
}

func TestRestoreErrors(t *testing.T) {
	start := func(change func(*rig)) error {
		r := newRig(loggedSpec("counts"))
		change(r)
		return r.tryStart(slog.New(slog.DiscardHandler))
	}
	tests := []struct {
		name   string
		change func(*rig)
		want   []string
		is     error
	}{
		{"no topic", func(r *rig) { r.specs[0].Changelog.Stream = "gone" },
			[]string{`restore store "counts" of task "Partition 1" from the changelog kafka.gone, partition 1`}, system.ErrNoStream},
		{"too few partitions", func(r *rig) { r.partition = 3 }, []string{"has only 3 partitions", "stores.counts.changelog"}, nil},
		{"no system", func(r *rig) { r.specs[0].Changelog.System = "other" }, []string{`system "other" is not configured`}, nil},
		{"no offset", func(r *rig) { r.targets = map[string]Target{"counts": {Offset: "x"}} }, []string{`"x" is no offset`}, nil},
		{"unknown engine", func(r *rig) { r.specs[0].Engine = "leveldb" }, []string{"stores.counts.factory", `"leveldb"`, "memory"}, nil},
		{"unknown serde", func(r *rig) { r.specs[0].ValueSerde = "xml" }, []string{"stores.counts.msg.serde", "json"}, nil},
		{"a changelog twice", func(r *rig) {
			other := r.specs[0]
			other.Name = "more"
			r.specs = append(r.specs, other)
		}, []string{`stores "counts" and "more" have the same changelog kafka.counts-changelog`}, nil},
		{"undo refused", func(r *rig) {
			_, _ = r.broker.Append("counts-changelog", 1, []byte("a"), []byte("x"))
			r.targets = map[string]Target{"counts": {}}
			refuse(r, 0)
		}, []string{"undo what came after the checkpoint", "refused"}, nil},
	}
	for _, tt := range tests {
		err := start(tt.change)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", tt.name, err, want)
			}
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v is not %v", tt.name, err, tt.is)
		}
	}
}

func TestRestoreIsStoppedByItsContext(t *testing.T) {
	r := newRig(loggedSpec("counts"))
	r.start(t)
	for i := range 2000 {
		if _, err := r.broker.Append("counts-changelog", changelogPartition, fmt.Append(nil, i), []byte("12345678")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	err := r.set.Restore(ctx, map[string]system.System{"kafka": waiting{r.sys}}, nil, func(p Progress) {
		if seen++; seen == 2 {
			cancel()
		}
		if p.From != 0 || p.To != 2000 || p.Next > p.To || p.Store != "counts" || p.Records != p.Next {
			t.Errorf("progress %+v", p)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// waiting is a system whose reads look at the context before each batch.
type waiting struct{ *memory.System }

func (w waiting) Read(ctx context.Context, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error) {
	return w.System.Read(ctx, stream, partition, from, to, func(m []task.Message) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return each(m)
	})
}

func TestSharedEnds(t *testing.T) {
	r := newRig(loggedSpec("counts"))
	r.start(t)
	asked := 0
	r.broker.SetFaults(memory.Faults{Ask: func(string) error { asked++; return nil }})
	ends := SharedEnds(map[string]system.System{"kafka": r.sys})
	for range 3 {
		all, err := ends(context.Background(), system.StreamID{System: "kafka", Stream: "counts-changelog"})
		if err != nil || len(all) != 3 {
			t.Errorf("ends %v, %v", all, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := ends(context.Background(), system.StreamID{System: "none", Stream: "x"}); err == nil || !strings.Contains(err.Error(), "systems.none.samza.factory") {
		t.Errorf("no such system: %v", err)
	}
}

// TestGoldenChangelog restores the changelog that Samza 1.8.0 wrote.
func TestGoldenChangelog(t *testing.T) {
	text, err := os.ReadFile("testdata/samza-1.8.0/topic-changelog.txt")
	check(t, err)
	spec := loggedSpec("counts")
	spec.ValueSerde = "integer"
	r := newRig(spec)
	r.partition = 2
	n := 0
	var partition int32
	var key string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "p"):
			_, err := fmt.Sscanf(line, "p%d@", &partition)
			check(t, err)
		case strings.HasPrefix(line, "  key:   "):
			key = line[len("  key:   "):]
		case strings.HasPrefix(line, "  value: hex:"):
			value, err := hex.DecodeString(line[len("  value: hex:"):])
			check(t, err)
			_, err = r.broker.Append("counts-changelog", min(partition, 2), []byte(key), value)
			check(t, err)
			n++
		}
	}
	if n != 12 {
		t.Fatalf("%d golden records", n)
	}
	r.targets = map[string]Target{"counts": {Offset: "6", Committed: now}}
	r.start(t)
	got := contents(t, r.store(t, "counts"))
	if len(got) != 7 || got["user-10000000"] != "50" || got["user-10000001"] != "50" {
		t.Errorf("restored %v", got)
	}
}
