package job

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"heddle/internal/launch"
)

// Who was killed a moment ago does not live, though it is still there.
func TestLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, gone := launch.Holder{PID: os.Getpid()}, launch.Holder{PID: os.Getpid(), Ended: true}
		for name, tt := range map[string]struct {
			goes  time.Duration
			then  launch.Holder
			held  bool
			lives bool
		}{
			"runs":                       {time.Hour, me, true, true},
			"dies, and leaves something": {dying / 2, gone, true, false},
			"dies, and leaves nothing":   {dying / 2, me, false, false},
		} {
			began := time.Now()
			h, lives, err := living(t.Context(), func() (launch.Holder, bool, error) {
				if time.Since(began) < tt.goes {
					return me, true, nil
				}
				return tt.then, tt.held, nil
			})
			if err != nil || lives != tt.lives || lives && h != me {
				t.Errorf("%s: %+v %v %v", name, h, lives, err)
			}
		}
	})
}
