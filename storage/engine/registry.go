package engine

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Options say how an engine on disk is opened. An engine in memory has no use
// for them.
type Options struct {
	// Dir is the engine's folder; it is made if it is not there.
	Dir string
	// ReadOnly opens what is there, for inspection, and changes nothing.
	ReadOnly bool
	// Share names what the engines of one process share: those with the same
	// name use one cache of CacheBytes (stores.NAME.container.cache.size.bytes).
	Share string
	// CacheBytes bounds the cache of blocks; 0: the engine's own choice.
	CacheBytes int64
	// RowBytes bounds a cache of single entries that this engine has for itself; 0:
	// none.
	RowBytes int64
	// WriteBufferBytes bounds what is held in memory before it goes to a file
	// (stores.NAME.container.write.buffer.size.bytes, this engine's share of it);
	// 0: the engine's own choice.
	WriteBufferBytes int64
	// Compression of blocks: "snappy", "zstd", "lz4" or "none"; "" stands for
	// snappy (stores.NAME.rocksdb.compression).
	Compression string
	// BlockSize in bytes; 0 stands for 4096 (stores.NAME.rocksdb.block.size.bytes).
	BlockSize int
	// MemTables is how many memtables there may be, the one that is written to
	// and those that wait to be flushed, before Apply waits; 0 stands for 3
	// (stores.NAME.rocksdb.num.write.buffers).
	MemTables int
	// Compactions is how many compactions may run at a time; 0 stands for 1
	// (stores.NAME.rocksdb.compaction.max.background.compactions).
	Compactions int
	// OpenFiles bounds the files that the engines of one Share hold open; 0 and
	// below stand for 1000 (stores.NAME.rocksdb.max.open.files).
	OpenFiles int
	// WAL makes the engine write a log of its own, so that a crash loses
	// nothing that was applied (stores.NAME.rocksdb.wal.enabled); without it the
	// engine falls back to an earlier mark.
	WAL bool
	// Logger hears of what the engine does by itself; nil: silence.
	Logger *slog.Logger
}

// Opener opens an engine.
type Opener func(Options) (Engine, error)

var (
	mu      sync.RWMutex
	openers = map[string]Opener{}
)

// Register makes an engine known by a name. The packages of engines call it
// when they are initialised, so that a program holds the engines that it
// imports, as with the drivers of database/sql. It panics if the name is taken.
func Register(name string, open Opener) {
	mu.Lock()
	defer mu.Unlock()
	if openers[name] != nil {
		panic("engine " + name + " is registered twice")
	}
	openers[name] = open
}

// Names are those of the engines that the program holds, sorted.
func Names() []string {
	mu.RLock()
	defer mu.RUnlock()
	names := make([]string, 0, len(openers))
	for name := range openers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open opens an engine by its name.
func Open(name string, o Options) (Engine, error) {
	mu.RLock()
	open := openers[name]
	mu.RUnlock()
	if open == nil {
		return nil, Missing(name)
	}
	return open(o)
}

// Missing is the error for an engine that the program does not hold.
func Missing(name string) error {
	if name == Pebble {
		return fmt.Errorf("the program holds no engine %q; add `import _ \"heddle/storage/engine/pebble\"` to its main package", name)
	}
	return fmt.Errorf("engine %q is not known; the program holds %s", name, strings.Join(Names(), ", "))
}
