package pebble

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"heddle/storage/engine"
)

// fullDisk is a disk that is full: files can be made, and nothing be put into them.
type fullDisk struct {
	vfs.FS
	refused *atomic.Int64
}

func (d fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return fullFile{f, d.refused}, nil
}

type fullFile struct {
	vfs.File
	refused *atomic.Int64
}

func (f fullFile) Write([]byte) (int, error) {
	f.refused.Add(1)
	return 0, syscall.ENOSPC
}

// TestOpenOnAFullDisk: the database repeats what it cannot write, and would never
// return.
func TestOpenOnAFullDisk(t *testing.T) {
	for name, wal := range map[string]bool{"without a log": false, "with its log": true} {
		t.Run(name, func(t *testing.T) {
			o := engine.Options{Dir: t.TempDir(), WAL: wal, Share: t.Name()}
			e, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Apply([]engine.Write{{Key: "k", Value: []byte("v")}}, []byte("m")); err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			disk := fullDisk{vfs.Default, new(atomic.Int64)}
			done := make(chan error, 1)
			go func() {
				_, err := openIn(o, disk)
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, engine.ErrFull) || strings.Contains(err.Error(), "%") {
					t.Errorf("%v; want %v", err, engine.ErrFull)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("it does not return; %d writes were refused", disk.refused.Load())
			}
		})
	}
}
