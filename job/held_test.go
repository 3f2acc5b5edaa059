package job

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeldWarningsComeAfterTheError(t *testing.T) {
	var out bytes.Buffer
	h := Hold(&out)
	say := NewSay(h, false)
	say.Warn("odd key")
	if out.Len() > 0 {
		t.Fatalf("a warning of the checks came at once: %q", out.String())
	}
	say.Step("made a topic")
	say.Warn("another")
	if want := "warning: odd key\nmade a topic\nwarning: another\n"; out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
}

func TestHeldNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		h := Hold(&out)
		_, _ = h.Write([]byte("trying on\n"))
		time.Sleep(heldFor + time.Second)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if out.String() != "trying on\n" {
			t.Errorf("wrote %q", out.String())
		}
	})
}
