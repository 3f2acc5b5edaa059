package pebble

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heddle/storage/engine"
)

// TestOrder compares with a stable sort by key of which the last of each key stays:
// few writes and many, keys with much and with nothing in common, keys that begin with
// others, zeros.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 2, 20, fewWrites, fewWrites + 1, 1000}).Draw(t, "writes")
		prefix := rapid.SampledFrom([]string{"", "u", "user-0000", "\x00"}).Draw(t, "prefix")
		rest := rapid.SampledFrom([]*rapid.Generator[string]{
			rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b'}), 0, 12, -1),
			rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 2000).Draw(t, "number")) }),
			rapid.StringN(0, 20, -1),
		}).Draw(t, "keys")
		batch := make([]engine.Write, n)
		for i := range batch {
			batch[i].Key = prefix + rest.Draw(t, "key")
		}
		if rapid.Bool().Draw(t, "sorted") {
			slices.SortStableFunc(batch, func(a, b engine.Write) int { return strings.Compare(a.Key, b.Key) })
		}
		want := make([]uint32, n)
		for i := range want {
			want[i] = uint32(i)
		}
		slices.SortStableFunc(want, func(a, b uint32) int { return strings.Compare(batch[a].Key, batch[b].Key) })
		last := want[:0]
		for i, at := range want {
			if i+1 == n || batch[want[i+1]].Key != batch[at].Key {
				last = append(last, at)
			}
		}
		o := &order{}
		for range 2 { // the second time in memory that is used already
			if got := o.of(batch); !slices.Equal(got, last) {
				t.Fatalf("%v instead of %v", got, last)
			}
		}
	})
}
