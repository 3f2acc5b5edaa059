package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"heddle/storage/engine"
)

const (
	// defaultWriteBuffer is the size of a memtable if none is asked for. The
	// first one of an engine takes a 256 KiB at most, whatever the size.
	defaultWriteBuffer = 4 << 20
	minWriteBuffer     = 64 << 10
	maxWriteBuffer     = 64 << 20

	defaultBlockSize = 4096
	minBlockSize     = 512
	maxBlockSize     = 1 << 20
	// indexBlockSize keeps the index of a table in one block up to about a
	// hundred MiB: a get looks at one block less.
	indexBlockSize = 256 << 10

	// bloomBits a key let one get in a hundred of an absent key read a block.
	bloomBits = 10

	// tableBytes is how large the tables of the last levels become.
	tableBytes = 64 << 20

	// l0Threshold is twice the number of runs in the first level with which a
	// compaction begins. A store's entries are spread over all of it by each commit,
	// so that each compaction writes the levels below anew: with twice as many runs
	// it does that half as often, and a get asks some more filters.
	l0Threshold = 8

	// l0Sublevels and memtables are how much may wait for compactions and for
	// flushes before Apply waits.
	l0Sublevels = 12
	memtables   = 2

	// unlimited switches off the database's own waiting, which does not end when
	// the disk is full.
	unlimited = 1 << 20

	// formatVersion is raised by hand: a folder that was opened with a newer one
	// cannot be opened with an older one.
	formatVersion = pebble.FormatTableFormatV6
)

// compressionOf finds the profile of a name; note says what is to be told
// about it.
func compressionOf(name string) (profile *sstable.CompressionProfile, note string, err error) {
	switch name {
	case "", "snappy":
		return sstable.SnappyCompression, "", nil
	case "none":
		return sstable.NoCompression, "", nil
	case "zstd":
		return sstable.ZstdCompression, "", nil
	case "lz4":
		return sstable.MinLZCompression, "the engine holds no lz4; minlz takes its place, which is as fast", nil
	}
	return nil, "", fmt.Errorf("compression %q is not known; there are snappy, lz4, zstd and none", name)
}

// bounded is n, or the default where n is 0, and within the limits.
func bounded[T int | int64](n, byDefault, low, high T) T {
	if n <= 0 {
		n = byDefault
	}
	return max(low, min(n, high))
}

// configure makes the options of the database. What is shared is added by the
// caller. The note is what is to be told about them, once for all engines of a
// Share.
func configure(o engine.Options) (_ *pebble.Options, note string, err error) {
	profile, note, err := compressionOf(o.Compression)
	if err != nil {
		return nil, "", err
	}
	p := &pebble.Options{
		FormatMajorVersion: formatVersion,
		ReadOnly:           o.ReadOnly,
		DisableWAL:         !o.WAL,
		MemTableSize:       uint64(bounded(o.WriteBufferBytes, defaultWriteBuffer, minWriteBuffer, maxWriteBuffer)),

		MemTableStopWritesThreshold: unlimited,
		L0StopWritesThreshold:       unlimited,
		L0CompactionThreshold:       l0Threshold,
		LBaseMaxBytes:               tableBytes,
		MaxManifestFileSize:         1 << 20,
		MaxOpenFiles:                openFiles,
	}
	p.TargetFileSizes[0] = 8 << 20
	for i := range p.TargetFileSizes[1:] {
		p.TargetFileSizes[1+i] = min(p.TargetFileSizes[i]*2, tableBytes)
	}
	p.Levels[0] = pebble.LevelOptions{
		BlockSize:      bounded(o.BlockSize, defaultBlockSize, minBlockSize, maxBlockSize),
		IndexBlockSize: indexBlockSize,
		Compression:    func() *sstable.CompressionProfile { return profile },
		FilterPolicy:   bloom.FilterPolicy(bloomBits),
	}
	if o.Compactions > 0 {
		p.CompactionConcurrencyRange = func() (int, int) { return 1, o.Compactions }
	}
	p.Experimental.DisableIngestAsFlushable = func() bool { return true }
	p.Experimental.FileCacheShards = 1
	return p, note, nil
}
