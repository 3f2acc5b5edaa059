package main

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
	"heddle/bench/steady"
)

var keys = input.Keys{Users: input.Users}

func copyOf(i int64) *kgo.Record {
	return &kgo.Record{Key: keys.AppendKey(nil, i), Value: input.AppendValue(nil, i)}
}

func TestCopies(t *testing.T) {
	const n = 1000
	all := make([]*kgo.Record, n)
	for i := range all {
		all[i] = copyOf(int64(i))
	}
	// Two records of one user.
	first, second := -1, -1
	for i := range all {
		for j := i + 1; j < n && first < 0; j++ {
			if keys.User(int64(i)) == keys.User(int64(j)) {
				first, second = i, j
			}
		}
	}
	exchanged := slices.Clone(all)
	exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
	otherKey := copyOf(5)
	otherKey.Key = keys.AppendKey(nil, 6)
	otherValue := copyOf(5)
	otherValue.Value[99] ^= 1
	for _, tt := range []struct {
		name    string
		records []*kgo.Record
		want    string // in the error; "" for none
	}{
		{"exact", all, ""},
		{"nothing", nil, "1000 were lost"},
		{"one lost", slices.Delete(slices.Clone(all), 17, 18), "1 were lost, 0 came twice"},
		{"one twice", append(slices.Clone(all), all[17]), "0 were lost, 1 came twice"},
		{"one lost and another twice", append(slices.Delete(slices.Clone(all), 17, 18), all[20]), "1 were lost, 1 came twice"},
		{"order of a key", exchanged, "1 came behind a later one"},
		{"key of another", []*kgo.Record{otherKey}, "has the key"},
		{"value changed", []*kgo.Record{otherValue}, "has the value"},
		{"foreign value", []*kgo.Record{{Value: []byte("x")}}, "none of the input's"},
		{"beyond the input", []*kgo.Record{copyOf(n)}, "none of the input's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCopies(keys, n)
			var err error
			for _, r := range tt.records {
				if err = c.record(r); err != nil {
					break
				}
			}
			if err == nil {
				err = c.verdict()
			}
			expect(t, err, tt.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%v, want %q", err, want)
	}
}

func TestTotals(t *testing.T) {
	const n = 50_000
	total := func(user int, count int64) *kgo.Record {
		return &kgo.Record{Key: input.AppendUser(nil, int64(user)), Value: binary.BigEndian.AppendUint64(nil, uint64(count))}
	}
	var all []*kgo.Record
	for user, count := range newTotals(keys, n).want {
		if count > 1 {
			all = append(all, total(user, count-1)) // an earlier commit's
		}
		if count > 0 {
			all = append(all, total(user, count))
		}
	}
	for _, tt := range []struct {
		name    string
		records []*kgo.Record
		want    string
	}{
		{"exact", all, ""},
		{"counted twice", append(slices.Clone(all), total(7, newTotals(keys, n).want[7]+3)), "1 users are wrong, by +3"},
		{"nothing", nil, "by -50000"},
		{"no user", []*kgo.Record{{Key: []byte("bob"), Value: make([]byte, 8)}}, "is no user"},
		{"no long", []*kgo.Record{{Key: []byte("user-00000001"), Value: []byte("12")}}, "instead of 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTotals(keys, n)
			var err error
			for _, r := range tt.records {
				if err = c.record(r); err != nil {
					break
				}
			}
			if err == nil {
				err = c.verdict()
			}
			expect(t, err, tt.want)
		})
	}
}

func measuredAt(rate, cpu, rss float64) result {
	return result{Report: steady.Report{
		SteadyRecords: 1_000_000, SteadySeconds: 1e6 / rate, SteadyCPUSeconds: cpu, PeakRSSBytes: int64(rss * (1 << 20)),
	}, whole: time.Second}
}

func TestSummary(t *testing.T) {
	// The machine was twice as slow during the second pair.
	pairs := []pair{
		{heddle: measuredAt(1_000_000, 0.9, 100), bare: measuredAt(1_250_000, 0.8, 80)},
		{heddle: measuredAt(500_000, 1.8, 110), bare: measuredAt(625_000, 1.5, 90)},
		{heddle: measuredAt(900_000, 1.0, 120), bare: measuredAt(1_000_000, 1.0, 70)},
	}
	s := summarize("passthrough", 4, 1_000_000, pairs)
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"rate", s.RecordsPerSecond, 900_000}, {"bare rate", s.BareRecordsPerSecond, 1_000_000},
		{"CPU", s.CPUSecondsPerMillion, 1.0}, {"bare CPU", s.BareCPUSecondsPerMillion, 1.0},
		{"RSS", s.PeakRSSMiB, 110}, {"bare RSS", s.BarePeakRSSMiB, 80},
		{"rate ratio", s.RateRatio, 0.8}, {"greatest rate ratio", s.RateRatios[1], 0.9},
		{"CPU ratio", s.CPURatio, 1.125}, {"least CPU ratio", s.CPURatios[0], 1.0}, {"greatest CPU ratio", s.CPURatios[1], 1.2},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
	if s := summarize("count", 4, 1_000_000, pairs[:2]); s.RecordsPerSecond != 750_000 {
		t.Errorf("the median of two is %v", s.RecordsPerSecond)
	}
}

// TestJSON holds the names that others read.
func TestJSON(t *testing.T) {
	b, err := json.Marshal(summarize("count", 4, 1_000_000, []pair{{heddle: measuredAt(2, 1, 1), bare: measuredAt(1, 1, 1)}}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"workload":"count","recordsPerSecond":2,"cpuSecondsPerMillion":1,"peakRSSMiB":1,"bareRecordsPerSecond":1,"bareCPUSecondsPerMillion":1,`
	if !strings.HasPrefix(string(b), want) {
		t.Errorf("got %s\nwant it to begin with %s", b, want)
	}
}

func TestParse(t *testing.T) {
	env := map[string]string{"HEDDLE_BENCH_PROGRAMS": "p", "HEDDLE_BENCH_FILES": "f", "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2"}
	getenv := func(k string) string { return env[k] }
	s, err := parse([]string{"passthrough", "--partitions", "4,1000", "--json", "count", "--records=5000"}, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.workloads, []string{passThrough, count}) || !slices.Equal(s.partitions, []int{4, 1000}) ||
		!slices.Equal(s.brokers, []string{"a:1", "b:2"}) || !s.json || s.records != 5000 || workloads[count].of(s).records != 5000 || s.runs != 3 {
		t.Errorf("%+v", s)
	}
	for _, args := range [][]string{{"windows"}, {"--partitions=0"}, {"--partitions=4,x"}, {"--runs=0"}, {"--records=10"}, {"--config=x"}, {"--what"}, {"recovery", "--yarn"}, {"count", "--yarn"}} {
		if _, err := parse(args, getenv); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
