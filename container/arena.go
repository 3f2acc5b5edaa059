package container

import "heddle/task"

// arena is where a task's outgoing keys and values are encoded: chunk after
// chunk, append-only, so that the producer may keep what it was given until it
// is acknowledged. A chunk is freed when the last record in it is.
type arena struct {
	chunk []byte
	// limit bounds the size of a chunk. The first is small and each further one
	// twice as large: most tasks of a large container send little.
	limit int
	// typical is about the size of the largest recent value: a value that does
	// not fit behind the others would take a copy of them along.
	typical int
}

const (
	minChunk   = 2 << 10
	maxChunk   = 64 << 10
	minTypical = 128
)

// encode appends v by the serde and gives the bytes, with no room behind them.
func (a *arena) encode(s task.Serde, v any) ([]byte, error) {
	if need := max(a.typical, minTypical); cap(a.chunk)-len(a.chunk) < need {
		a.chunk = make([]byte, 0, max(min(2*cap(a.chunk), a.limit), minChunk, 2*need))
	}
	start := len(a.chunk)
	b, err := s.Append(a.chunk, v)
	if err != nil {
		// What the serde may have written behind the end is written over.
		return nil, err
	}
	a.chunk = b
	n := len(b) - start
	if n > a.typical {
		a.typical = n
	} else {
		a.typical -= (a.typical - n) / 16
	}
	return b[start:len(b):len(b)], nil
}
