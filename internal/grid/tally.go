package grid

import (
	"fmt"
	"slices"
)

// Delivery says exactly what became of what was sent.
type Delivery struct {
	In      int // sent
	Out     int // received
	Lost    int // sent, and received less often than sent
	Twice   int // received more often than sent
	Unknown int // received, and never sent
}

// Tally compares what was sent with what was received, whatever the order. An item may be sent more
// than once; it is expected as often.
func Tally(sent, received []string) Delivery {
	d := Delivery{In: len(sent), Out: len(received)}
	balance := make(map[string]int, len(sent))
	for _, item := range sent {
		balance[item]++
	}
	for _, item := range received {
		left, known := balance[item]
		switch {
		case !known:
			d.Unknown++
		case left <= 0:
			d.Twice++
			balance[item] = left - 1
		default:
			balance[item] = left - 1
		}
	}
	for _, left := range balance {
		d.Lost += max(left, 0)
	}
	return d
}

// Exact reports whether all came, once each.
func (d Delivery) Exact() bool { return d.Lost == 0 && d.Twice == 0 && d.Unknown == 0 }

// String is one line for a test's log.
func (d Delivery) String() string {
	return fmt.Sprintf("in=%d out=%d lost=%d twice=%d unknown=%d", d.In, d.Out, d.Lost, d.Twice, d.Unknown)
}

// Missing lists, sorted, up to limit of the items that were sent and not received as often.
func Missing(sent, received []string, limit int) []string {
	balance := map[string]int{}
	for _, item := range sent {
		balance[item]++
	}
	for _, item := range received {
		balance[item]--
	}
	var missing []string
	for item, left := range balance {
		if left > 0 {
			missing = append(missing, item)
		}
	}
	slices.Sort(missing)
	return missing[:min(limit, len(missing))]
}
