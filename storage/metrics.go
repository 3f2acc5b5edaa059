package storage

import (
	"slices"
	"strings"
	"time"

	"heddle/storage/engine"
	"heddle/task"
)

// counts are kept by the task's goroutine and published at each flush, so that
// a call costs no more than an addition.
type counts struct {
	gets, puts, deletes, ranges, alls, flushes, snapshots int64 // by the task
	getAlls, putAlls                                      int64 // by the task
	hits                                                  int64 // answered by the cache
	batches, batched                                      int64 // writes of the cache, and their keys
	engineGets, enginePuts, engineDeletes                 int64
	bytesRead, bytesWritten                               int64
	keysRead                                              int64 // bytes of the keys that the engine was asked for
	largestKey, largestValue                              int64 // bytes, of what was written
	commits                                               int64 // that were made the engine's state
}

// Samza's groups.
const (
	groupEngine = "org.apache.samza.storage.kv.KeyValueStorageEngineMetrics"
	groupBytes  = "org.apache.samza.storage.kv.KeyValueStoreMetrics"
	groupLogged = "org.apache.samza.storage.kv.LoggedStoreMetrics"
	groupLarge  = "org.apache.samza.storage.kv.LargeMessageSafeStoreMetrics"
	groupCached = "org.apache.samza.storage.kv.CachedStoreMetrics"
	groupSerial = "org.apache.samza.storage.kv.SerializedKeyValueStoreMetrics"
)

type storeMetrics struct {
	counters          []published
	calls             callTimers
	flush, checkpoint task.Timer

	entries, dirty             task.Gauge // nil without a cache
	largestKey, largestValue   task.Gauge
	restored, restoredBytes    task.Counter
	trimmed, trimmedBytes      task.Counter
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

// newStoreMetrics registers under Samza's names, "<store>-puts" and so on, in small
// letters, as Samza's are. What the engine has not (nil: it tells nothing of itself) is
// not registered: it would be shown as 0.
func newStoreMetrics(r task.Metrics, spec Spec, of engine.Engine) *storeMetrics {
	if r == nil {
		return nil
	}
	name := func(n string) string { return strings.ToLower(spec.Name) + "-" + n }
	timer := func(n string) task.Timer { return r.Timer(groupEngine, name(n)) }
	m := &storeMetrics{
		calls: callTimers{
			get: timer("get-ns"), getAll: timer("get-all-ns"), put: timer("put-ns"), putAll: timer("put-all-ns"), delete: timer("delete-ns"),
			rangeFirst: timer("range-ns"), allFirst: timer("all-ns"), snapshot: timer("snapshot-ns"),
		},
		flush: timer("flush-ns"), checkpoint: timer("checkpoint-ns"),
		restored:      r.Counter(groupEngine, name("restored-messages")),
		restoredBytes: r.Counter(groupEngine, name("restored-bytes")),
		trimmed:       r.Counter(groupEngine, name("trimmed-messages")),
		trimmedBytes:  r.Counter(groupEngine, name("trimmed-bytes")),
		largestKey:    r.Gauge(groupSerial, name("max-record-key-size-bytes")),
		largestValue:  r.Gauge(groupSerial, name("max-record-size-bytes")),
		size:          r.Gauge(groupBytes, name("size-bytes")),
	}
	if spec.QuotaBytes > 0 {
		m.quota = r.Gauge(groupBytes, name("quota-bytes"))
		m.quota.Set(float64(spec.QuotaBytes))
	}
	if told, ok := of.(engine.Measured); ok {
		there := told.Properties()
		for _, p := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(usual, spec.Properties)))) {
			if _, ok := there[p]; ok {
				m.properties = append(m.properties, property{p, r.Gauge(groupBytes, name(p))})
			}
		}
	}
	add := func(group, n string, value func(*store) int64) {
		m.counters = append(m.counters, published{counter: r.Counter(group, name(n)), value: value})
	}
	// Iterations and flushes go through all layers; gets and writes go below the cache
	// only where that has no answer.
	above, below := []string{groupEngine}, []string{groupBytes, groupSerial}
	if spec.CacheEntries != 0 {
		above = append(above, groupCached)
	}
	if spec.Logged() {
		below = append(below, groupLogged)
	}
	for _, group := range above {
		add(group, "gets", func(s *store) int64 { return s.count.gets })
		add(group, "puts", func(s *store) int64 { return s.count.puts })
		add(group, "deletes", func(s *store) int64 { return s.count.deletes })
	}
	for _, group := range below {
		add(group, "gets", func(s *store) int64 { return s.count.engineGets })
		add(group, "puts", func(s *store) int64 { return s.count.enginePuts })
		add(group, "deletes", func(s *store) int64 { return s.count.engineDeletes })
	}
	for _, group := range slices.Concat(above, below) {
		add(group, "ranges", func(s *store) int64 { return s.count.ranges })
		add(group, "alls", func(s *store) int64 { return s.count.alls })
		add(group, "flushes", func(s *store) int64 { return s.count.flushes })
	}
	add(groupEngine, "get-alls", func(s *store) int64 { return s.count.getAlls })
	add(groupEngine, "put-alls", func(s *store) int64 { return s.count.putAlls })
	add(groupEngine, "snapshots", func(s *store) int64 { return s.count.snapshots })
	add(groupEngine, "checkpoints", func(s *store) int64 { return s.count.commits })
	add(groupBytes, "putalls", func(s *store) int64 { return s.count.batches })
	add(groupBytes, "bytes-read", func(s *store) int64 { return s.count.bytesRead })
	add(groupBytes, "bytes-written", func(s *store) int64 { return s.count.bytesWritten })
	add(groupSerial, "bytes-serialized", func(s *store) int64 { return s.count.keysRead + s.count.bytesWritten })
	add(groupSerial, "bytes-deserialized", func(s *store) int64 { return s.count.bytesRead })
	if spec.DropLarge {
		add(groupLarge, "ignored-large-messages", func(s *store) int64 { return s.sizes.dropped })
	}
	if spec.CacheEntries != 0 {
		add(groupCached, "cache-hits", func(s *store) int64 { return s.count.hits })
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
	m.largestKey.Set(float64(st.count.largestKey))
	m.largestValue.Set(float64(st.count.largestValue))
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

// applied takes note of a commit that is the engine's state now.
func (st *opened) applied(took time.Duration) {
	st.count.commits++
	if st.metrics != nil {
		st.metrics.checkpoint.Observe(took)
	}
}

func (st *opened) restored(p Progress) {
	if st.metrics == nil {
		return
	}
	st.metrics.restored.Add(p.Records)
	st.metrics.restoredBytes.Add(p.Bytes)
	st.metrics.trimmed.Add(p.Undone)
	st.metrics.trimmedBytes.Add(p.UndoneBytes)
}
