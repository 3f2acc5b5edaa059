package coordinator

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A container that ends while it is asked is not waited for as one is that may be frozen.
func TestQuestionToAContainerThatEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		dies    bool
		want    error
		atLeast time.Duration
		atMost  time.Duration
	}{
		"frozen": {false, errNoAnswer, questionWithin, questionWithin},
		"dead":   {true, errEnded, time.Second, time.Second + endedEvery},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := newServer(t, nil)
				const execution = "container_1_0001_01_000002"
				if tt.dies {
					time.AfterFunc(time.Second, func() { f.set(func() { f.dead[execution] = true }) })
				}
				began := time.Now()
				_, err := s.put(t.Context(), "0", execution, Question{ID: "q", Task: "Partition 0", Store: "s"})
				if took := time.Since(began); !errors.Is(err, tt.want) || took < tt.atLeast || took > tt.atMost {
					t.Errorf("%v after %v, want %v after %v to %v", err, took, tt.want, tt.atLeast, tt.atMost)
				}
			})
		})
	}
}
