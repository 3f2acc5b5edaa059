package snapshot

import (
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"golang.org/x/time/rate"
)

// throttled is a content that is read no faster than the limit allows, and no
// longer than its context lasts. It is a files.Sized.
type throttled struct {
	ctx   context.Context //nolint:containedctx // it is a reader's
	r     io.Reader
	size  int64
	limit *rate.Limiter // nil: none
	read  func(n int)
	// err is what reading failed with, apart from the end.
	err error
}

// newLimit gives the limit of an upload; 0: none.
func newLimit(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// As much as a tenth of a second's worth may go at once.
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/10, 1<<10), 1<<20)))
}

// Size is files.Sized's.
func (t *throttled) Size() int64 { return t.size }

// Read is io.Reader's.
func (t *throttled) Read(b []byte) (int, error) {
	if t.limit != nil && len(b) > t.limit.Burst() {
		b = b[:t.limit.Burst()]
	}
	n, err := t.r.Read(b)
	if n > 0 {
		t.read(n)
		if t.limit != nil {
			if e := t.limit.WaitN(t.ctx, n); e != nil {
				return n, e
			}
		}
	}
	if e := t.ctx.Err(); e != nil {
		return n, e
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// checked is a content that ends with an error if it is not the one that its
// checksum says: the disk is read a second time here, and what it gives then may
// be another. So no file lies there under a wrong name.
type checked struct {
	throttled
	hash hash.Hash
	want string
}

// Read is io.Reader's.
func (c *checked) Read(b []byte) (int, error) {
	n, err := c.throttled.Read(b)
	_, _ = c.hash.Write(b[:n]) // it does not fail
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.hash.Sum(nil)) != c.want {
		c.err = errors.New("the file is another one than when its checksum was made")
		return n, c.err
	}
	return n, err
}
