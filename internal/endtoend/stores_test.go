//go:build grid

package endtoend

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// taskFile is a file of the program with the tests' own tasks.
func taskFile(name string) string { return grid.Checkout() + "/internal/endtoend/tasks/" + name }

// keysOf are the keys of the lines of `state dump`.
func keysOf(t testing.TB, lines string) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for line := range strings.Lines(lines) {
		var e struct{ Key string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		keys[e.Key] = true
	}
	return keys
}

// keeping is a job of the task test.Keep.
type keeping struct {
	*job
	in, out string
	ttl     time.Duration
}

func newKeeping(t testing.TB, g *grid.Grid, ttl time.Duration) *keeping {
	t.Helper()
	k := &keeping{job: newJob(t, g, grid.Name("keep"), taskFile("keep.properties")), in: g.Topic(t, "words", 4), out: g.Topic(t, "kept", 4), ttl: ttl}
	k.set("job.factory.class", "yarn")
	k.set("yarn.package.path", sharedPackage(t, g, taskFile("keep.properties")))
	k.set("task.inputs", "kafka."+k.in)
	k.set("streams.Kept.samza.system", "kafka")
	k.set("streams.Kept.samza.physical.name", k.out)
	k.set("stores.brief.rocksdb.ttl.ms", fmt.Sprint(ttl.Milliseconds()))
	for _, s := range []string{"counts", "brief", "full"} {
		k.set("stores."+s+".changelog", "kafka."+k.topic(s))
		t.Cleanup(func() { g.DeleteTopics(t, k.topic(s), k.topic(s)+"-access-log") })
	}
	return k
}

// topic is a store's changelog.
func (k *keeping) topic(store string) string { return k.name + "-" + store }

// word is the i-th message: one of 40 users, each in one partition.
func (k *keeping) word(i int) *kgo.Record {
	return &kgo.Record{Topic: k.in, Partition: int32(i % 4), Value: fmt.Appendf(nil, "u%d", i*7%40)}
}

// did is what the task says of each message, by its place.
type did struct {
	User    string
	Count   int64
	Refused bool
}

func (k *keeping) did() (by map[string]did, places []string) {
	k.t.Helper()
	by = map[string]did{}
	for _, r := range k.g.ReadAll(k.t, k.out) {
		var d did
		if err := json.Unmarshal(r.Value, &d); err != nil {
			k.t.Fatalf("%q: %v", r.Value, err)
		}
		by[string(r.Key)] = d
		places = append(places, string(r.Key))
	}
	return by, places
}

// placesOf are the places of messages, as the task names them.
func placesOf(sent []*kgo.Record) (places []string) {
	for _, r := range sent {
		places = append(places, fmt.Sprintf("%d/%d", r.Partition, r.Offset))
	}
	return places
}

// totalsOfWords counts messages by user.
func totalsOfWords(sent []*kgo.Record) map[string]int64 {
	totals := map[string]int64{}
	for _, r := range sent {
		totals[string(r.Value)]++
	}
	return totals
}

// exactCounts compares the counts in the store of a running job with the true ones.
func (k *keeping) exactCounts(when string, sent []*kgo.Record, application string) {
	k.t.Helper()
	k.compare(when+", counts in the store", totalsOfWords(sent), totalsOf(k.t, k.dump(application, "counts")))
}

// exactChangelog compares the last counts in the changelog with the true ones.
func (k *keeping) exactChangelog(when string, sent []*kgo.Record) {
	k.t.Helper()
	logged := map[string]int64{}
	for user, value := range lastByKey(k.g.ReadAll(k.t, k.topic("counts"))) {
		logged[user] = int64(binary.BigEndian.Uint64(value))
	}
	k.compare(when+", counts in the changelog", totalsOfWords(sent), logged)
}

func (k *keeping) compare(what string, want, got map[string]int64) {
	k.t.Helper()
	d := difference(want, got)
	k.t.Logf("%s: %s", what, d)
	if !d.Exact() {
		k.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestStoresWithAllOptionsOnYARN: exactly-once, with stores whose entries end, that log each access, and
// that have a quota, a container is killed by SIGKILL under load. Each message is there once, each count
// follows on the one before, the access log has two records for each message, the entries are there until
// their time, which the kill does not change, and then none is; what the quota refused is told, and
// nothing else is missing.
func TestStoresWithAllOptionsOnYARN(t *testing.T) {
	soak(t)
	g := grid.Use(t)
	const ttl = time.Minute
	k := newKeeping(t, g, ttl)
	k.set("job.container.count", "2")
	k.set("heddle.processing.guarantee", "exactly-once")
	id := k.submit()
	began := time.Now()
	input := produceLive(t, g, k.word, 40, 40*time.Millisecond)
	input.awaitMore(1500)
	killed := time.Now()
	killContainer(t, g, k.job, id, 0)
	input.awaitMore(1500)
	sent := input.finish()
	k.awaitRead(id, k.in)
	grid.Eventually(t, soon, "all of it is committed", func() (bool, string) {
		n := len(g.ReadAll(t, k.out))
		return n >= len(sent), fmt.Sprint(n, " of ", len(sent))
	})

	// Outputs.
	said, places := k.did()
	t.Log("1 kill, exactly-once:")
	exactly(t, grid.Tally(placesOf(sent), places))

	// Counts: for each user each number once.
	numbers, totals := map[string][]int64{}, totalsOfWords(sent)
	for _, d := range said {
		numbers[d.User] = append(numbers[d.User], d.Count)
	}
	for user, n := range totals {
		got := slices.Sorted(slices.Values(numbers[user]))
		if len(got) != int(n) || got[0] != 1 || got[len(got)-1] != n || len(slices.Compact(got)) != int(n) {
			t.Errorf("%s: the counts are %v, want 1 to %d", user, got, n)
		}
	}
	k.exactCounts("after the kill", sent, id)
	k.exactChangelog("after the kill", sent)

	// The access log: a get and a put for each message.
	accesses := map[int32]int{}
	for _, r := range g.ReadAll(t, k.topic("counts")+"-access-log") {
		accesses[r.Partition]++
	}
	calls := map[int32]int{}
	for _, r := range sent {
		calls[r.Partition] += 2
	}
	t.Logf("access log: %v records by partition, of %v calls", accesses, calls)
	if !maps.Equal(accesses, calls) {
		t.Errorf("the access log has %v records, want %v", accesses, calls)
	}

	// The quota: what was refused is not there, all else is.
	full := keysOf(t, k.dump(id, "full"))
	refused, after := 0, map[string]int{}
	for place, d := range said {
		if d.Refused {
			refused++
			partition, _, _ := strings.Cut(place, "/")
			after[partition]++
		}
		if full[place] == d.Refused {
			t.Errorf("message %s: refused %v, and it is there: %v", place, d.Refused, full[place])
		}
	}
	t.Logf("quota: of %d entries %d were refused (by partition %v), %d are there", len(said), refused, after, len(full))
	if len(full)+refused != len(said) || len(after) != 4 {
		t.Errorf("of %d entries %d are there and %d were refused, by partition %v", len(said), len(full), refused, after)
	}

	// Entries that end: all are there before the first has to end; when those from before the kill have to
	// end, they do, and the others do not; in the end there is none.
	brief := keysOf(t, k.dump(id, "brief"))
	if took := time.Since(began); took > ttl {
		t.Errorf("it took %v up to here, longer than the TTL of %v: nothing is known of the entries", took, ttl)
	} else if len(brief) != len(sent) {
		t.Errorf("%d of %d entries are there", len(brief), len(sent))
	}
	t.Logf("TTL: %d of %d entries are there %.0f s after the first, some of them restored", len(brief), len(sent), time.Since(began).Seconds())
	ends := map[string]time.Time{}
	var last time.Time
	for _, r := range g.ReadAll(t, k.topic("brief")) {
		ends[string(r.Key)] = r.Timestamp.Add(ttl)
		if r.Timestamp.Add(ttl).After(last) {
			last = r.Timestamp.Add(ttl)
		}
	}
	if len(ends) != len(sent) {
		t.Fatalf("the changelog has %d of %d entries", len(ends), len(sent))
	}
	for _, at := range []time.Time{killed.Add(ttl), last.Add(time.Millisecond)} {
		<-time.After(time.Until(at))
		from := time.Now()
		there := keysOf(t, k.dump(id, "brief"))
		to := time.Now()
		over, early, late := 0, 0, 0
		for place, end := range ends {
			switch {
			case end.Before(from):
				if over++; there[place] {
					late++
				}
			case end.After(to) && !there[place]:
				early++
			}
		}
		t.Logf("TTL: %d of %d entries have to be gone, %d are there; gone too early %d, too late %d", over, len(ends), len(there), early, late)
		if early+late > 0 || over == 0 || at.After(last) && len(there) > 0 {
			t.Errorf("of %d entries %d have to be gone, %d are there; gone too early %d, too late %d", len(ends), over, len(there), early, late)
		}
	}
	k.exactCounts("after the TTL", sent, id)
	k.kill(id)
}

// dump is what a store holds as of the last commit.
func (k *keeping) dump(application, store string) string {
	k.t.Helper()
	r := try(k.t, "state", "dump", store, "--application="+application)
	if r.code != 0 {
		k.t.Fatal(r)
	}
	return r.stdout
}
