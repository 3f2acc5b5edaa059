package coordinator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heddle/jobmodel"
	"heddle/system"
	"heddle/system/memory"
)

// goldenDir holds what a real Samza 1.8.0 wrote and served.
const goldenDir = "testdata/samza-1.8.0/"

func goldenFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(goldenDir + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenRecord is one record of topic-coordinator.txt.
type goldenRecord struct {
	offset     int64
	key, value string // value "null" is a deletion
}

func goldenStream(t testing.TB) []goldenRecord {
	t.Helper()
	var out []goldenRecord
	for sc := bufio.NewScanner(bytes.NewReader(goldenFile(t, "topic-coordinator.txt"))); sc.Scan(); {
		line := sc.Text()
		if rest, ok := strings.CutPrefix(line, "p0@"); ok {
			n, _, _ := strings.Cut(rest, " ")
			offset, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, goldenRecord{offset: offset})
		} else if rest, ok := strings.CutPrefix(line, "  key:   "); ok {
			out[len(out)-1].key = rest
		} else if rest, ok := strings.CutPrefix(line, "  value: "); ok {
			out[len(out)-1].value = rest
		}
	}
	if len(out) != 64 {
		t.Fatalf("%d records in the golden file, want 64", len(out))
	}
	return out
}

func (r goldenRecord) valueBytes() []byte {
	if r.value == "null" {
		return nil
	}
	return []byte(r.value)
}

func generic(t testing.TB, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// What Samza wrote is read and written again byte for byte.
func TestGoldenBytes(t *testing.T) {
	by := Identity{Host: "192.0.2.2", User: "root"}
	for _, r := range goldenStream(t) {
		kind, key, err := DecodeKey([]byte(r.key))
		if err != nil {
			t.Fatalf("offset %d: %v", r.offset, err)
		}
		if got := string(EncodeKey(kind, key)); got != r.key {
			t.Errorf("offset %d: the key %s became %s", r.offset, r.key, got)
		}
		if r.valueBytes() == nil {
			continue
		}
		v, err := DecodeValue([]byte(r.value))
		if err != nil {
			t.Fatalf("offset %d: %v", r.offset, err)
		}
		if got := string(EncodeValue(Message{kind, key, v.Source, v.Values}, by, v.Time)); got != r.value {
			t.Errorf("offset %d: the value\n%s became\n%s", r.offset, r.value, got)
		}
	}
}

func goldenSnapshot(t testing.TB) *Snapshot {
	t.Helper()
	var s Snapshot
	for _, r := range goldenStream(t) {
		if err := s.Apply(r.offset, []byte(r.key), r.valueBytes()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Skipped != 0 {
		t.Fatalf("skipped %d of Samza's messages: %s", s.Skipped, s.FirstSkipped)
	}
	return &s
}

func TestGoldenSnapshot(t *testing.T) {
	s := goldenSnapshot(t)
	want := map[string]string{}
	if err := json.Unmarshal(goldenFile(t, "am-http-config.json"), &want); err != nil {
		t.Fatal(err)
	}
	want["yarn.am.tracking.url"] = "http://192.0.2.2:40939/"
	equal(t, "configuration", s.Config().Map(), want)
	p, err := s.Previous()
	if err != nil {
		t.Fatal(err)
	}
	all := func(f func(i int32, name string)) {
		for i := range int32(4) {
			f(i, "Partition "+strconv.Itoa(int(i)))
		}
	}
	all(func(i int32, name string) {
		equal(t, "container", p.Containers[name], "0")
		equal(t, "changelog", p.Changelog[name], i)
		equal(t, "inputs", p.Inputs[jobmodel.Input{System: "kafka", Stream: "peer-cap-in", Partition: i}], []string{name})
	})
	if len(p.Containers) != 4 || len(p.Changelog) != 4 || len(p.Inputs) != 4 || len(p.Standby) != 0 || len(p.Hosts) != 0 || len(p.InputKeys) != 0 {
		t.Errorf("more than there is: %+v", p)
	}
}

// The same job started here for the first time writes the same messages, and
// serves the same JobModel.
func TestGoldenStart(t *testing.T) {
	broker := memory.NewBroker()
	kafka := memory.New("kafka", broker)
	admin, _ := kafka.Admin()
	if err := admin.Create(t.Context(), system.StreamSpec{Name: "peer-cap-in", Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	cfg := goldenSnapshot(t).Config().Without("yarn.am.tracking.url")
	m, w, err := BuildModel(t.Context(), cfg, map[string]system.System{"kafka": kafka}, Previous{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "JobModel", generic(t, jobmodel.Encode(m)), generic(t, goldenFile(t, "am-http-jobmodel.json")))
	if w.Warning != "" {
		t.Errorf("a warning at the first start: %s", w.Warning)
	}

	type shape struct {
		Key    string
		Source string
		Values map[string]string
	}
	shapes := func(messages []Message) map[Type][]shape {
		out := map[Type][]shape{}
		for _, m := range messages {
			out[m.Type] = append(out[m.Type], shape{m.Key, m.Source, m.Values})
		}
		return out
	}
	var samza []Message
	var changelog []Message
	for _, r := range goldenStream(t)[43:63] {
		kind, key, _ := DecodeKey([]byte(r.key))
		msg := Message{Type: kind, Key: key}
		if b := r.valueBytes(); b != nil {
			v, err := DecodeValue(b)
			if err != nil {
				t.Fatal(err)
			}
			msg.Source, msg.Values = v.Source, v.Values
		}
		if kind == TypeChangelog {
			changelog = append(changelog, msg)
		} else {
			samza = append(samza, msg)
		}
	}
	sorted := cmp.Transformer("sorted", func(m map[Type][]shape) map[string]int {
		out := map[string]int{}
		for kind, list := range m {
			for _, s := range list {
				b, _ := json.Marshal(s)
				out[string(kind)+string(b)]++
			}
		}
		return out
	})
	if d := cmp.Diff(shapes(samza), shapes(w.Assignments), sorted); d != "" {
		t.Errorf("assignments: %s", d)
	}
	if d := cmp.Diff(shapes(changelog), shapes(w.Changelog), sorted); d != "" {
		t.Errorf("changelog mapping: %s", d)
	}
	// The deletions come first: the value of a partition must be what is left.
	var s Snapshot
	for i, msg := range append(w.Assignments, w.Changelog...) {
		if err := s.Apply(int64(i), EncodeKey(msg.Type, msg.Key), EncodeValue(msg, Identity{}, 1)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.Previous()
	if err != nil {
		t.Fatal(err)
	}
	samzas, err := goldenSnapshot(t).Previous()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what the next start finds", after, samzas)
	if _, w, err = BuildModel(t.Context(), cfg, map[string]system.System{"kafka": kafka}, after); err != nil || w.Warning != "" {
		t.Errorf("second start: %v, %q", err, w.Warning)
	}
	for _, msg := range w.Assignments {
		if msg.Values == nil {
			t.Errorf("the second start deletes %s %s", msg.Type, msg.Key)
		}
	}
	if len(w.Assignments) != 12 || len(w.Changelog) != 4 {
		t.Errorf("the second start writes %d and %d messages, want all again, 12 and 4", len(w.Assignments), len(w.Changelog))
	}
}
