package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			perSecond int64
			seconds   int
		}{{0, 0}, {100_000, 10}, {1_000_000, 1}} {
			began := time.Now()
			counted := 0
			r := &throttled{ctx: t.Context(), r: strings.NewReader(strings.Repeat("x", 1_000_000)), limit: newLimit(tt.perSecond), read: func(n int) { counted += n }}
			buf := make([]byte, 64<<10)
			for {
				if _, err := r.Read(buf); err != nil {
					break
				}
			}
			took := time.Since(began)
			if counted != 1_000_000 || took < time.Duration(tt.seconds)*time.Second*8/10 || took > time.Duration(tt.seconds)*time.Second*11/10 {
				t.Errorf("%d bytes at %d/s took %v", counted, tt.perSecond, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := &throttled{ctx: ctx, r: strings.NewReader(strings.Repeat("x", 1<<20)), limit: newLimit(1), read: func(int) {}}
		began := time.Now()
		for {
			if _, err := r.Read(make([]byte, 1<<10)); err != nil {
				break
			}
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// TestChecksumsAreThrottled: what a snapshot reads of the store before it uploads
// is bounded, too, and read once only.
func TestChecksumsAreThrottled(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "000001.sst"), make([]byte, 800_000), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "000002.sst"), make([]byte, 200_000), 0o600))
	synctest.Test(t, func(t *testing.T) {
		s := &series{}
		limit := newLimit(100_000)
		for _, want := range []time.Duration{10 * time.Second, 0} {
			began := time.Now()
			found, err := s.contents(t.Context(), dir, limit)
			if took := time.Since(began); err != nil || len(found) != 2 || took < want*8/10 || took > want*11/10 {
				t.Errorf("%d files after %v, %v; want %v", len(found), took, err, want)
			}
		}
	})
}
