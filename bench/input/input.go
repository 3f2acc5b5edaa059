package input

import (
	"bytes"
	"strconv"
)

// Users is how many different keys there are unless more are asked for.
const Users = 10_000

// MaxUsers is the most that a key has digits for.
const MaxUsers = 100_000_000

// ValueSize is the size of a pass-through value, and of an entry of a large
// store; EventSize that of a JSON event. A key has 13 bytes.
const (
	ValueSize = 100
	EventSize = 97
)

// Keys says how many different keys there are, and in which order they come.
type Keys struct {
	Users int64
	// Each makes each user come once before any comes again; otherwise they come
	// as chance has it.
	Each bool
	// First makes each user come once, and then as chance has it.
	First bool
}

// User is the user of record i, in no visible order.
func (k Keys) User(i int64) int64 {
	if k.Each || k.First && i < k.Users {
		// Times a prime is a permutation unless the prime divides the number.
		return (i % k.Users) * 2_147_483_647 % k.Users
	}
	return int64(mix(uint64(i)) % uint64(k.Users))
}

// mix is SplitMix64.
func mix(n uint64) uint64 {
	z := (n + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// AppendKey appends the key of record i, "user-00001234".
func (k Keys) AppendKey(dst []byte, i int64) []byte { return AppendUser(dst, k.User(i)) }

// AppendUser appends the key of a user.
func AppendUser(dst []byte, user int64) []byte {
	return appendPadded(append(dst, "user-"...), user, 8)
}

// ParseUser is the user of a key.
func (k Keys) ParseUser(key []byte) (user int64, ok bool) {
	digits, ok := bytes.CutPrefix(key, []byte("user-"))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, ok && err == nil && len(digits) == 8 && n >= 0 && n < k.Users
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

// AppendState appends what a large store holds of a user: half of it is noise,
// so that it compresses as real values do.
func AppendState(dst []byte, user int64) []byte {
	dst = appendPadded(dst, user, numberSize)
	for noise, n := mix(uint64(user)), 0; n < 40; n++ {
		dst = append(dst, byte(noise))
		if noise >>= 8; n%8 == 7 {
			noise = mix(uint64(user) + uint64(n)<<32)
		}
	}
	for j := range ValueSize - numberSize - 40 {
		dst = append(dst, 'a'+byte(j%26))
	}
	return dst
}

// Event is what the count's tasks decode.
type Event struct {
	User      string `json:"user"`
	URL       string `json:"url"`
	Timestamp int64  `json:"timestamp"`
	LatencyMs int64  `json:"latencyMs"`
}

// AppendEvent appends record i as JSON, as Event has it.
func (k Keys) AppendEvent(dst []byte, i int64) []byte {
	dst = k.AppendKey(append(dst, `{"user":"`...), i)
	dst = appendPadded(append(dst, `","url":"/catalog/`...), i, 11)
	dst = strconv.AppendInt(append(dst, `","timestamp":`...), 1_448_933_719_000+i, 10)
	dst = strconv.AppendInt(append(dst, `,"latencyMs":`...), 10_000+i%90_000, 10)
	return append(dst, '}')
}

func appendPadded(dst []byte, n int64, width int) []byte {
	var b [20]byte
	digits := strconv.AppendInt(b[:0], n, 10)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
