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
// store unless another is asked for; EventSize that of a JSON event, KeySize that
// of a key unless another is asked for. LeastSize is that of the number of a
// user, which each key and each entry of a large store begins or ends with.
const (
	ValueSize = 100
	EventSize = 97
	KeySize   = 13
	LeastSize = 8
)

// Keys says how many different keys there are, and in which order they come.
type Keys struct {
	Users int64
	// Each makes each user come once before any comes again; otherwise they come
	// as chance has it.
	Each bool
	// First makes each user come once, and then as chance has it.
	First bool
	// Size is that of a key in bytes; 0: KeySize.
	Size int
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

// AppendKey appends the key of record i, "user-00001234"; of another size,
// the digits are at its end.
func (k Keys) AppendKey(dst []byte, i int64) []byte { return k.appendUser(dst, k.User(i)) }

// AppendUser appends the key of a user, of KeySize.
func AppendUser(dst []byte, user int64) []byte { return Keys{}.appendUser(dst, user) }

func (k Keys) appendUser(dst []byte, user int64) []byte {
	return appendPadded(k.appendPrefix(dst), user, LeastSize)
}

// appendPrefix appends what is before the digits of each key.
func (k Keys) appendPrefix(dst []byte) []byte {
	const prefix = "user-"
	n := KeySize
	if k.Size > 0 {
		n = max(k.Size, LeastSize)
	}
	for i := range n - LeastSize {
		dst = append(dst, prefix[i%len(prefix)])
	}
	return dst
}

// ParseUser is the user of a key.
func (k Keys) ParseUser(key []byte) (user int64, ok bool) {
	var few [32]byte
	digits, ok := bytes.CutPrefix(key, k.appendPrefix(few[:0]))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, ok && err == nil && len(digits) == LeastSize && n >= 0 && n < k.Users
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

// AppendState appends what a large store holds of a user, in size bytes (LeastSize
// or more): two fifths of it are noise, so that it compresses as real values do.
func AppendState(dst []byte, user int64, size int) []byte {
	number := min(size, numberSize)
	dst = appendPadded(dst, user, number)
	random := min(size*2/5, size-number)
	for noise, n := mix(uint64(user)), 0; n < random; n++ {
		dst = append(dst, byte(noise))
		if noise >>= 8; n%8 == 7 {
			noise = mix(uint64(user) + uint64(n)<<32)
		}
	}
	for j := range size - number - random {
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
