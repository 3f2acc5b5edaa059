package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// NewID makes the id of a checkpoint made at t, in the form that Samza gives
// its own: milliseconds, and nanoseconds modulo a million.
func NewID(t time.Time) string {
	return fmt.Sprintf("%d-%d", t.UnixMilli(), t.Nanosecond()%1e6)
}

// IDTime is the time at which the checkpoint with that id was made; the zero
// time if the id does not tell.
func IDTime(id string) time.Time {
	ms, rest, ok := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil || n < 0 || rest == "" {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
