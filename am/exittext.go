package am

import (
	"fmt"
	"regexp"
	"strings"
)

// exitText says what an exit status means, with the first words of YARN's
// diagnostics.
func exitText(x Exit) string {
	var what string
	switch {
	case x.Status == ExitAborted:
		what = "its node was lost or released it"
	case x.Status == ExitDisksFailed:
		what = "the disks of its node failed"
	case x.Status == ExitPreempted:
		what = "preempted by the scheduler"
	case x.Status == -103 || x.Status == -104:
		what = "killed by YARN for using more memory than cluster-manager.container.memory.mb grants"
	case x.Status == -1000:
		what = "its package or files could not be brought to the node"
	case x.Status == ExitDisk:
		what = fmt.Sprintf("its local state could not be opened, read or written (exit code %d)", ExitDisk)
	case x.Status == ExitConfig:
		what = fmt.Sprintf("wrong configuration (exit code %d)", ExitConfig)
	case x.Status == 2:
		what = "ended by Go's runtime, as of a panic outside of the task's methods or for want of memory; stderr has the stack (exit code 2)"
	case x.Status == 137:
		what = "killed by signal 9 (exit code 137)"
	case x.Status > 128 && x.Status < 160:
		what = fmt.Sprintf("ended by signal %d (exit code %d)", x.Status-128, x.Status)
	default:
		what = fmt.Sprintf("exit code %d", x.Status)
	}
	if d := firstLine(x.Diagnostics); d != "" {
		what += ": " + d
	}
	return what
}

// stamp is what YARN puts before its diagnostics: "[2026-11-24 00:21:42.666]".
var stamp = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\s*`)

// firstLine is the first line of YARN's diagnostics that says more than the exit
// status does.
func firstLine(s string) string {
	for l := range strings.Lines(s) {
		l = stamp.ReplaceAllString(strings.TrimSpace(l), "")
		switch {
		case l == "", strings.HasPrefix(l, "Container killed on request"), strings.HasPrefix(l, "Container exited with a non-zero exit code"):
			continue
		case len(l) > 300:
			return strings.ToValidUTF8(l[:300], "") + "..."
		}
		return l
	}
	return ""
}
