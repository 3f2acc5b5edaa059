package container

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// overdueAfter is how much longer than task.shutdown.ms the end of a process may
// take: for what comes after its tasks, each part of which has its own bound. It is
// less than run-job kill and the application master wait before they kill, 5 s and 10 s.
const overdueAfter = 4500 * time.Millisecond

// overdue ends the process if its graceful end, or the last part of any end, which
// begins now, is not over in time: whatever the end hangs in, who waits for the process is told, and a
// supervisor can start another. over takes that back.
func (p *program) overdue(shutdown time.Duration, log *slog.Logger) (over func()) {
	if p.exit == nil {
		return func() {}
	}
	t := time.AfterFunc(shutdown+overdueAfter, func() {
		// The line first: what hangs may be what shows the log.
		fmt.Fprintf(p.stderr, "%s: the end is not over after %v (task.shutdown.ms and %v): the process ends as it is; what was not committed will be repeated\n",
			p.speaker(), shutdown+overdueAfter, overdueAfter)
		time.AfterFunc(time.Second, func() { p.exit(exitFailed) })
		log.Error("the end is not over; this is what all goroutines do", "stacks", stacks())
		p.exit(exitFailed)
	})
	return func() { t.Stop() }
}

func stacks() string {
	b := make([]byte, 256<<10)
	return string(b[:runtime.Stack(b, true)])
}
