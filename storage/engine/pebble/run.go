package pebble

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"heddle/storage/engine"
)

// run is a file of records in the order of their keys, each key once, in the
// form of a piece's. It lives no longer than the load and is not synced.
type run struct {
	path string
	rank int // how often its records were merged
	// first and last bound its keys.
	first, last []byte
}

// source gives records in the order of their keys, each key once. What it
// gives is valid until the next call. A nil value is a deletion.
type source interface {
	next() (key, value []byte, ok bool, err error)
}

const runBuffer = 256 << 10

// writeRun writes all of src.
func writeRun(fsys vfs.FS, path string, src source, rank int) (run, error) {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return run{}, err
	}
	w := bufio.NewWriterSize(f, runBuffer)
	r := run{path: path, rank: rank}
	err = copyRecords(w, &r, src)
	if err == nil {
		err = w.Flush()
	}
	return r, errors.Join(err, f.Close())
}

func copyRecords(w *bufio.Writer, r *run, src source) error {
	var lengths [2 * binary.MaxVarintLen64]byte
	for {
		key, value, ok, err := src.next()
		if err != nil || !ok {
			return err
		}
		if r.first == nil {
			r.first = append([]byte{}, key...)
		}
		r.last = append(r.last[:0], key...)
		b := binary.AppendUvarint(lengths[:0], uint64(len(key)))
		if value == nil {
			b = append(b, 0)
		} else {
			b = binary.AppendUvarint(b, uint64(len(value)+1))
		}
		if _, err = w.Write(b); err != nil {
			return err
		}
		if _, err = w.Write(key); err != nil {
			return err
		}
		if _, err = w.Write(value); err != nil {
			return err
		}
	}
}

// reader gives the records of a run.
type reader struct {
	path string
	f    vfs.File
	buf  []byte
	from int // buf[from:to] is read and not yet given
	to   int
	end  bool
}

func openRun(fsys vfs.FS, r run, buffer int) (*reader, error) {
	f, err := fsys.Open(r.path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	return &reader{path: r.path, f: f, buf: make([]byte, buffer)}, nil
}

// next is source's.
func (r *reader) next() (key, value []byte, ok bool, err error) {
	for {
		key, value, n := record(r.buf[r.from:r.to])
		if n > 0 {
			r.from += n
			return key, value, true, nil
		}
		if n < 0 || r.end && r.from < r.to {
			return nil, nil, false, fmt.Errorf("%w: %s does not hold what was written to it", engine.ErrCorrupt, r.path)
		}
		if r.end {
			return nil, nil, false, nil
		}
		if err := r.more(); err != nil {
			return nil, nil, false, err
		}
	}
}

// more reads on, into a larger buffer if a record needs it.
func (r *reader) more() error {
	copy(r.buf, r.buf[r.from:r.to])
	r.from, r.to = 0, r.to-r.from
	if r.to == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.f.Read(r.buf[r.to:])
	r.to += n
	if errors.Is(err, io.EOF) {
		r.end = true
		return nil
	}
	return err
}

func (r *reader) close() error { return r.f.Close() }

// record decodes the first record of b. n is its length, 0 if b ends within it,
// less than 0 if it is not one.
func record(b []byte) (key, value []byte, n int) {
	k, i := binary.Uvarint(b)
	if i <= 0 {
		return nil, nil, min(i, 0)
	}
	v, j := binary.Uvarint(b[i:])
	if j <= 0 {
		return nil, nil, min(j, 0)
	}
	if k > 1<<31 || v > 1<<31 {
		return nil, nil, -1
	}
	at := i + j
	keyEnd := at + int(k)
	valueEnd := keyEnd + int(max(v, 1)) - 1
	if valueEnd > len(b) {
		return nil, nil, 0
	}
	if key = b[at:keyEnd:keyEnd]; v > 0 {
		value = b[keyEnd:valueEnd:valueEnd]
	}
	return key, value, valueEnd
}
