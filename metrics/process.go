package metrics

import (
	"os"
	"runtime"
	"runtime/metrics"
)

// groupProcess is where Samza's users look for memory and garbage collection.
const groupProcess = "org.apache.samza.metrics.JvmMetrics"

// AddProcess adds what the Go runtime says about the process, under the names
// that Samza's JvmMetrics has for the same; goroutines is our own.
func AddProcess(r *Registry) {
	const mib = 1 << 20
	r.GaugeFunc(groupProcess, "mem-heap-used-mb", func() float64 { return read("/memory/classes/heap/objects:bytes") / mib })
	r.GaugeFunc(groupProcess, "mem-heap-committed-mb", func() float64 {
		return (read("/memory/classes/total:bytes") - read("/memory/classes/heap/released:bytes")) / mib
	})
	r.GaugeFunc(groupProcess, "gc-count", func() float64 { return read("/gc/cycles/total:gc-cycles") })
	r.GaugeFunc(groupProcess, "gc-time-millis", func() float64 { return read("/cpu/classes/gc/total:cpu-seconds") * 1000 })
	r.GaugeFunc(groupProcess, "goroutines", func() float64 { return float64(runtime.NumGoroutine()) })
	r.GaugeFunc(groupProcess, "open-file-descriptor-count", func() float64 {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return -1 // not on this operating system
		}
		return float64(len(files))
	})
}

func read(name string) float64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	switch s[0].Value.Kind() {
	case metrics.KindUint64:
		return float64(s[0].Value.Uint64())
	case metrics.KindFloat64:
		return s[0].Value.Float64()
	}
	return -1
}
