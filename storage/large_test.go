package storage

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// limited is a way out to a topic that takes only records of a size.
type limited struct {
	system.Outbox
	bytes int64
}

func (l limited) RecordLimit(context.Context, string) (system.RecordLimit, error) {
	return system.RecordLimit{Bytes: l.bytes, Why: "max.message.bytes of the topic is small"}, nil
}

// TestLarge: what a rule refuses changes nothing, neither the store nor the
// changelog, whatever the cache and the serde.
func TestLarge(t *testing.T) {
	const taken = 100 // by the changelog, key and value
	big := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name             string
		logged           bool
		disallow, drop   bool
		max              int64
		key, value       string
		refused, dropped bool
		says             string
	}{
		{name: "small", logged: true, key: "k", value: big(99)},
		{name: "beyond the topic", logged: true, key: "k", value: big(100), refused: true, says: "its key has 1 bytes and its value 100, and the changelog takes 100 together (max.message.bytes of the topic is small)"},
		{name: "a key beyond the topic", logged: true, key: big(101), value: "", refused: true, says: "its key has 101 bytes"},
		{name: "no changelog", key: "k", value: big(1000)},
		{name: "large, and nobody minds", key: "k", value: big(1000), max: 10},
		{name: "as large as allowed", disallow: true, max: 10, key: "k", value: big(10)},
		{name: "disallowed", disallow: true, max: 10, key: "k", value: big(11), refused: true, says: "its value has 11 bytes, and stores.s.changelog.max.message.size.bytes is 10 with stores.s.disallow.large.messages"},
		{name: "dropped", drop: true, max: 10, key: "k", value: big(11), dropped: true},
		{name: "as large as kept", drop: true, max: 10, key: "k", value: big(10)},
		{name: "disallowed before dropped", disallow: true, drop: true, max: 10, key: "k", value: big(11), refused: true, says: "its value has 11 bytes"},
		{name: "dropped for the topic", logged: true, drop: true, max: 1000, key: "k", value: big(101), dropped: true},
	}
	for _, tt := range tests {
		for _, size := range sizes {
			for _, serde := range []string{"string", ""} {
				spec := Spec{Name: "s", Engine: engine.Memory, KeySerde: "string", ValueSerde: serde, CacheEntries: size[0], WriteBatch: size[1],
					MaxMessageSize: tt.max, DisallowLarge: tt.disallow, DropLarge: tt.drop}
				if tt.logged {
					spec.Changelog = system.StreamID{System: "kafka", Stream: "log"}
				}
				r := newRig(spec)
				r.options = func(o *Options) {
					o.Outbox = func(string) (system.Outbox, error) { return limited{r.out, taken}, nil }
				}
				r.start(t)
				s := r.store(t, "s")
				value := func(text string) any {
					if serde == "" {
						return []byte(text)
					}
					return text
				}
				check(t, s.Put(tt.key[:1], value("old")))
				for _, how := range []string{"Put", "PutAll"} {
					var err error
					if how == "Put" {
						err = s.Put(tt.key, value(tt.value))
					} else {
						err = s.PutAll([]task.Entry{{Key: "other", Value: value("new")}, {Key: tt.key, Value: value(tt.value)}})
					}
					if errors.Is(err, task.ErrTooLarge) != tt.refused || (err != nil) != tt.refused {
						t.Fatalf("%s, cache %v, serde %q, %s: %v", tt.name, size, serde, how, err)
					}
					if err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `store "s"`)) {
						t.Errorf("%s: %v", tt.name, err)
					}
				}
				want := map[string]any{tt.key[:1]: value("old"), tt.key: value(tt.value), "other": value("new")}
				if tt.refused {
					delete(want, "other")
				}
				if tt.refused || tt.dropped {
					delete(want, tt.key)
					want[tt.key[:1]] = value("old")
				}
				check(t, r.commit(t, allSteps))
				n := 0
				for e := range s.All() {
					check(t, e.Err)
					n++
					if w := want[e.Key.(string)]; w == nil || text(w) != text(e.Value) {
						t.Errorf("%s, cache %v: %q is %v, want %v", tt.name, size, e.Key, e.Value, w)
					}
				}
				if n != len(want) {
					t.Errorf("%s, cache %v: %d entries, want %d", tt.name, size, n, len(want))
				}
				if tt.logged {
					for _, rec := range r.broker.Records("log", changelogPartition) {
						if len(rec.Key)+len(rec.Value) > taken {
							t.Errorf("%s: the changelog got %d bytes", tt.name, len(rec.Key)+len(rec.Value))
						}
					}
				}
				r.end(t)
			}
		}
	}
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return v.(string)
}

// TestDroppedAreTold: few lines for many records.
func TestDroppedAreTold(t *testing.T) {
	var b strings.Builder
	r := newSizeRule(Spec{Name: "s", DropLarge: true, MaxMessageSize: 1}, slog.New(slog.NewTextHandler(&b, nil)))
	for range 1000 {
		if drop, err := r.judge("k", []byte("vv")); !drop || err != nil {
			t.Fatal(drop, err)
		}
	}
	if r.dropped != 1000 || strings.Count(b.String(), "\n") != 10 {
		t.Errorf("%d, %s", r.dropped, b.String())
	}
}
