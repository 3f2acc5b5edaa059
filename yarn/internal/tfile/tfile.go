package tfile

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat: the file is no TFile, or a damaged one.
var ErrFormat = errors.New("no TFile")

// magic ends every file.
var magic = [16]byte{0xd1, 0x11, 0xd3, 0x68, 0x91, 0xb5, 0xd7, 0xb6, 0x39, 0xdf, 0x41, 0x40, 0x92, 0xba, 0xe1, 0x50}

const (
	// trailer: where the index of meta blocks begins, the version, the magic.
	trailerSize = 8 + 4 + 16
	// maxIndex bounds the indexes, maxKey a key; the format does not.
	maxIndex = 16 << 20
	maxKey   = 64 << 10
)

// block is a piece of the file.
type block struct{ offset, stored, raw int64 }

// File is an open TFile.
type File struct {
	in          io.ReaderAt
	compression string
	blocks      []block
}

// Open reads the indexes of a file of this size.
func Open(in io.ReaderAt, size int64) (*File, error) {
	var tail [trailerSize]byte
	if size < trailerSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrFormat, size)
	}
	if err := readFull(in, tail[:], size-trailerSize); err != nil {
		return nil, err
	}
	if !bytes.Equal(tail[12:], magic[:]) {
		return nil, fmt.Errorf("%w: it does not end as one", ErrFormat)
	}
	if major := binary.BigEndian.Uint16(tail[8:]); major != 1 {
		return nil, fmt.Errorf("%w: its version is %d, known is 1", ErrFormat, major)
	}
	end := size - trailerSize
	at := int64(binary.BigEndian.Uint64(tail[:]))
	if at < 0 || at > end || end-at > maxIndex {
		return nil, fmt.Errorf("%w: its index is said to be at %d of %d", ErrFormat, at, size)
	}
	f := &File{in: in}
	d := decoder{in: bufio.NewReader(io.NewSectionReader(in, at, end-at)), size: at}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		name, compression, where := d.text(), d.text(), d.block()
		if d.err == nil && name == "data:BCFile.index" {
			return f, f.index(compression, where)
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: index: %w", ErrFormat, d.err)
	}
	return nil, fmt.Errorf("%w: it has no index of its blocks", ErrFormat)
}

// index reads the list of data blocks.
func (f *File) index(compression string, where block) error {
	r, err := f.open(compression, where)
	if err != nil {
		return err
	}
	d := decoder{in: bufio.NewReader(io.LimitReader(r, maxIndex)), size: where.offset}
	f.compression = d.text()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		f.blocks = append(f.blocks, d.block())
	}
	if d.err != nil {
		return fmt.Errorf("%w: index of blocks: %w", ErrFormat, d.err)
	}
	return nil
}

func (f *File) open(compression string, b block) (io.Reader, error) {
	stored := io.NewSectionReader(f.in, b.offset, b.stored)
	switch compression {
	case "none":
		return stored, nil
	case "gz":
		r, err := zlib.NewReader(bufio.NewReader(stored))
		if err != nil {
			return nil, fmt.Errorf("%w: block at %d: %w", ErrFormat, b.offset, err)
		}
		return inflated{r}, nil
	}
	return nil, fmt.Errorf("%w: compression %q is not known here, only none and gz", ErrFormat, compression)
}

// inflated says of damaged compression that the file is damaged.
type inflated struct{ io.Reader }

func (r inflated) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return n, err
}

// Records calls visit for each record, in order. The value need not be read to
// its end, and is of no use after visit has returned. An error of visit ends it.
func (f *File) Records(visit func(key []byte, value io.Reader) error) error {
	for _, b := range f.blocks {
		r, err := f.open(f.compression, b)
		if err != nil {
			return err
		}
		in := bufio.NewReaderSize(r, 64<<10)
		for {
			if _, err := in.Peek(1); errors.Is(err, io.EOF) {
				break
			}
			d := decoder{in: in}
			key := d.bytes(maxKey)
			if d.err != nil {
				return fmt.Errorf("%w: block at %d: key: %w", ErrFormat, b.offset, d.err)
			}
			v := &value{d: &d}
			if err := visit(key, v); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// value is a record's value: chunks, each after its length, which is negative
// for all but the last.
type value struct {
	d    *decoder
	left int64
	last bool
}

func (v *value) Read(b []byte) (int, error) {
	for v.left == 0 {
		if v.last {
			return 0, io.EOF
		}
		n := v.d.long()
		if v.d.err != nil {
			return 0, fmt.Errorf("%w: value: %w", ErrFormat, v.d.err)
		}
		if v.last = n >= 0; !v.last {
			n = -n
		}
		if n < 0 {
			return 0, fmt.Errorf("%w: value: a chunk of %d bytes", ErrFormat, n)
		}
		v.left = n
	}
	n, err := v.d.in.Read(b[:min(int64(len(b)), v.left)])
	v.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: value: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return n, err
}

func readFull(in io.ReaderAt, b []byte, at int64) error {
	n, err := in.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) || err == nil {
		return fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return err
}
