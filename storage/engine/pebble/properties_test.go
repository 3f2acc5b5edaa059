package pebble

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"heddle/config"
	"heddle/storage/engine"
)

// TestProperties: what the engine says of itself follows what it holds.
func TestProperties(t *testing.T) {
	e, err := Open(engine.Options{Dir: t.TempDir(), MemTables: 5, Compactions: 2, OpenFiles: 50, Share: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	if e.memtables != 4 {
		t.Errorf("%d memtables wait", e.memtables)
	}
	if low, high := e.opts.CompactionConcurrencyRange(); low != 1 || high != 2 {
		t.Errorf("compactions %d to %d", low, high)
	}
	before := e.Held()
	var batch []engine.Write
	for i := range 10_000 {
		batch = append(batch, engine.Write{Key: fmt.Sprintf("%08d", i*7919), Value: fmt.Appendf(nil, "%064x", i*104729)})
	}
	if err := e.Apply(batch, []byte("m")); err != nil {
		t.Fatal(err)
	}
	inMemory := e.Properties()
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	snap := e.Snapshot()
	p := e.Properties()
	for _, name := range append([]string{"rocksdb.num-files-at-level0", "rocksdb.num-files-at-level6"}, config.EngineProperties...) {
		if _, ok := p[name]; !ok {
			t.Errorf("the configuration promises %s", name)
		}
		delete(p, name)
	}
	for name := range p {
		if !strings.HasPrefix(name, "rocksdb.num-files-at-level") {
			t.Errorf("the configuration does not know %s", name)
		}
	}
	p = e.Properties()
	if inMemory["rocksdb.cur-size-all-mem-tables"] < 700_000 || inMemory["rocksdb.live-sst-files-size"] > 10_000 {
		t.Errorf("before the flush: %v", inMemory)
	}
	if p["rocksdb.live-sst-files-size"] < 10_000 || p["rocksdb.num-live-sst-files"] < 1 || p["rocksdb.num-snapshots"] != 1 {
		t.Errorf("after the flush: %v", p)
	}
	if got := e.Held() - before; got < 10_000 {
		t.Errorf("it holds %d bytes more", got)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e.Properties() != nil || e.Held() != 0 {
		t.Error("a closed engine tells about itself")
	}
}

// TestCompressionIsNotedOnce: for all engines of a Share, not for each.
func TestCompressionIsNotedOnce(t *testing.T) {
	var log bytes.Buffer
	for _, store := range []string{"a", "b"} {
		for range 3 {
			e, err := Open(engine.Options{Dir: t.TempDir(), Compression: "lz4", Share: t.Name() + store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if n := strings.Count(log.String(), "minlz"); n != 2 {
		t.Errorf("%d notes about two stores: %s", n, &log)
	}
}
