package jobmodel

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heddle/config"
)

func golden(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/samza-1.8.0/am-http-jobmodel.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generic(t testing.TB, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// What Samza 1.8.0 served for a job with one input of four partitions: built
// here from the same facts, it is the same document; and it reads back.
func TestSamzaGolden(t *testing.T) {
	doc := golden(t)
	samza, err := Decode(doc)
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := mustBuild(t, BuildInput{Config: samza.Config, Streams: one("peer-cap-in", 4), Containers: 1})
	equal(t, "document", generic(t, Encode(ours)), generic(t, doc))
	if !ours.Config.Equal(samza.Config) || samza.Config.Len() < 40 {
		t.Errorf("the configuration was not read: %d keys", samza.Config.Len())
	}
	equal(t, "model", ours.Containers, samza.Containers)
}

func TestInputKey(t *testing.T) {
	i := Input{"kafka", "peer-cap-in", 3}
	// From Samza's coordinator stream.
	const samza = `{"system":"kafka","partition":3,"stream":"peer-cap-in","keyBucket":-1}`
	if got := InputKey(i); got != samza {
		t.Errorf("InputKey = %s, want %s", got, samza)
	}
	for _, s := range []string{samza, `{"keyBucket":-1, "stream":"peer-cap-in","system":"kafka","partition":3}`, `{"partition":3,"stream":"peer-cap-in","system":"kafka"}`} {
		if got, err := ParseInputKey(s); err != nil || got != i {
			t.Errorf("ParseInputKey(%s) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{``, `x`, `[]`, `{}`, `{"system":"kafka","partition":-3,"stream":"x"}`, `{"system":"kafka","partition":3,"stream":"x","keyBucket":0}`, `{"system":"kafka","partition":3000000000,"stream":"x"}`} {
		if got, err := ParseInputKey(s); err == nil {
			t.Errorf("ParseInputKey(%s) = %v, no error", s, got)
		}
	}
}

func TestEncodeEscapesAsJackson(t *testing.T) {
	m, _ := mustBuild(t, BuildInput{Streams: one("a", 1), Config: config.New(map[string]string{"k<&>": "名😀\u2028\x1b"})})
	if s := string(Encode(m)); !strings.Contains(s, `"k<&>":"名\uD83D\uDE00`+"\u2028"+`\u001B"`) {
		t.Errorf("not escaped as Jackson does: %s", s)
	}
}

func TestDecodeTolerance(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"unknown members and no keyBucket, task-mode, task-name",
			`{"config":{"a":"b"},"x":[1,{}],"containers":{"0":{"processor-id":"0","y":1,"tasks":{"Partition 0":{"system-stream-partitions":[{"system":"k","stream":"s","partition":0,"z":0}],"changelog-partition":0}}}}}`,
			"0/Partition 0/0/SystemStreamPartition [k, s, 0]"},
		{"container-id of before 0.13",
			`{"containers":{"3":{"container-id":3,"tasks":{"Partition 0":{"task-name":"Partition 0","system-stream-partitions":[],"changelog-partition":2}}}},"max-change-log-stream-partitions":3,"maxChangeLogStreamPartitions":3}`,
			"3/Partition 0/2"},
		{"processor-id wins; the last of two members counts",
			`{"containers":{"0":{"container-id":3,"processor-id":"1","processor-id":"0","tasks":{"P":{"task-name":"P","task-mode":"","changelog-partition":0,"system-stream-partitions":[]}}}}}`,
			"0/P/0"},
	} {
		m, err := Decode([]byte(c.doc))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, id := range m.ContainerIDs() {
			for _, name := range m.Containers[id].TaskNames() {
				task := m.Containers[id].Tasks[name]
				s := id + "/" + task.Name + "/" + string(rune('0'+task.ChangelogPartition))
				for _, i := range task.Inputs {
					s += "/" + i.String()
				}
				got = append(got, s)
			}
		}
		if d := cmp.Diff([]string{c.want}, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	task := func(members string) string {
		return `{"containers":{"0":{"processor-id":"0","tasks":{"P":{` + members + `}}}}}`
	}
	for _, c := range []struct{ doc, says string }{
		{``, "JobModel"},
		{`null`, "no containers"},
		{`{}`, "no containers"},
		{`[]`, "JobModel"},
		{`{"containers":{"0":{"tasks":{}}}}`, "neither processor-id nor container-id"},
		{`{"containers":{"0":{"processor-id":"0","tasks":{}},"1":{"processor-id":"0","tasks":{}}}}`, "two containers"},
		{task(`"task-name":"P"`), "no changelog-partition"},
		{task(`"changelog-partition":0,"task-mode":"Standby"`), "standby"},
		{task(`"changelog-partition":0,"system-stream-partitions":[{"system":"k","stream":"s","partition":0,"keyBucket":1}]`), "elasticity"},
		{task(`"changelog-partition":0,"system-stream-partitions":[{"system":"k","stream":"s"}]`), "needs system, stream and partition"},
	} {
		if _, err := Decode([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Decode(%s): %v, want something with %q", c.doc, err, c.says)
		}
	}
}

func TestEncodeReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Config = config.New(rapid.MapOf(rapid.StringN(1, 20, 40), rapid.StringN(1, 20, 40)).Draw(t, "config"))
		in.Containers = rapid.IntRange(1, taskCount(in)).Draw(t, "containers")
		m, _, err := Build(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(Encode(m))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.Containers, got.Containers); d != "" {
			t.Fatal(d)
		}
		if !got.Config.Equal(m.Config) {
			t.Fatal("the configuration changed on the way")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(golden(f))
	f.Add([]byte(`{"containers":{"3":{"container-id":3,"tasks":{"P":{"changelog-partition":2}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(m))
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		if d := cmp.Diff(m.Containers, again.Containers); d != "" {
			t.Fatal(d)
		}
	})
}
