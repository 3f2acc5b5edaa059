package container

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// resources gives the process's resident size in bytes and its user and system
// time in seconds; 0 where they cannot be read.
func resources() (rss int64, cpu float64) {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(b)); len(fields) > 1 {
			if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				rss = pages * int64(os.Getpagesize())
			}
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		cpu = seconds(u.Utime) + seconds(u.Stime)
	}
	return rss, cpu
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
