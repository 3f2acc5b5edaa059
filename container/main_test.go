package container

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		exited := -1
		p := &program{signals: signals, now: time.Now, exit: func(code int) { exited = code }}
		stops := 0
		ctx, done := p.watch(t.Context(), func(string) { stops++ })
		signals <- os.Interrupt
		signals <- os.Interrupt // the terminal's, passed on by the parent
		synctest.Wait()
		if stops != 1 || ctx.Err() != nil {
			t.Errorf("one Ctrl-C that comes twice: %d stops, context %v", stops, ctx.Err())
		}
		pass(time.Second)
		signals <- os.Interrupt
		synctest.Wait()
		if stops != 1 || !errors.Is(context.Cause(ctx), errSecondSignal) {
			t.Errorf("a second signal: %d stops, context %v", stops, context.Cause(ctx))
		}
		pass(2 * secondGrace)
		synctest.Wait()
		if exited != 1 {
			t.Errorf("exit with %d, want 1", exited)
		}
		done()
	})
}
