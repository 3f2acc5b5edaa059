package pebble

import (
	"strconv"

	"heddle/storage/engine"
)

var _ engine.Measured = (*Engine)(nil)

// Held is engine.Measured's.
func (e *Engine) Held() int64 {
	if e.closed {
		return 0
	}
	m := e.db.Metrics()
	held := int64(m.MemTable.Size)
	for i := range m.Levels {
		held += m.Levels[i].TablesSize
	}
	return held
}

// Properties is engine.Measured's. What the engines of a Share have in common,
// the caches, is told by each of them.
func (e *Engine) Properties() map[string]float64 {
	if e.closed {
		return nil
	}
	m := e.db.Metrics()
	var files, bytes int64
	out := map[string]float64{}
	for i := range m.Levels {
		files += m.Levels[i].TablesCount
		bytes += int64(m.Levels[i].TablesSize)
		out["rocksdb.num-files-at-level"+strconv.Itoa(i)] = float64(m.Levels[i].TablesCount)
	}
	pending := 0.0
	if m.Compact.EstimatedDebt > 0 {
		pending = 1
	}
	for name, v := range map[string]float64{
		"rocksdb.cur-size-all-mem-tables":           float64(m.MemTable.Size),
		"rocksdb.size-all-mem-tables":               float64(m.MemTable.Size + m.MemTable.ZombieSize),
		"rocksdb.num-immutable-mem-table":           float64(max(m.MemTable.Count-1, 0)),
		"rocksdb.estimate-table-readers-mem":        float64(m.FileCache.Size),
		"rocksdb.live-sst-files-size":               float64(bytes),
		"rocksdb.total-sst-files-size":              float64(bytes) + float64(m.Table.Local.ObsoleteSize) + float64(m.Table.Local.ZombieSize),
		"rocksdb.num-live-sst-files":                float64(files),
		"rocksdb.block-cache-usage":                 float64(m.BlockCache.Size),
		"rocksdb.num-running-compactions":           float64(m.Compact.NumInProgress),
		"rocksdb.compaction-pending":                pending,
		"rocksdb.estimate-pending-compaction-bytes": float64(m.Compact.EstimatedDebt),
		"rocksdb.num-snapshots":                     float64(m.Snapshots.Count),
	} {
		out[name] = v
	}
	return out
}
