package container

import "testing"

func TestNext(t *testing.T) {
	for name, tt := range map[string]struct {
		c    condition
		want op
	}{
		"idle":                                 {condition{}, opWait},
		"messages":                             {condition{ready: true}, opProcess},
		"window before messages":               {condition{windowDue: true, ready: true}, opWindow},
		"commit before window":                 {condition{commitDue: true, windowDue: true, ready: true}, opCommit},
		"commit of an idle task":               {condition{commitDue: true}, opCommit},
		"stop before commit, it ends in one":   {condition{stopping: true, commitDue: true, windowDue: true, ready: true}, opStop},
		"stop leaves what is not begun":        {condition{stopping: true, ready: true}, opStop},
		"abort before stop":                    {condition{aborting: true, stopping: true, commitDue: true}, opAbort},
		"abort of an idle task":                {condition{aborting: true}, opAbort},
		"paused: no messages":                  {condition{paused: true, ready: true}, opWait},
		"paused: no window":                    {condition{paused: true, windowDue: true, ready: true}, opWait},
		"paused: commits go on":                {condition{paused: true, commitDue: true, windowDue: true}, opCommit},
		"paused: stops":                        {condition{paused: true, stopping: true, ready: true}, opStop},
		"a window that is due on an idle task": {condition{windowDue: true}, opWindow},
	} {
		if got := next(tt.c); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
