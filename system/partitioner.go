package system

import (
	"math"
	"reflect"
)

// JavaHash is what Java's hashCode gives for the value that v stands for in
// Samza: string is a String (hashed over its UTF-16 units), int32, int16 and
// int8 an Integer, int64 and int a Long, float64 a Double, float32 a Float,
// bool a Boolean. Named types count as what they are made of. ok is false for
// everything else: Java would hash a byte array or an object by its identity,
// which is no rule at all.
//
// A string that is not valid UTF-8 is hashed as if each bad byte were U+FFFD.
func JavaHash(v any) (hash int32, ok bool) {
	switch v := v.(type) {
	case string:
		return javaStringHash(v), true
	case int32:
		return v, true
	case int64:
		return javaLongHash(v), true
	case int:
		return javaLongHash(int64(v)), true
	case bool:
		return javaBoolHash(v), true
	case float64:
		return javaDoubleHash(v), true
	case nil, []byte:
		return 0, false
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.String:
		return javaStringHash(r.String()), true
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return int32(r.Int()), true
	case reflect.Int64, reflect.Int:
		return javaLongHash(r.Int()), true
	case reflect.Bool:
		return javaBoolHash(r.Bool()), true
	case reflect.Float64:
		return javaDoubleHash(r.Float()), true
	case reflect.Float32:
		return javaFloatHash(float32(r.Float())), true
	}
	return 0, false
}

// KeyPartition is the partition that Samza's low-level API chooses among n for
// a key before it is serialised: HashPartition of its JavaHash. ok is false
// where JavaHash has no answer; the choice is then the system's own.
func KeyPartition(key any, n int32) (partition int32, ok bool) {
	h, ok := JavaHash(key)
	if !ok || n <= 0 {
		return 0, false
	}
	return HashPartition(h, n), true
}

// HashPartition is abs(hash) mod n, where the abs of the smallest integer is 0.
func HashPartition(hash, n int32) int32 {
	switch {
	case hash == math.MinInt32:
		return 0
	case hash < 0:
		hash = -hash
	}
	return hash % n
}

// BytesPartition is the partition that Kafka's default partitioner chooses
// among n for a serialised key: murmur2 without its sign bit, mod n.
func BytesPartition(key []byte, n int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % n
}

func javaStringHash(s string) int32 {
	var h int32
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + (0xd800 + r>>10)
			h = 31*h + (0xdc00 + r&0x3ff)
			continue
		}
		h = 31*h + r
	}
	return h
}

func javaLongHash(v int64) int32 { return int32(v ^ int64(uint64(v)>>32)) }

func javaBoolHash(v bool) int32 {
	if v {
		return 1231
	}
	return 1237
}

func javaDoubleHash(v float64) int32 {
	bits := math.Float64bits(v)
	if v != v {
		bits = 0x7ff8000000000000 // Java hashes every NaN alike.
	}
	return int32(bits ^ bits>>32)
}

func javaFloatHash(v float32) int32 {
	if v != v {
		return 0x7fc00000
	}
	return int32(math.Float32bits(v))
}

// murmur2 is the 32-bit MurmurHash2 with the seed that Kafka uses.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h *= m
		h ^= k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
