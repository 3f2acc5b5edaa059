//go:build grid

package endtoend

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// service answers what it has for keys over HTTP, or fails in one of its ways.
type service struct {
	*httptest.Server
	failing atomic.Bool
	// calls and keys are those that it answered rightly; failed has each way's.
	calls, keys atomic.Int64
	failed      [4]atomic.Int64
}

// ways are how the service fails.
var ways = [4]string{"says 503", "cuts the connection", "cuts its answer off", "does not answer in time"}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// valueOf is what the service has for a key; nothing for each seventh.
func valueOf(key string) (value string, known bool) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return fmt.Sprintf("%s is %08x", key, h.Sum32()), h.Sum32()%7 != 0
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	keys := r.URL.Query()["key"]
	values := map[string]string{}
	for _, k := range keys {
		if v, ok := valueOf(k); ok {
			values[k] = v
		}
	}
	body, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	if !s.failing.Load() {
		s.calls.Add(1)
		s.keys.Add(int64(len(keys)))
		_, _ = w.Write(body)
		return
	}
	n := s.failed[0].Load() + s.failed[1].Load() + s.failed[2].Load() + s.failed[3].Load()
	s.failed[n%4].Add(1)
	switch n % 4 {
	case 0:
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	default:
		<-r.Context().Done()
	}
}

// TestTableOverAServiceThatFails: on YARN, exactly-once, in two containers, each message is looked up in
// a service over HTTP through a table with retries, batches and a cache. The service fails for a while in
// all its ways, and a container is killed meanwhile. Each message comes out once, with what the service
// has for its key, or that it has nothing; while the service fails nothing comes out that is wrong.
func TestTableOverAServiceThatFails(t *testing.T) {
	soak(t)
	g := grid.Use(t)
	const keys, failFor = 400, 12 * time.Second
	s := newService(t)
	in, out := g.Topic(t, "keys", 4), g.Topic(t, "answers", 4)
	j := newJob(t, g, grid.Name("lookup"), taskFile("lookup.properties"))
	j.set("job.factory.class", "yarn")
	j.set("yarn.package.path", sharedPackage(t, g, taskFile("keep.properties")))
	j.set("job.container.count", "2")
	j.set("heddle.processing.guarantee", "exactly-once")
	j.set("task.inputs", "kafka."+in)
	j.set("streams.Answers.samza.system", "kafka")
	j.set("streams.Answers.samza.physical.name", out)
	j.set("test.service.url", s.URL)
	id := j.submit()
	key := func(i int) string { return fmt.Sprint("k", i*7919%keys) }
	input := produceLive(t, g, func(i int) *kgo.Record {
		return &kgo.Record{Topic: in, Partition: int32(i % 4), Value: []byte(key(i))}
	}, 20, 40*time.Millisecond)
	input.awaitMore(1000)
	healthy := s.calls.Load()
	s.failing.Store(true)
	failing := time.Now()
	killContainer(t, g, j, id, 0)
	<-time.After(failFor - time.Since(failing))
	s.failing.Store(false)
	input.awaitMore(1000)
	sent := input.finish()
	j.awaitRead(id, in)
	j.kill(id)

	failed := int64(0)
	for i, way := range ways {
		n := s.failed[i].Load()
		failed += n
		t.Logf("the service %s: %d times", way, n)
		if n == 0 {
			t.Errorf("it never %s", way)
		}
	}
	t.Logf("it failed for %v: %d calls; it answered %d before and %d after that, for %d keys of %d messages",
		failFor, failed, healthy, s.calls.Load()-healthy, s.keys.Load(), len(sent))
	var want, got []string
	known := 0
	for _, r := range sent {
		k := string(r.Value)
		v, ok := valueOf(k)
		if !ok {
			v = ""
		} else {
			known++
		}
		want = append(want, fmt.Sprintf("%d/%d %s %q %v", r.Partition, r.Offset, k, v, ok))
	}
	for _, r := range g.ReadAll(t, out) {
		var a struct {
			Key, Value string
			Known      bool
		}
		if err := json.Unmarshal(r.Value, &a); err != nil {
			t.Fatalf("%q: %v", r.Value, err)
		}
		got = append(got, fmt.Sprintf("%s %s %q %v", r.Key, a.Key, a.Value, a.Known))
	}
	t.Logf("%d of %d lookups have a value", known, len(sent))
	exactly(t, grid.Tally(want, got))
	if known == 0 || known == len(sent) || s.keys.Load() >= int64(len(sent)) {
		t.Errorf("the keys do not show what they should: %d of %d have a value, %d were asked for", known, len(sent), s.keys.Load())
	}
}
