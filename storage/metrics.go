package storage

import (
	"slices"
	"time"

	"heddle/storage/engine"
	"heddle/task"
)

// counts are kept by the task's goroutine and published at each flush, so that
// a call costs no more than an addition.
type counts struct {
	gets, puts, deletes, ranges, alls, flushes, snapshots int64 // by the task
	hits                                                  int64 // answered by the cache
	batches, batched                                      int64 // writes of the cache, and their keys
	engineGets, enginePuts, engineDeletes                 int64
	bytesRead, bytesWritten                               int64
}

// Samza's groups.
const (
	groupEngine = "org.apache.samza.storage.kv.KeyValueStorageEngineMetrics"
	groupBytes  = "org.apache.samza.storage.kv.KeyValueStoreMetrics"
	groupLogged = "org.apache.samza.storage.kv.LoggedStoreMetrics"
	groupLarge  = "org.apache.samza.storage.kv.LargeMessageSafeStoreMetrics"
	groupCached = "org.apache.samza.storage.kv.CachedStoreMetrics"
)

type storeMetrics struct {
	counters []published
	flush    task.Timer

	entries, dirty             task.Gauge // nil without a cache
	restored, restoredBytes    task.Counter
	trimmed                    task.Counter
	putAllDirtyEntriesPerBatch task.Gauge
	size, quota                task.Gauge
	properties                 []property
}

// property is a metric of the engine's own.
type property struct {
	name  string
	gauge task.Gauge
}

// usual are Samza's of every store, as far as the engine has them.
var usual = []string{"rocksdb.cur-size-all-mem-tables", "rocksdb.size-all-mem-tables", "rocksdb.estimate-table-readers-mem"}

type published struct {
	counter task.Counter
	value   func(*store) int64
	last    int64
}

// newStoreMetrics registers under Samza's names, "<store>-puts" and so on.
func newStoreMetrics(r task.Metrics, spec Spec) *storeMetrics {
	if r == nil {
		return nil
	}
	name := func(n string) string { return spec.Name + "-" + n }
	m := &storeMetrics{
		flush:         r.Timer(groupEngine, name("flush-ns")),
		restored:      r.Counter(groupEngine, name("restored-messages")),
		restoredBytes: r.Counter(groupEngine, name("restored-bytes")),
		trimmed:       r.Counter(groupEngine, name("trimmed-messages")),
		size:          r.Gauge(groupBytes, name("size-bytes")),
	}
	if spec.QuotaBytes > 0 {
		m.quota = r.Gauge(groupBytes, name("quota-bytes"))
		m.quota.Set(float64(spec.QuotaBytes))
	}
	if spec.OnDisk() {
		for _, p := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(usual, spec.Properties)))) {
			m.properties = append(m.properties, property{p, r.Gauge(groupBytes, name(p))})
		}
	}
	add := func(group, n string, value func(*store) int64) {
		m.counters = append(m.counters, published{counter: r.Counter(group, name(n)), value: value})
	}
	add(groupEngine, "gets", func(s *store) int64 { return s.count.gets })
	add(groupEngine, "puts", func(s *store) int64 { return s.count.puts })
	add(groupEngine, "deletes", func(s *store) int64 { return s.count.deletes })
	add(groupEngine, "ranges", func(s *store) int64 { return s.count.ranges })
	add(groupEngine, "alls", func(s *store) int64 { return s.count.alls })
	add(groupEngine, "snapshots", func(s *store) int64 { return s.count.snapshots })
	add(groupEngine, "flushes", func(s *store) int64 { return s.count.flushes })
	add(groupBytes, "gets", func(s *store) int64 { return s.count.engineGets })
	add(groupBytes, "puts", func(s *store) int64 { return s.count.enginePuts })
	add(groupBytes, "deletes", func(s *store) int64 { return s.count.engineDeletes })
	add(groupBytes, "bytes-read", func(s *store) int64 { return s.count.bytesRead })
	add(groupBytes, "bytes-written", func(s *store) int64 { return s.count.bytesWritten })
	if spec.Logged() {
		add(groupLogged, "puts", func(s *store) int64 { return s.count.enginePuts })
		add(groupLogged, "deletes", func(s *store) int64 { return s.count.engineDeletes })
	}
	if spec.DropLarge {
		add(groupLarge, "ignored-large-messages", func(s *store) int64 { return s.sizes.dropped })
	}
	if spec.CacheEntries != 0 {
		add(groupCached, "gets", func(s *store) int64 { return s.count.gets })
		add(groupCached, "puts", func(s *store) int64 { return s.count.puts })
		add(groupCached, "deletes", func(s *store) int64 { return s.count.deletes })
		add(groupCached, "cache-hits", func(s *store) int64 { return s.count.hits })
		add(groupCached, "flushes", func(s *store) int64 { return s.count.flushes })
		m.entries = r.Gauge(groupCached, name("cache-size"))
		m.dirty = r.Gauge(groupCached, name("dirty-count"))
		m.putAllDirtyEntriesPerBatch = r.Gauge(groupCached, name("put-all-dirty-entries-batch-size"))
	}
	return m
}

func (st *opened) publish(flush time.Duration) { st.metrics.publish(st.store, flush) }

// publish brings the metrics up to the counts.
func (m *storeMetrics) publish(st *store, flush time.Duration) {
	if m == nil {
		return
	}
	m.flush.Observe(flush)
	for i := range m.counters {
		c := &m.counters[i]
		if v := c.value(st); v != c.last {
			c.counter.Add(v - c.last)
			c.last = v
		}
	}
	if st.cache != nil {
		m.entries.Set(float64(st.cache.len()))
		m.dirty.Set(float64(st.cache.dirtyCount))
		if st.count.batches > 0 {
			m.putAllDirtyEntriesPerBatch.Set(float64(st.count.batched / st.count.batches))
		}
	}
}

// measured publishes what the store takes, and what the engine says of itself.
func (m *storeMetrics) measured(size int64, e engine.Engine) {
	if m == nil {
		return
	}
	m.size.Set(float64(size))
	of, ok := e.(engine.Measured)
	if !ok || len(m.properties) == 0 {
		return
	}
	values := of.Properties()
	for _, p := range m.properties {
		if v, ok := values[p.name]; ok {
			p.gauge.Set(v)
		}
	}
}

func (st *opened) restored(p Progress) {
	if st.metrics == nil {
		return
	}
	st.metrics.restored.Add(p.Records)
	st.metrics.restoredBytes.Add(p.Bytes)
	st.metrics.trimmed.Add(p.Undone)
}
