package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// cpuTime is what the process has used of processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs f and reports what a record of n costs.
func measured(b *testing.B, n int, f func()) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime()
	f()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-began).Nanoseconds())/float64(n), "cpu-ns/record")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// numberKey writes n in 16 digits behind a prefix.
func numberKey(dst []byte, n uint64) []byte {
	dst = append(dst, "key-"...)
	var digits [20]byte
	s := strconv.AppendUint(digits[:0], n, 10)
	for range 16 - len(s) {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}

// mix spreads n over all numbers, each one once.
func mix(n uint64) uint64 {
	n ^= n >> 30
	n *= 0xbf58476d1ce4e5b9
	n ^= n >> 27
	n *= 0x94d049bb133111eb
	return n ^ n>>31
}

func openBench(tb testing.TB, o engine.Options) *Engine {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	e, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// BenchmarkLoad loads b.N records with values of 100 bytes, half of which can
// be compressed.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		name string
		key  func(i, n uint64) uint64
	}{
		{"sequential", func(i, _ uint64) uint64 { return i }},
		{"random", func(i, _ uint64) uint64 { return mix(i) % 1e16 }},
		{"tenfold", func(i, n uint64) uint64 { return mix(i) % (n/10 + 1) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := openBench(b, engine.Options{})
			noise := make([]byte, 1<<20)
			for i := 0; i < len(noise); i += 8 {
				binary.LittleEndian.PutUint64(noise[i:], rand.Uint64())
			}
			var key []byte
			value := make([]byte, 100)
			measured(b, b.N, func() {
				l, err := e.Load()
				if err != nil {
					b.Fatal(err)
				}
				for i := range uint64(b.N) {
					key = numberKey(key[:0], c.key(i, uint64(b.N)))
					at := int(i*50) % (len(noise) - 100)
					copy(value[:50], noise[at:])
					if err := l.Add(key, value); err != nil {
						b.Fatal(err)
					}
				}
				if err := l.Finish([]byte("mark")); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(float64(e.Size())/(1<<20), "MiB")
		})
	}
}

const benchKeys = 1 << 20

func filled(b *testing.B, o engine.Options) *Engine {
	e := openBench(b, o)
	l, err := e.Load()
	if err != nil {
		b.Fatal(err)
	}
	var key []byte
	value := make([]byte, 32)
	for i := range uint64(benchKeys) {
		key = numberKey(key[:0], i)
		binary.LittleEndian.PutUint64(value, mix(i))
		if err := l.Add(key, value); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Finish([]byte("mark")); err != nil {
		b.Fatal(err)
	}
	return e
}

// bare is pebble with nothing around it, filled with the same entries.
func bare(b *testing.B, o *pebble.Options) *pebble.DB {
	db, err := pebble.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	var key []byte
	value := make([]byte, 32)
	for i := range uint64(benchKeys) {
		key = numberKey(key[:0], i)
		binary.LittleEndian.PutUint64(value, mix(i))
		if err := db.Set(key, value, pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkGet reads random keys of a million.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name string
		key  func(dst []byte) []byte
	}{
		{"hit", func(dst []byte) []byte { return numberKey(dst, rand.Uint64N(benchKeys)) }},
		{"miss", func(dst []byte) []byte { return append(numberKey(dst, rand.Uint64N(benchKeys)), 'x') }},
	} {
		b.Run(c.name+"/engine", func(b *testing.B) {
			e := filled(b, engine.Options{CacheBytes: 128 << 20, Share: b.Name()})
			var key, value []byte
			measured(b, b.N, func() {
				for range b.N {
					key = c.key(key[:0])
					var err error
					if value, _, err = e.Get(value[:0], string(key)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(c.name+"/bare", func(b *testing.B) {
			db := bare(b, &pebble.Options{CacheSize: 128 << 20, MemTableSize: 4 << 20, Logger: quiet{}})
			var key, value []byte
			measured(b, b.N, func() {
				for range b.N {
					key = c.key(key[:0])
					v, closer, err := db.Get(key)
					if err == nil {
						value = append(value[:0], v...)
						_ = closer.Close()
					} else if !errors.Is(err, pebble.ErrNotFound) {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// BenchmarkGetPut reads and replaces random keys of a million. The engine is
// given batches, as the layers above it do.
func BenchmarkGetPut(b *testing.B) {
	for _, size := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("engine/batch=%d", size), func(b *testing.B) {
			e := filled(b, engine.Options{CacheBytes: 128 << 20, Share: b.Name(), WriteBufferBytes: 32 << 20})
			var value []byte
			batch := make([]engine.Write, 0, size)
			values := make([]byte, 0, size*32)
			measured(b, b.N, func() {
				for range b.N {
					key := string(numberKey(nil, rand.Uint64N(benchKeys)))
					var err error
					if value, _, err = e.Get(value[:0], key); err != nil {
						b.Fatal(err)
					}
					at := len(values)
					values = append(values, value...)
					batch = append(batch, engine.Write{Key: key, Value: values[at:]})
					if len(batch) == size {
						if err := e.Apply(batch, []byte("mark")); err != nil {
							b.Fatal(err)
						}
						batch, values = batch[:0], values[:0]
					}
				}
			})
		})
	}
	for _, wal := range []bool{true, false} {
		b.Run(fmt.Sprintf("bare/wal=%v", wal), func(b *testing.B) {
			db := bare(b, &pebble.Options{CacheSize: 128 << 20, MemTableSize: 32 << 20, DisableWAL: !wal, Logger: quiet{}})
			var key, value []byte
			measured(b, b.N, func() {
				for range b.N {
					key = numberKey(key[:0], rand.Uint64N(benchKeys))
					v, closer, err := db.Get(key)
					if err != nil {
						b.Fatal(err)
					}
					value = append(value[:0], v...)
					_ = closer.Close()
					if err := db.Set(key, value, pebble.NoSync); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkApply applies batches of random keys.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{100, 10_000, 300_000} {
		for _, sorted := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/sorted=%v", size, sorted), func(b *testing.B) {
				e := openBench(b, engine.Options{Share: b.Name(), WriteBufferBytes: 32 << 20})
				batch := make([]engine.Write, size)
				value := make([]byte, 100)
				for i := range batch {
					n := uint64(i) * 10
					if !sorted {
						n = mix(n) % 1e16
					}
					batch[i] = engine.Write{Key: string(numberKey(nil, n)), Value: value}
				}
				measured(b, b.N*size, func() {
					for range b.N {
						if err := e.Apply(batch, []byte("mark")); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkRange reads all of a million entries in order.
func BenchmarkRange(b *testing.B) {
	e := filled(b, engine.Options{CacheBytes: 8 << 20, Share: b.Name()})
	measured(b, b.N*benchKeys, func() {
		for range b.N {
			it := e.Range("", "")
			n := 0
			for it.Next() {
				n += len(it.Key()) + len(it.Value())
			}
			if err := it.Close(); err != nil || n == 0 {
				b.Fatal(n, err)
			}
		}
	})
}
