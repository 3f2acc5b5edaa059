package metrics

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/internal/heard"
)

type message struct {
	Header  map[string]any                       `json:"header"`
	Metrics map[string]map[string]jsontext.Value `json:"metrics"`
}

// TestGolden makes every message that Samza 1.8.0 sent out of a registry that
// holds the same.
func TestGolden(t *testing.T) {
	b, err := os.ReadFile("testdata/samza-1.8.0/topic-metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []jsontext.Value
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden) < 4 {
		t.Fatalf("%d messages", len(golden))
	}
	for _, want := range golden {
		var m message
		if err := json.Unmarshal(want, &m); err != nil {
			t.Fatal(err)
		}
		text := func(name string) string { return m.Header[name].(string) }
		moment := func(name string) time.Time { return time.UnixMilli(int64(m.Header[name].(float64))) }
		r := New(text("source"), Options{})
		n := 0
		for group, names := range m.Metrics {
			for name, v := range names {
				n++
				literal := string(v)
				if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
					r.Counter(group, name).Add(i)
				} else if f, err := strconv.ParseFloat(literal, 64); err == nil {
					r.Gauge(group, name).Set(f)
				} else {
					var s string
					if err := json.Unmarshal(v, &s); err != nil {
						t.Fatal(err)
					}
					r.Text(group, name).Set(s)
				}
			}
		}
		got := AppendMessage(nil, V1, Header{
			JobName: text("job-name"), JobID: text("job-id"), ContainerName: text("container-name"),
			ExecEnvContainerID: text("exec-env-container-id"), EpochID: text("samza-epoch-id"),
			Version: text("version"), SamzaVersion: text("samza-version"), Host: text("host"),
			Time: moment("time"), ResetTime: moment("reset-time"),
		}, r.Snapshot())
		var v, w any
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if err := json.Unmarshal(want, &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(v, w) {
			t.Errorf("%d metrics of %s:\n%s\nwant\n%s", n, r.Source(), got, want)
		}
		if order := "job-id exec-env-container-id samza-version job-name samza-epoch-id host reset-time container-name source time version"; headerOrder(string(got)) != order {
			t.Errorf("header order %s", headerOrder(string(got)))
		}
	}
}

func headerOrder(m string) string {
	var names []string
	d := jsontext.NewDecoder(strings.NewReader(m))
	for depth := 0; ; {
		tok, err := d.ReadToken()
		if err != nil {
			return err.Error()
		}
		switch tok.Kind() {
		case '{':
			depth++
		case '}':
			return strings.Join(names, " ")
		case '"':
			if depth == 2 && len(names)*2+1 == func() int { _, n := d.StackIndex(2); return int(n) }() {
				names = append(names, tok.String())
			}
		}
	}
}

func TestValues(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := New("s", Options{Now: func() time.Time { return now }})
	r.Counter("g", "c").Add(2)
	r.Counter("g", "c").Add(3)
	if v := r.Counter("g", "c").Value(); v != 5 {
		t.Errorf("counter %d", v)
	}
	r.Gauge("g", "healthy").Set(1)
	r.Gauge("g", "load").Set(0.25)
	if v := r.Gauge("g", "load").Value(); v != 0.25 {
		t.Errorf("gauge %v", v)
	}
	r.GaugeFunc("g", "asked", func() float64 { return 1 })
	r.GaugeFunc("g", "asked", func() float64 { return 2 })
	r.Text("g", "offset").Set("349")
	if v := r.Text("g", "offset").Value(); v != "349" {
		t.Errorf("text %q", v)
	}
	if v := r.Text("g", "none").Value(); v != "" {
		t.Errorf("text %q", v)
	}
	timer := r.Timer("g", "commit-ns")
	timer.Observe(2 * time.Second)
	timer.Observe(4 * time.Second)
	got := string(AppendMessage(nil, V1, Header{}, r.Snapshot()))
	_, got, _ = strings.Cut(got, `"metrics":`)
	if want := `{"g":{"asked":2,"c":5,"commit-ns":3000000000.0,"healthy":1,"load":0.25,"none":"","offset":"349"}}}`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// A name of two kinds gives two measurements.
	r.Gauge("g", "c").Set(7)
	r.Gauge("g", "c").Set(8)
	if r.Counter("g", "c").Value() != 5 || r.Gauge("g", "c-gauge").Value() != 8 {
		t.Error("kinds are mixed up")
	}
	for f, want := range map[float64]string{1e300: "1e+300", -0.5: "-0.5", 1e-9: "1e-09", 12345678.5: "12345678.5", 1e20: "100000000000000000000"} {
		if got := string(appendFloat(nil, f, false)); got != want {
			t.Errorf("%v is written as %s", f, got)
		}
	}
	if got := string(appendFloat(nil, 1/zero(), true)); got != `"+Infinity"` && got != `"Infinity"` {
		t.Errorf("infinity is written as %s", got)
	}
}

func zero() float64 { return 0 }

// TestV2 is held to the text in Samza's TestMetricsSnapshotSerdeV2.
func TestV2(t *testing.T) {
	r := New("source", Options{})
	r.Counter("org.apache.samza.container.SamzaContainerMetrics", "commit-calls").Add(1)
	r.Gauge("g", "f").Set(0.5)
	got := string(AppendMessage(nil, V2, Header{
		JobName: "jobName", JobID: "i001", ContainerName: "container 0", ExecEnvContainerID: "test container ID", EpochID: "epoch-123",
		Version: "300.14.25.1", SamzaVersion: "1", Host: "1", Time: time.UnixMilli(1), ResetTime: time.UnixMilli(1),
	}, r.Snapshot()))
	want := `{"header":["java.util.HashMap",{"job-id":"i001","exec-env-container-id":"test container ID","samza-version":"1","job-name":"jobName",` +
		`"samza-epoch-id":"epoch-123","host":"1","reset-time":["java.lang.Long",1],"container-name":"container 0","source":"source","time":["java.lang.Long",1],"version":"300.14.25.1"}],` +
		`"metrics":["java.util.HashMap",{"g":["java.util.HashMap",{"f":0.5}],"org.apache.samza.container.SamzaContainerMetrics":["java.util.HashMap",{"commit-calls":["java.lang.Long",1]}]}]}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestTimerSlides(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	timer := New("s", Options{Now: func() time.Time { return now }}).Timer("g", "t")
	average := func(want time.Duration) {
		t.Helper()
		if got := timer.Average(); got != want {
			t.Errorf("average %v, want %v", got, want)
		}
	}
	average(0)
	timer.Observe(10 * time.Second)
	average(10 * time.Second)
	now = now.Add(150 * time.Second)
	timer.Observe(20 * time.Second)
	average(15 * time.Second)
	now = now.Add(140 * time.Second)
	average(15 * time.Second)
	now = now.Add(10 * time.Second) // 300 s after the first
	average(20 * time.Second)
	now = now.Add(150 * time.Second)
	average(0)
	timer.Observe(30 * time.Second)
	average(30 * time.Second)
	now = now.Add(24 * time.Hour)
	average(0)
	off := New("s", Options{NoTimers: true}).Timer("g", "t")
	off.Observe(time.Second)
	if off.Average() != 0 {
		t.Error("a timer that is off counts")
	}
}

func TestConcurrentUse(t *testing.T) {
	r := New("s", Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				r.Counter("g", "c").Add(1)
				r.Timer("g", "t").Observe(time.Millisecond)
				r.Gauge("g", "g").Set(1)
			}
		})
		wg.Go(func() {
			for range 50 {
				r.Snapshot()
			}
		})
	}
	wg.Wait()
	if n := r.Counter("g", "c").Value(); n != 8000 {
		t.Errorf("%d", n)
	}
	if a := r.Timer("g", "t").Average(); a != time.Millisecond {
		t.Errorf("%v", a)
	}
}

func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		skip, err := SkipPattern(`g\.(secret|other).*`)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var all [][]byte
		sent := func() [][]byte {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		var text heard.Text
		var fail atomic.Bool
		r := &Reporter{
			Header: Header{JobName: "w2", Host: "h", ResetTime: time.Now()}, Interval: time.Minute, Skip: skip,
			Logger: slog.New(slog.NewTextHandler(&text, nil)),
			Send: func(_ context.Context, m [][]byte) error {
				if fail.Load() {
					return errors.New("no broker")
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, m...)
				return nil
			},
		}
		full, empty := New("full", Options{}), New("empty", Options{})
		full.Counter("g", "shown").Add(1)
		full.Counter("g", "secret-count").Add(1)
		empty.Counter("g", "other").Add(1)
		r.Add(full)
		r.Add(empty)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		synctest.Wait()
		if len(sent()) != 1 || !strings.Contains(string(sent()[0]), `"metrics":{"g":{"shown":1}}}`) || !strings.Contains(string(sent()[0]), `"source":"full"`) {
			t.Fatalf("%s", sent())
		}
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if len(sent()) != 3 {
			t.Errorf("%d messages after two minutes", len(sent()))
		}
		fail.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(text.String(), "no broker") {
			t.Errorf("the log says nothing: %s", text.String())
		}
		fail.Store(false)
		cancel()
		<-done
		if len(sent()) != 4 {
			t.Errorf("%d messages at the end", len(sent()))
		}
	})
}

func TestProcess(t *testing.T) {
	r := New("s", Options{})
	AddProcess(r)
	s := r.Snapshot()
	if len(s.Groups) != 1 || len(s.Groups[0].Metrics) != 6 {
		t.Fatalf("%+v", s)
	}
	for _, m := range s.Groups[0].Metrics {
		if v, ok := m.Value.(float64); !ok || v < 0 && m.Name != "open-file-descriptor-count" {
			t.Errorf("%s: %v", m.Name, m.Value)
		}
	}
}

func BenchmarkCounter(b *testing.B) {
	c := New("s", Options{}).Counter("g", "c")
	for b.Loop() {
		c.Add(1)
	}
}
