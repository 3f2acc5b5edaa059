package steady

import (
	"fmt"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"time"
)

const (
	heapEvery = 50 * time.Millisecond
	// heapStep is by how much, in percent, the heap has to grow for a new profile.
	heapStep = 5
)

// watchHeap writes a profile of the heap whenever a collection has left more in use
// than any before, while wanted.
func watchHeap(file string, wanted func() bool) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var most uint64
	for range time.Tick(heapEvery) {
		if !wanted() {
			return
		}
		metrics.Read(live)
		now := live[0].Value.Uint64()
		if now <= most+most*heapStep/100 {
			continue
		}
		most = now
		if err := writeHeap(file); err != nil {
			fmt.Fprintln(os.Stderr, "heap profile:", err)
			return
		}
	}
}

// writeHeap writes the profile to a new file, which then takes the other's place: the
// process may end at any moment.
func writeHeap(file string) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	err = pprof.Lookup("heap").WriteTo(f, 0)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
