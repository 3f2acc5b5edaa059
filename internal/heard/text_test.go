package heard

import (
	"fmt"
	"sync"
	"testing"
)

func TestText(t *testing.T) {
	var text Text
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() { fmt.Fprintf(&text, "line of %d\n", n) })
	}
	writers.Wait()
	if found, all := text.Lines(0, "line", "of 2"); found != 1 || all != 4 {
		t.Errorf("%d of %d lines", found, all)
	}
	if found, all := text.Lines(4, "line"); found != 0 || all != 4 {
		t.Errorf("behind the last: %d of %d lines", found, all)
	}
	if len(text.String()) != 4*len("line of 0\n") || text.Take() == "" || text.Take() != "" || text.String() != "" {
		t.Error("what was taken is there still, or nothing was")
	}
}
