package config

import (
	"fmt"
	"strings"
)

// nearest returns the candidate that needs the fewest edits (one letter added,
// left out, replaced or swapped with its neighbour) to become s; empty when
// all are too far to be meant.
func nearest(s string, candidates []string) string {
	best, least := "", tolerance(s)+1
	for _, c := range candidates {
		if c == "" {
			continue
		}
		if d := distance(strings.ToLower(s), strings.ToLower(c), least); d < least {
			best, least = c, d
		}
	}
	return best
}

// tolerance is the number of edits up to which two names are taken for the
// same: a third of the letters, at most 6.
func tolerance(s string) int { return min(6, max(1, len(s)/3)) }

func didYouMean(s string, candidates []string) string {
	if n := nearest(s, candidates); n != "" {
		return fmt.Sprintf(" (did you mean %s?)", n)
	}
	return ""
}

// distance is the number of edits between two strings, or limit if it is at
// least that. What lies as far from the diagonal as that is not looked at: a key
// may be as long as a file.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		low := row[0]
		from, to := max(0, i-limit+1), min(len(b), i+limit)
		if from > 0 {
			row[from] = limit
		}
		if to < len(b) {
			row[to+1] = limit
		}
		for j := from; j < to; j++ {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
			low = min(low, row[j+1])
		}
		if low >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// nearestKey returns the declared key that an unknown one is nearest to. For
// a pattern the names that the key has in the placeholders' places are kept:
// systems.kafka.samza.msg.sedre gives systems.kafka.samza.msg.serde.
func nearestKey(key string) string {
	var candidates []string
	parts := strings.Split(key, ".")
	for _, d := range registry {
		for _, p := range append([]string{d.Name}, d.places...) {
			for _, c := range parsePattern(p).along(parts) {
				if c != key {
					candidates = append(candidates, c)
				}
			}
		}
	}
	return nearest(key, candidates)
}

// along fills the pattern's placeholders with what stands in their places in
// a key of other parts; none when the key is too short. A placeholder that may
// hold dots takes as many parts as make both equally long.
func (p pattern) along(parts []string) []string {
	if p.fixed() {
		return []string{p.name}
	}
	segments := strings.Split(strings.ReplaceAll(p.name, "...>", "\x00>"), ".")
	spare := len(parts) - len(segments)
	var params []string
	at := 0
	for _, s := range segments {
		if at >= len(parts) {
			return nil
		}
		if !strings.HasPrefix(s, "<") {
			at++
			continue
		}
		n := 1
		if strings.HasSuffix(s, "\x00>") && spare > 0 {
			n += spare
			spare = 0
		}
		params = append(params, strings.Join(parts[at:min(at+n, len(parts))], "."))
		at += n
	}
	return []string{p.fill(params)}
}
