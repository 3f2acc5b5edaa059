package job

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestMovingElsewhere: what goes on is told every five seconds, and again what
// has not changed only every minute.
func TestMovingElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := NewSay(&out, false)
		for i := range 13 * 10 { // for 130 s
			text := "waits"
			if i < 20 {
				text = "starts"
			}
			s.Moving("it %s", text)
			time.Sleep(time.Second)
		}
		s.Done()
		if want := "it starts\nit waits\nit waits\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}
