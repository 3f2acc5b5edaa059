package checkpoint

import (
	"bufio"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"heddle/system"
)

type pair struct{ key, value string }

// golden reads the records of the topic that Samza 1.8.0 wrote.
func golden(t testing.TB) []pair {
	t.Helper()
	f, err := os.Open("testdata/samza-1.8.0/topic-checkpoint.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []pair
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if k, ok := strings.CutPrefix(lines.Text(), "  key:   "); ok {
			out = append(out, pair{key: k})
		}
		if v, ok := strings.CutPrefix(lines.Text(), "  value: "); ok {
			out[len(out)-1].value = v
		}
	}
	if len(out) != 40 || lines.Err() != nil {
		t.Fatalf("%d golden records, %v", len(out), lines.Err())
	}
	return out
}

var goldenStores = Stores{{System: "kafka", Stream: "peer-w2-changelog"}: "counts"}

func equalJSON(t testing.TB, a, b string) bool {
	t.Helper()
	var v, w any
	if err := json.Unmarshal([]byte(a), &v); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b), &w); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(v, w)
}

// TestGolden reads what Samza wrote and writes it again: keys and version 2
// byte for byte, version 1 but for the order of its entries, which is that of
// a Java HashMap.
func TestGolden(t *testing.T) {
	v1 := map[string]Checkpoint{}
	both := 0
	for _, p := range golden(t) {
		r, err := Decode([]byte(p.key), []byte(p.value), goldenStores)
		if err != nil {
			t.Fatal(err)
		}
		if r.Grouper != "org.apache.samza.container.grouper.stream.GroupByPartitionFactory" || !strings.HasPrefix(r.TaskName, "Partition ") || r.Deleted {
			t.Errorf("%+v", r)
		}
		if got := string(AppendKey(nil, r.Key)); got != p.key {
			t.Errorf("key %s, want %s", got, p.key)
		}
		switch r.Version() {
		case 1:
			if got := string(AppendV1(nil, r.Checkpoint)); !equalJSON(t, got, p.value) || len(got) != len(p.value) {
				t.Errorf("version 1 %s, want %s", got, p.value)
			}
			v1[r.TaskName] = r.Checkpoint
		case 2:
			if got := string(AppendV2(nil, r.Checkpoint)); got != p.value {
				t.Errorf("version 2\n%s\nwant\n%s", got, p.value)
			}
			// The same commit in version 1 says the same.
			if !reflect.DeepEqual(r.Checkpoint, v1[r.TaskName]) {
				t.Errorf("version 2 is read as %+v, version 1 as %+v", r.Checkpoint, v1[r.TaskName])
			}
			both++
		}
		l := r.Changelogs["counts"]
		if l.Partition.Stream != "peer-w2-changelog" || IDTime(r.ID).Year() != 2026 {
			t.Errorf("%+v", r.Checkpoint)
		}
	}
	if both != 20 {
		t.Errorf("%d commits in both versions", both)
	}
	last := v1["Partition 3"]
	if last.Inputs[system.Partition{System: "kafka", Stream: "peer-cap-in", Partition: 3}] != "149" || last.Changelogs["counts"].Offset != "2" {
		t.Errorf("%+v", last)
	}
}

// dotted has everything that is unusual.
var dotted = Checkpoint{
	ID: "1795447399431-395992",
	Inputs: map[system.Partition]string{
		{System: "kafka", Stream: "a.b.3", Partition: 12}: "7",
		{System: "kafka", Stream: "a", Partition: 0}:      "9223372036854775807",
		{System: "other", Stream: "x", Partition: 1}:      "not-a-number",
	},
	Changelogs: map[string]Changelog{
		"counts":  {system.Partition{System: "kafka", Stream: "log.counts", Partition: 4}, "17"},
		"state.b": {system.Partition{System: "kafka", Stream: "log-b", Partition: 4}, ""},
	},
}

func TestRoundTrip(t *testing.T) {
	known := Stores{{System: "kafka", Stream: "log.counts"}: "counts", {System: "kafka", Stream: "log-b"}: "state.b"}
	for _, c := range []Checkpoint{
		dotted,
		{ID: "1-2", Inputs: map[system.Partition]string{}, Changelogs: map[string]Changelog{}},
		{ID: "1-2", Inputs: map[system.Partition]string{{System: "s", Stream: "<&'\"\\\u2028😀>", Partition: 1}: "1"},
			Changelogs: map[string]Changelog{"q\"": {system.Partition{System: "kafka", Stream: "l", Partition: 0}, "1"}}},
	} {
		if got, err := ParseV2(AppendV2(nil, c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("version 2: %+v, %v, want %+v", got, err, c)
		}
		got, err := ParseV1(AppendV1(nil, c), Stores{{System: "kafka", Stream: "l"}: "q\"", {System: "kafka", Stream: "log.counts"}: known[system.StreamID{System: "kafka", Stream: "log.counts"}], {System: "kafka", Stream: "log-b"}: "state.b"})
		if len(c.Changelogs) == 0 {
			got.ID = c.ID // version 1 has it in the changelogs' offsets only
		}
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("version 1: %+v, %v, want %+v", got, err, c)
		}
	}
	// Without knowing the stores, changelogs go by the names of their streams.
	got, err := ParseV1(AppendV1(nil, dotted), nil)
	if err != nil || got.Changelogs["kafka.log.counts"].Offset != "17" || got.Changelogs["kafka.log-b"].Offset != "" || len(got.Inputs) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	// Inputs that were never read are left out.
	none := Checkpoint{Inputs: map[system.Partition]string{{System: "k", Stream: "s", Partition: 0}: ""}}
	if v1, v2 := string(AppendV1(nil, none)), string(AppendV2(nil, none)); v1 != "{}" || !strings.Contains(v2, `"input-offsets":{}`) {
		t.Errorf("%s, %s", v1, v2)
	}
}

func TestParseErrors(t *testing.T) {
	for _, bad := range []string{"", "null", "1", "[]", `{"a":1}`, `{"a":null}`, `{"a":{}}`, `{"a":{"system":"k","stream":"s"}}`,
		`{"a":{"system":"k","stream":"s","partition":"x","offset":"1"}}`, `{"a":{"system":"k","stream":"s","partition":"-1","offset":"1"}}`,
		`{"a":{"system":"k","stream":null,"partition":"1","offset":"1"}}`, `{"a":{"system":"k","stream":"s","partition":"99999999999","offset":"1"}}`, "{} x"} {
		if c, err := ParseV1([]byte(bad), nil); err == nil || !strings.Contains(err.Error(), "version 1") {
			t.Errorf("version 1 %s: %+v, %v", bad, c, err)
		}
	}
	for _, bad := range []string{"", "null", "1", "{}", `{"checkpoint-id":1}`, `{"checkpoint-id":"1-1","input-offsets":{"a":"1"}}`,
		`{"checkpoint-id":"1-1","input-offsets":{"a.b.c":"1"}}`, `{"checkpoint-id":"1-1","input-offsets":{"a.1":"1"}}`,
		`{"checkpoint-id":"1-1","state-checkpoint-markers":{"` + KafkaBackend + `":{"s":"x"}}}`,
		`{"checkpoint-id":"1-1","state-checkpoint-markers":{"` + KafkaBackend + `":{"s":"{}"}}}`} {
		if c, err := ParseV2([]byte(bad)); err == nil || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("version 2 %s: %+v, %v", bad, c, err)
		}
	}
	for _, bad := range []string{"", "null", "{}", `"x"`, `{"taskName":"a","type":"checkpoint"}`, `{"taskName":1,"type":"checkpoint","systemstreampartition-grouper-factory":"g"}`} {
		if k, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("key %s: %+v", bad, k)
		}
	}
	// Other backends and unknown fields are passed over.
	c, err := ParseV2([]byte(`{"checkpoint-id":"1-1","input-offsets":{"k.s.0":null},"state-checkpoint-markers":{"org.apache.samza.storage.blobstore.BlobStoreStateBackendFactory":{"s":"blob"}},"new":1}`))
	if err != nil || len(c.Changelogs) != 0 || len(c.Inputs) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	r, err := Decode([]byte(`{"systemstreampartition-grouper-factory":"g","taskName":"t","type":"checkpoint-v9"}`), []byte("whatever"), nil)
	if err != nil || r.Version() != 0 || r.TaskName != "t" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestID(t *testing.T) {
	at := time.Unix(1795447399, 431_395_992)
	if id := NewID(at); id != "1795447399431-395992" {
		t.Errorf("id %s", id)
	}
	if got := IDTime("1795447399431-395992"); got.UnixMilli() != 1795447399431 {
		t.Errorf("%v", got)
	}
	for _, bad := range []string{"", "x", "1", "1-", "-1-2", "x-1"} {
		if got := IDTime(bad); !got.IsZero() {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, p := range golden(f) {
		f.Add([]byte(p.key), []byte(p.value))
	}
	f.Add([]byte(`{}`), []byte(`{}`))
	f.Add(AppendKey(nil, Key{"g", "t", TypeV2}), AppendV2(nil, dotted))
	f.Add(AppendKey(nil, Key{"g", "t", TypeV1}), AppendV1(nil, dotted))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := Decode(key, value, goldenStores)
		if err != nil || r.Deleted {
			return
		}
		k, err := ParseKey(AppendKey(nil, r.Key))
		if err != nil || k != r.Key {
			t.Fatalf("key %q is written as %q: %+v, %v", key, AppendKey(nil, r.Key), k, err)
		}
		if r.Version() != 2 {
			return
		}
		for p, offset := range r.Inputs {
			if offset == "" {
				delete(r.Inputs, p) // is left out
			}
		}
		again, err := ParseV2(AppendV2(nil, r.Checkpoint))
		if err != nil || !reflect.DeepEqual(again, r.Checkpoint) {
			t.Fatalf("%q is read as %+v, written as %q, then read as %+v (%v)", value, r.Checkpoint, AppendV2(nil, r.Checkpoint), again, err)
		}
	})
}
