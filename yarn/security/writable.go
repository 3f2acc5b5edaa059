package security

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrTruncated is wrapped by the decoders' errors when the bytes end before the
// value does.
var ErrTruncated = errors.New("the data ends too early")

// AppendVLong appends v in the variable-length coding of Hadoop's
// WritableUtils.writeVLong (writeVInt is the same coding).
//
// Values from -112 to 127 take one byte. Others take a byte that tells sign and
// length, then the magnitude (the one's complement of a negative value)
// big-endian in as few bytes as hold it.
func AppendVLong(b []byte, v int64) []byte {
	if v >= -112 && v <= 127 {
		return append(b, byte(v))
	}
	head := -112
	magnitude := uint64(v)
	if v < 0 {
		head = -120
		magnitude = uint64(^v)
	}
	n := (bits.Len64(magnitude) + 7) / 8
	b = append(b, byte(int8(head-n)))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(magnitude>>(8*i)))
	}
	return b
}

// AppendText appends s as Hadoop's Text writes it: its length as a vint, then
// its bytes.
func AppendText(b []byte, s string) []byte {
	return append(AppendVLong(b, int64(len(s))), s...)
}

// AppendBytes appends p as a vint length and the bytes.
func AppendBytes(b, p []byte) []byte {
	return append(AppendVLong(b, int64(len(p))), p...)
}

// A writableReader takes Writable values off the front of b. The first error
// stays; what is read after it is zero.
type writableReader struct {
	b   []byte
	off int // bytes taken, for error texts
	err error
}

func (r *writableReader) fail(what string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s at byte %d: %w", what, r.off, err)
	}
	r.b = nil
}

func (r *writableReader) take(n int, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.fail(what, fmt.Errorf("%w: %d bytes wanted, %d left", ErrTruncated, n, len(r.b)))
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	r.off += n
	return p
}

func (r *writableReader) byte(what string) byte {
	p := r.take(1, what)
	if p == nil {
		return 0
	}
	return p[0]
}

func (r *writableReader) vlong(what string) int64 {
	first := int8(r.byte(what))
	if r.err != nil || first >= -112 {
		return int64(first)
	}
	negative := first < -120
	n := -112 - int(first)
	if negative {
		n = -120 - int(first)
	}
	var magnitude uint64
	for _, c := range r.take(n, what) {
		magnitude = magnitude<<8 | uint64(c)
	}
	if r.err != nil {
		return 0
	}
	if negative {
		return ^int64(magnitude)
	}
	return int64(magnitude)
}

// length reads a vint that counts things of at least unit bytes each, so that a
// hostile count cannot make anyone allocate more than the input is long.
func (r *writableReader) length(unit int, what string) int {
	n := r.vlong(what)
	if r.err != nil {
		return 0
	}
	if n < 0 {
		r.fail(what, fmt.Errorf("negative length %d", n))
		return 0
	}
	if n > int64(len(r.b)/unit) {
		r.fail(what, fmt.Errorf("%w: length %d, %d bytes left", ErrTruncated, n, len(r.b)))
		return 0
	}
	return int(n)
}

func (r *writableReader) bytes(what string) []byte {
	p := r.take(r.length(1, what), what)
	if r.err != nil {
		return nil
	}
	return append([]byte{}, p...)
}

func (r *writableReader) text(what string) string {
	return string(r.take(r.length(1, what), what))
}
