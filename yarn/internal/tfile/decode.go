package tfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// decoder reads the numbers and texts of a TFile; after an error it gives zeros.
type decoder struct {
	in *bufio.Reader
	// size bounds where blocks end.
	size int64
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		d.err = err
	}
}

// big reads n bytes, the highest first.
func (d *decoder) big(n int) (v int64) {
	for range n {
		b, err := d.in.ReadByte()
		if err != nil {
			d.fail(err)
			return 0
		}
		v = v<<8 | int64(b)
	}
	return v
}

// long reads a number of 1 to 9 bytes (Hadoop: tfile.Utils.readVLong, which is
// not WritableUtils').
func (d *decoder) long() int64 {
	b, err := d.in.ReadByte()
	if err != nil {
		d.fail(err)
		return 0
	}
	first := int64(int8(b))
	switch {
	case first >= -32:
		return first
	case first >= -72: // 2 bytes
		return (first+52)<<8 | d.big(1)
	case first >= -104: // 3
		return (first+88)<<16 | d.big(2)
	case first >= -120: // 4
		return (first+112)<<24 | d.big(3)
	}
	n := int(first) + 129 // 1 to 8 bytes follow, and the first of them has the sign
	if n < 4 {
		d.fail(fmt.Errorf("a number begins with %d", first))
		return 0
	}
	v := d.big(n)
	shift := 64 - 8*n
	return v << shift >> shift
}

// count reads the number of what follows.
func (d *decoder) count() int64 {
	n := d.long()
	if n < 0 || n > maxIndex {
		d.fail(fmt.Errorf("a list of %d", n))
		return 0
	}
	return n
}

// bytes reads what follows its length.
func (d *decoder) bytes(most int64) []byte {
	n := d.long()
	if n < 0 || n > most {
		d.fail(fmt.Errorf("a length of %d", n))
	}
	if d.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(d.in, b); err != nil {
		d.fail(err)
		return nil
	}
	return b
}

func (d *decoder) text() string { return string(d.bytes(maxKey)) }

func (d *decoder) block() block {
	b := block{d.long(), d.long(), d.long()}
	if b.offset < 0 || b.stored < 0 || b.raw < 0 || b.offset > d.size || b.stored > d.size-b.offset {
		d.fail(fmt.Errorf("a block of %d bytes at %d of %d", b.stored, b.offset, d.size))
	}
	return b
}
