package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/system/memory"
)

func TestTopicName(t *testing.T) {
	for _, c := range []struct{ name, id, want string }{
		{"w2", "1", "__samza_coordinator_w2_1"},
		{"my_job_x", "a_b", "__samza_coordinator_my-job-x_a-b"},
		{"CountLatancy", "", "__samza_coordinator_CountLatancy_1"},
	} {
		if got := TopicName(c.name, c.id); got != c.want {
			t.Errorf("TopicName(%q, %q) = %q, want %q", c.name, c.id, got, c.want)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"job.name", `[1,"set-config","job.name"]`},
		{`a<b>&"c\d`, `[1,"set-config","a<b>&\"c\\d"]`},
		{"中文\u2028\u2029😀", "[1,\"set-config\",\"中文\u2028\u2029😀\"]"},
		{"tab\tbell\a", `[1,"set-config","tab\tbell\u0007"]`},
	} {
		got := EncodeKey(TypeConfig, c.key)
		if string(got) != c.want {
			t.Errorf("EncodeKey(%q) = %s, want %s", c.key, got, c.want)
		}
		kind, key, err := DecodeKey(got)
		if err != nil || kind != TypeConfig || key != c.key {
			t.Errorf("DecodeKey(%s) = %q, %q, %v", got, kind, key, err)
		}
	}
	for _, bad := range []string{``, `null`, `x`, `{}`, `[]`, `[1,"a"]`, `[1,"a","b","c"]`, `["1","a","b"]`, `[2,"a","b"]`, `[1,null,"b"]`, `[1,"a",{}]`, `[1.5,"a","b"]`} {
		if kind, key, err := DecodeKey([]byte(bad)); err == nil {
			t.Errorf("DecodeKey(%s) = %q, %q", bad, kind, key)
		}
	}
}

func TestMessagesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Message{
			Type: Type(rapid.String().Draw(t, "type")), Key: rapid.String().Draw(t, "key"), Source: rapid.String().Draw(t, "source"),
			Values: rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "values"),
		}
		kind, key, err := DecodeKey(EncodeKey(m.Type, m.Key))
		if err != nil || kind != m.Type || key != m.Key {
			t.Fatalf("%q, %q, %v", kind, key, err)
		}
		ms := rapid.Int64().Draw(t, "ms")
		v, err := DecodeValue(EncodeValue(m, Identity{rapid.String().Draw(t, "host"), rapid.String().Draw(t, "user")}, ms))
		if err != nil || v.Source != m.Source || v.Time != ms || !maps.Equal(v.Values, m.Values) {
			t.Fatalf("%+v, %v", v, err)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	for _, r := range goldenStream(f) {
		f.Add([]byte(r.key), r.valueBytes())
	}
	f.Add([]byte(`[1,"samza-startpoint-v1","kafka.x.0"]`), []byte(`{"@type":"StartpointOldest"}`))
	f.Add([]byte(`[1,"set-task-partition-assignment","{\"system\":\"k\",\"stream\":\"s\",\"partition\":0}"]`), []byte(`{"values":{"taskNames":"[\"a\",null,1]"}}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		var s Snapshot
		if err := s.Apply(0, key, value); err != nil {
			return
		}
		_ = s.Config()
		p, err := s.Previous()
		if err != nil {
			return
		}
		// What was understood can be built on.
		_, _, _ = jobmodel.Build(jobmodel.BuildInput{
			Streams:   map[jobmodel.Stream]int32{{System: "kafka", Stream: "x"}: 2},
			KeepTasks: true, HostAffinity: true, Previous: p.Previous,
		})
		// And what is written again is understood the same.
		kind, k, err := DecodeKey(key)
		if err != nil {
			return
		}
		if kind2, k2, err := DecodeKey(EncodeKey(kind, k)); err != nil || kind2 != kind || k2 != k {
			t.Fatalf("%q %q became %q %q, %v", kind, k, kind2, k2, err)
		}
	})
}

// job is a coordinator stream on a system in memory.
type job struct {
	broker *memory.Broker
	sys    *memory.System
	stream *Stream
}

func newJob(t *testing.T) job {
	t.Helper()
	b := memory.NewBroker()
	j := job{broker: b, sys: memory.New("kafka", b)}
	j.stream = j.open(t)
	if created, warning, err := j.stream.Ensure(t.Context(), config.Config{}); err != nil || !created || warning != "" {
		t.Fatalf("Ensure: %v, %q, %v", created, warning, err)
	}
	return j
}

func (j job) open(t *testing.T) *Stream {
	t.Helper()
	s, err := OpenStream(t.Context(), j.sys, "the_job", "1",
		WithIdentity(Identity{"192.0.2.2", "root"}), WithClock(func() time.Time { return time.UnixMilli(1795447338462) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (j job) keys(from int) []string {
	var out []string
	for _, r := range j.broker.Records(TopicName("the_job", "1"), 0)[from:] {
		_, key, _ := DecodeKey(r.Key)
		if r.Value == nil {
			key = "-" + key
		}
		out = append(out, key)
	}
	return out
}

func cfg(pairs ...string) config.Config {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return config.New(m)
}

func TestEnsure(t *testing.T) {
	j := newJob(t)
	admin, _ := j.sys.Admin()
	info, err := admin.Describe(t.Context(), j.stream.Topic())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "settings", info[j.stream.Topic()].Settings, map[string]string{"cleanup.policy": "compact", "segment.bytes": "26214400"})
	equal(t, "partitions", info[j.stream.Topic()].Partitions, int32(1))
	if created, warning, err := j.stream.Ensure(t.Context(), config.Config{}); created || warning != "" || err != nil {
		t.Errorf("a second Ensure: %v, %q, %v", created, warning, err)
	}

	spec, err := Spec(cfg("job.coordinator.replication.factor", "2", "job.coordinator.segment.bytes", "1000"), "kafka", "x", 5)
	equal(t, "set factor and segment", spec, system.StreamSpec{Name: "x", Partitions: 1, ReplicationFactor: 2,
		Settings: map[string]string{"cleanup.policy": "compact", "segment.bytes": "1000"}})
	if err != nil {
		t.Error(err)
	}
	spec, err = Spec(cfg("systems.kafka.default.stream.segment.bytes", "2000"), "kafka", "x", 5)
	equal(t, "the system's segment", spec.Settings, map[string]string{"cleanup.policy": "compact", "segment.bytes": "2000"})
	if err != nil {
		t.Error(err)
	}
	if spec, _ := Spec(config.Config{}, "kafka", "x", 1); spec.ReplicationFactor != 1 {
		t.Errorf("replication factor %d on one broker, want 1", spec.ReplicationFactor)
	}

	if err := admin.Create(t.Context(), system.StreamSpec{Name: TopicName("other", "1"), Partitions: 1, Settings: map[string]string{"cleanup.policy": "delete"}}); err != nil {
		t.Fatal(err)
	}
	s, _ := OpenStream(t.Context(), j.sys, "other", "1")
	if _, warning, err := s.Ensure(t.Context(), config.Config{}); err != nil || !strings.Contains(warning, "cleanup.policy=delete") {
		t.Errorf("a topic that forgets: %q, %v", warning, err)
	}
}

func TestSubmit(t *testing.T) {
	j := newJob(t)
	first := cfg("job.name", "the_job", "task.inputs", "kafka.a", "gone", "x", "systems.kafka.consumer.sasl.jaas.config", "secret!",
		"job.autosizing.container.count", "4")
	if err := j.stream.Submit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	// All keys, sorted; secrets not.
	equal(t, "first submit", j.keys(0), []string{"gone", "job.autosizing.container.count", "job.name", "task.inputs"})

	// What is written for the new configuration comes before what is deleted.
	if err := j.stream.Write(t.Context(), SetConfig("yarn.am.tracking.url", "http://x/", SourceWriter), SetContainer("Partition 0", "0"), SetConfig("by.hand", "1", SourceWriter)); err != nil {
		t.Fatal(err)
	}
	s := j.open(t)
	n := len(j.keys(0))
	second := cfg("job.name", "the_job", "task.inputs", "kafka.b")
	if err := s.Submit(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	equal(t, "second submit", j.keys(n), []string{"job.name", "task.inputs", "-by.hand", "-gone", "-job.autosizing.container.count", "-yarn.am.tracking.url"})
	snap, err := j.open(t).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "configuration", snap.Config().Map(), second.Map())
	equal(t, "assignments stay", snap.All(TypeContainer)["Partition 0"].Values, map[string]string{"containerId": "0"})
}

func TestSubmitKeepsWhatOthersSet(t *testing.T) {
	j := newJob(t)
	if err := j.stream.Submit(t.Context(), cfg("job.name", "x", "job.autosizing.container.count", "4", "yarn.am.tracking.url", "u", "z", "1")); err != nil {
		t.Fatal(err)
	}
	n := len(j.keys(0))
	if err := j.stream.Submit(t.Context(), cfg("job.name", "x", "job.autosizing.enabled", "true", "yarn.am.high-availability.enabled", "true")); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", j.keys(n), []string{"job.autosizing.enabled", "job.name", "yarn.am.high-availability.enabled", "-z"})
}

func TestSubmitSecrets(t *testing.T) {
	j := newJob(t)
	with := cfg("sensitive.key", "s3cret", "job.name", "x", "heddle.coordinator.secrets", "stream")
	if err := j.stream.Submit(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	snap, err := j.stream.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "with heddle.coordinator.secrets=stream", snap.Config().Map(), with.Map())
	if err := j.stream.Submit(t.Context(), with.Without("heddle.coordinator.secrets")); err != nil {
		t.Fatal(err)
	}
	if snap, err = j.stream.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "without", snap.Config().Map(), map[string]string{"job.name": "x"})
	if err := j.stream.Submit(t.Context(), cfg("heddle.coordinator.secrets", "everywhere")); err == nil {
		t.Error("a wrong heddle.coordinator.secrets is taken")
	}
}

func TestReadGoesOn(t *testing.T) {
	j := newJob(t)
	reader := j.open(t)
	for i := range 3 {
		if err := j.stream.Write(t.Context(), SetConfig("n", fmt.Sprint(i), SourceWriter)); err != nil {
			t.Fatal(err)
		}
		snap, err := reader.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := snap.Config().Get("n"); v != fmt.Sprint(i) {
			t.Errorf("n = %q after %d was written", v, i)
		}
	}
	if err := j.stream.Write(t.Context(), Delete(TypeConfig, "n")); err != nil {
		t.Fatal(err)
	}
	snap, err := reader.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := snap.Config().Get("n"); ok {
		t.Error("n is deleted and still there")
	}
}

func TestReadWhatOthersWrote(t *testing.T) {
	j := newJob(t)
	put := func(key, value string) {
		t.Helper()
		var v []byte
		if value != "" {
			v = []byte(value)
		}
		if _, err := j.broker.Append(j.stream.Topic(), 0, []byte(key), v); err != nil {
			t.Fatal(err)
		}
	}
	put(`[1,"samza-startpoint-v1","kafka.x.0"]`, `{"@type":"StartpointOldest"}`)
	put(`[1,"samza-drain-v1","u"]`, `garbage`)
	put(`no key at all`, `{}`)
	put(`[7,"set-config","a"]`, `{"values":{"value":"b"}}`)
	put(`[1,"set-container-host-assignment","0"]`, `{"host":"h","values":{"host":"node1","jmx-url":"service:jmx:rmi://x","jmx-tunneling-url":""},"more":[1]}`)
	put(`[1,"set-container-host-assignment","1"]`, `{"values":{"host":""}}`)
	put(`[1,"set-task-mode-assignment","Standby-Partition 0-0"]`, `{"values":{"taskMode":"Standby"}}`)
	put(`[1,"set-task-container-assignment","Standby-Partition 0-0"]`, `{"values":{"containerId":"0-0"}}`)
	put(`[1,"set-task-container-assignment","Partition 0"]`, `{"values":{"containerId":"0"}}`)
	put(`[1,"set-task-partition-assignment","{\"partition\":0,\"keyBucket\":-1,\"system\":\"kafka\",\"stream\":\"a\"}"]`, `{"values":{"taskNames":"[\"Partition 0\",\"Standby-Partition 0-0\"]"}}`)
	put(`[1,"set-changelog","Partition 0"]`, `{"values":{"Partition":"3"}}`)
	put(`[1,"set-changelog","Partition 1"]`, `{"values":{"Partition":null}}`)
	snap, err := j.stream.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if snap.Skipped != 2 || !strings.Contains(snap.FirstSkipped, "offset 2") {
		t.Errorf("skipped %d, first %q", snap.Skipped, snap.FirstSkipped)
	}
	p, err := snap.Previous()
	if err != nil {
		t.Fatal(err)
	}
	a0 := jobmodel.Input{System: "kafka", Stream: "a", Partition: 0}
	equal(t, "previous", p, Previous{
		Previous: jobmodel.Previous{
			Containers: map[string]string{"Partition 0": "0"},
			Inputs:     map[jobmodel.Input][]string{a0: {"Partition 0"}},
			Changelog:  map[string]int32{"Partition 0": 3},
		},
		Standby:   []string{"Standby-Partition 0-0"},
		Hosts:     map[string]string{"0": "node1"},
		InputKeys: map[jobmodel.Input][]string{a0: {`{"partition":0,"keyBucket":-1,"system":"kafka","stream":"a"}`}},
	})

	// The next start deletes the other spelling and the standby task.
	admin, _ := j.sys.Admin()
	_ = admin.Create(t.Context(), system.StreamSpec{Name: "a", Partitions: 1})
	_, w, err := BuildModel(t.Context(), jobCfg(), map[string]system.System{"kafka": j.sys}, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.stream.Write(t.Context(), slices.Concat(w.Assignments, w.Changelog)...); err != nil {
		t.Fatal(err)
	}
	if snap, err = j.stream.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err = snap.Previous(); err != nil || p.InputKeys != nil || p.Standby != nil || len(p.Inputs) != 1 {
		t.Errorf("after a start of ours: %+v, %v", p, err)
	}
	equal(t, "container of the standby task", len(snap.All(TypeContainer)), 1)
}

func TestReadErrorsNameTheMessage(t *testing.T) {
	for _, c := range []struct{ key, value, says string }{
		{`[1,"set-changelog","Partition 0"]`, `x`, "offset 0"},
		{`[1,"set-changelog","Partition 0"]`, `{"values":{"Partition":"x"}}`, `"x" is no partition`},
		{`[1,"set-changelog","Partition 0"]`, `{"values":{"Partition":"-1"}}`, `"-1" is no partition`},
		{`[1,"set-changelog","Partition 0"]`, `{"values":{"Partition":"99999999999"}}`, `is no partition`},
		{`[1,"set-config","a"]`, `{"value":"b"}`, "set-config \"a\""},
		{`[1,"set-task-mode-assignment","a"]`, `{"values":{"taskMode":"Lazy"}}`, `"Lazy"`},
		{`[1,"set-task-partition-assignment","{}"]`, `{"values":{"taskNames":"[]"}}`, "needs system"},
		{`[1,"set-task-partition-assignment","{\"system\":\"k\",\"stream\":\"s\",\"partition\":0}"]`, `{"values":{"taskNames":"Partition 0"}}`, "no JSON array"},
	} {
		j := newJob(t)
		if _, err := j.broker.Append(j.stream.Topic(), 0, []byte(c.key), []byte(c.value)); err != nil {
			t.Fatal(err)
		}
		snap, err := j.stream.Read(t.Context())
		if err == nil {
			_, err = snap.Previous()
		} else if !strings.Contains(err.Error(), j.stream.Topic()) {
			t.Errorf("%v does not name the topic", err)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v, want something with %q", c.key, c.value, err, c.says)
		}
	}
}

func TestStreamErrors(t *testing.T) {
	b := memory.NewBroker()
	sys := memory.New("kafka", b)
	if _, err := OpenStream(t.Context(), sys, "", "1"); err == nil || !strings.Contains(err.Error(), "job.name") {
		t.Errorf("without a name: %v", err)
	}
	s, err := OpenStream(t.Context(), sys, "x", "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context()); !errors.Is(err, system.ErrNoStream) || !strings.Contains(err.Error(), "__samza_coordinator_x_1") {
		t.Errorf("read without a topic: %v", err)
	}
	if err := s.Write(t.Context(), SetConfig("a", "b", SourceSubmit)); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("write without a topic: %v", err)
	}

	j := newJob(t)
	gone := errors.New("the broker is gone")
	j.broker.SetFaults(memory.Faults{Ack: func(string, system.Record) error { return gone }})
	if err := j.stream.Write(t.Context(), SetConfig("a", "b", SourceSubmit)); !errors.Is(err, gone) {
		t.Errorf("a failed write: %v", err)
	}
	j.broker.SetFaults(memory.Faults{Ask: func(string) error { return gone }})
	if _, _, err := j.open(t).Ensure(t.Context(), config.Config{}); !errors.Is(err, gone) {
		t.Errorf("a failed look: %v", err)
	}
}
