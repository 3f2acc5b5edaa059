package input

import (
	"bytes"
	"strconv"
)

// Users is how many different keys there are.
const Users = 10_000

// ValueSize is the size of a pass-through value; EventSize that of a JSON
// event. A key has 13 bytes.
const (
	ValueSize = 100
	EventSize = 97
)

// User is the user of record i: any of them, in no visible order.
func User(i int64) int {
	// SplitMix64
	z := uint64(i+1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % Users)
}

// AppendKey appends the key of record i, "user-00001234".
func AppendKey(dst []byte, i int64) []byte { return appendUser(dst, User(i)) }

func appendUser(dst []byte, user int) []byte {
	return appendPadded(append(dst, "user-"...), int64(user), 8)
}

// ParseUser is the user of a key.
func ParseUser(key []byte) (user int, ok bool) {
	digits, ok := bytes.CutPrefix(key, []byte("user-"))
	n, err := strconv.Atoi(string(digits))
	return n, ok && err == nil && len(digits) == 8 && n >= 0 && n < Users
}

const numberSize = 12

// AppendValue appends the pass-through value of record i: its number, then
// letters.
func AppendValue(dst []byte, i int64) []byte {
	dst = appendPadded(dst, i, numberSize)
	for j := range ValueSize - numberSize {
		dst = append(dst, 'a'+byte((int(i)+j)%26))
	}
	return dst
}

// ParseValue is the number of a pass-through value.
func ParseValue(value []byte) (i int64, ok bool) {
	if len(value) != ValueSize {
		return 0, false
	}
	i, err := strconv.ParseInt(string(value[:numberSize]), 10, 64)
	return i, err == nil && i >= 0
}

// Event is what the count's tasks decode.
type Event struct {
	User      string `json:"user"`
	URL       string `json:"url"`
	Timestamp int64  `json:"timestamp"`
	LatencyMs int64  `json:"latencyMs"`
}

// AppendEvent appends record i as JSON, as Event has it.
func AppendEvent(dst []byte, i int64) []byte {
	dst = appendUser(append(dst, `{"user":"`...), User(i))
	dst = appendPadded(append(dst, `","url":"/catalog/`...), i, 11)
	dst = strconv.AppendInt(append(dst, `","timestamp":`...), 1_448_933_719_000+i, 10)
	dst = strconv.AppendInt(append(dst, `,"latencyMs":`...), 10_000+i%90_000, 10)
	return append(dst, '}')
}

func appendPadded(dst []byte, n int64, width int) []byte {
	digits := strconv.AppendInt(nil, n, 10)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
