package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heddle/coordinator"
	"heddle/system"
)

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		silent, limit, grace time.Duration
		want                 verdict
	}{
		{0, 30 * time.Second, 10 * time.Second, carryOn},
		{29 * time.Second, 30 * time.Second, 10 * time.Second, carryOn},
		{30 * time.Second, 30 * time.Second, 10 * time.Second, stopInOrder},
		{39 * time.Second, 30 * time.Second, 10 * time.Second, stopInOrder},
		{40 * time.Second, 30 * time.Second, 10 * time.Second, endAtOnce},
		{time.Hour, 0, 10 * time.Second, carryOn}, // not monitored
	} {
		if got := judge(tt.silent, tt.limit, tt.grace); got != tt.want {
			t.Errorf("silent for %v of %v and %v: %v, want %v", tt.silent, tt.limit, tt.grace, got, tt.want)
		}
	}
}

// master plays the application master.
type master struct {
	mu       sync.Mutex
	reply    coordinator.Reply
	err      error
	reports  int
	commands chan []coordinator.Command
	asked    []int64
	answers  chan map[string]coordinator.Answer
}

func newMaster() *master {
	return &master{reply: coordinator.Reply{Alive: true}, commands: make(chan []coordinator.Command, 1), answers: make(chan map[string]coordinator.Answer, 100)}
}

func (m *master) set(r coordinator.Reply, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reply, m.err = r, err
}

func (m *master) Report(context.Context, coordinator.Report) (coordinator.Reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports++
	return m.reply, m.err
}

func (m *master) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reports
}

func (m *master) Answer(_ context.Context, question string, a coordinator.Answer) error {
	m.answers <- map[string]coordinator.Answer{question: a}
	return nil
}

func (m *master) Next(ctx context.Context, after int64) ([]coordinator.Command, error) {
	m.mu.Lock()
	m.asked = append(m.asked, after)
	m.mu.Unlock()
	select {
	case c := <-m.commands:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// target notes what it is told.
type target struct {
	mu   sync.Mutex
	told []string
}

func (t *target) note(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, s)
}

func (t *target) Stop(string)           { t.note("stop") }
func (t *target) SetPaused(paused bool) { t.note(fmt.Sprint("paused ", paused)) }
func (t *target) CommitAll()            { t.note("commit") }

func (t *target) Ask(ctx context.Context, q coordinator.Question) coordinator.Answer {
	if q.Store == "slow" {
		<-ctx.Done()
	}
	return coordinator.Answer{Count: 7}
}

func (t *target) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.told)
}

func startLink(ctx context.Context, m *master, with ...func(*link)) (*target, *sync.WaitGroup) {
	to := &target{}
	l := &link{
		client: m, target: to, report: func() coordinator.Report { return coordinator.Report{} },
		end: func(error) { to.note("end") }, silence: 30 * time.Second, grace: 10 * time.Second,
		log: slog.New(slog.DiscardHandler), now: time.Now,
	}
	for _, f := range with {
		f(l)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.reports(ctx) })
	wg.Go(func() { l.commands(ctx) })
	return to, &wg
}

func TestLinkReportsAndObeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newMaster()
		to, wg := startLink(ctx, m)
		pass(10500 * time.Millisecond)
		if n := m.count(); n != 11 {
			t.Errorf("%d reports in 10.5 s, want 11", n)
		}
		m.set(coordinator.Reply{Alive: true, NextReport: 5000}, nil)
		pass(21 * time.Second)
		if n := m.count(); n != 16 {
			t.Errorf("%d reports, want 16: the application master asked for fewer", n)
		}
		m.commands <- []coordinator.Command{{Seq: 3, Type: coordinator.CommandPause}, {Seq: 7, Type: coordinator.CommandResume}, {Seq: 5, Type: "dance"}}
		synctest.Wait()
		m.commands <- []coordinator.Command{{Seq: 8, Type: coordinator.CommandCommit}, {Seq: 9, Type: coordinator.CommandStop, Args: map[string]string{"reason": "kill"}}}
		synctest.Wait()
		if got, want := fmt.Sprint(to.all()), "[paused true paused false commit stop]"; got != want {
			t.Errorf("told %v, want %v", got, want)
		}
		if got, want := fmt.Sprint(m.asked), "[0 7 9]"; got != want {
			t.Errorf("asked for commands after %v, want %v", got, want)
		}
		cancel()
		wg.Wait()
	})
}

// That the tasks run is told without waiting for the next second, and once.
func TestLinkTellsThatTheTasksRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newMaster()
		running := make(chan struct{})
		_, wg := startLink(ctx, m, func(l *link) { l.running = running })
		pass(1400 * time.Millisecond)
		if n := m.count(); n != 2 {
			t.Errorf("%d reports before the tasks run, want those at 0 and 1 s", n)
		}
		close(running)
		pass(settling - time.Millisecond)
		if n := m.count(); n != 2 {
			t.Errorf("%d reports right when the tasks run, want none: they may fail at once", n)
		}
		pass(2 * time.Millisecond)
		if n := m.count(); n != 3 {
			t.Errorf("%d reports when the tasks run, want one", n)
		}
		pass(900 * time.Millisecond)
		if n := m.count(); n != 3 {
			t.Errorf("%d reports 0.9 s later, want none before a second is over", n)
		}
		pass(200 * time.Millisecond)
		if n := m.count(); n != 4 {
			t.Errorf("%d reports, want the next a second later", n)
		}
		cancel()
		wg.Wait()
	})
}

func TestLinkStopsWhatIsNotAlive(t *testing.T) {
	for name, set := range map[string]func(*master){
		"not alive":       func(m *master) { m.set(coordinator.Reply{}, nil) },
		"refused":         func(m *master) { m.set(coordinator.Reply{}, coordinator.ErrRefused) },
		"no longer known": func(m *master) { m.set(coordinator.Reply{}, fmt.Errorf("wrapped: %w", coordinator.ErrNotAlive)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				m := newMaster()
				set(m)
				to, wg := startLink(ctx, m)
				synctest.Wait()
				if got := fmt.Sprint(to.all()); got != "[end]" {
					t.Errorf("at-least-once told %v", got)
				}
				cancel()
				wg.Wait()
				ctx, cancel = context.WithCancel(t.Context())
				to, wg = startLink(ctx, m, func(l *link) { l.fenced = true })
				synctest.Wait()
				if got := fmt.Sprint(to.all()); got != "[stop]" {
					t.Errorf("exactly-once told %v", got)
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

// Before a commit the application master is asked only when it was not heard of
// for longer than is usual. One that gives no answer has started no other process
// before its patience is over.
func TestLinkIsSureBeforeACommit(t *testing.T) {
	now := time.Unix(0, 0)
	m := newMaster()
	l := &link{
		client: m, report: func() coordinator.Report { return coordinator.Report{} },
		silence: 30 * time.Second, grace: 10 * time.Second, now: func() time.Time { return now },
	}
	gone := errors.New("connection refused")
	l.counted(time.Second)
	for i, tt := range []struct {
		after   time.Duration
		reply   coordinator.Reply
		err     error
		reports int    // in all
		says    string // "": it may commit
	}{
		{0, coordinator.Reply{}, nil, 0, ""},
		{3 * time.Second, coordinator.Reply{}, nil, 0, ""},
		{time.Second, coordinator.Reply{Alive: true}, nil, 1, ""},
		{3 * time.Second, coordinator.Reply{}, nil, 1, ""}, // it was heard of
		{time.Second, coordinator.Reply{}, gone, 2, ""},
		{time.Second / 2, coordinator.Reply{}, gone, 2, ""}, // not so soon again
		{34 * time.Second, coordinator.Reply{}, gone, 3, ""},
		{10 * time.Second, coordinator.Reply{}, gone, 4, "silent for 49s"},
		{0, coordinator.Reply{Alive: true}, nil, 5, ""},
	} {
		now = now.Add(tt.after)
		m.set(tt.reply, tt.err)
		err := l.sure(t.Context())
		if n := m.count(); n != tt.reports || err == nil != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%d: %v after %d reports, want %q after %d", i, err, n, tt.says, tt.reports)
		}
	}
	for _, set := range []func(){func() { m.set(coordinator.Reply{}, nil) }, func() { m.set(coordinator.Reply{}, coordinator.ErrNotAlive) }, func() { m.set(coordinator.Reply{}, coordinator.ErrRefused) }} {
		l.counted(time.Second)
		now = now.Add(4 * time.Second)
		set()
		if err := l.sure(t.Context()); !errors.Is(err, errDisowned) {
			t.Errorf("when it counts no more: %v", err)
		}
	}
}

// A process that was given up says so, whether it knew before it failed, or fails
// first, as one does that was frozen: its connections have timed out.
func TestLinkTellsWhyTheProcessEnded(t *testing.T) {
	timeout := fmt.Errorf("commit: %w", system.ErrUnreachable)
	const lost = "the application master no longer counts this process; another may have its tasks"
	for name, tt := range map[string]struct {
		told  bool // while it ran
		reply coordinator.Reply
		fails error // the last report
		err   error
		want  string
	}{
		"in order":                          {reply: coordinator.Reply{Alive: true}},
		"in order, nobody answers":          {fails: errors.New("connection refused")},
		"in order, counted until then":      {},
		"failed":                            {reply: coordinator.Reply{Alive: true}, err: timeout, want: timeout.Error()},
		"failed, nobody answers":            {fails: errors.New("connection refused"), err: timeout, want: timeout.Error()},
		"failed, and is not counted":        {err: timeout, want: lost + ": " + timeout.Error()},
		"failed, and is not known":          {fails: coordinator.ErrNotAlive, err: timeout, want: lost + ": " + timeout.Error()},
		"told, and ended in order":          {told: true, want: lost},
		"told, and failed":                  {told: true, err: timeout, want: lost + ": " + timeout.Error()},
		"told, and ended because of that":   {told: true, err: fmt.Errorf("ended at once: %w", errDisowned), want: "ended at once: " + lost},
		"it knew itself, before its commit": {err: fmt.Errorf("commit: %w", errDisowned), want: "commit: " + lost},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaster()
			m.set(tt.reply, tt.fails)
			l := &link{client: m, target: &target{}, report: func() coordinator.Report { return coordinator.Report{} }, fenced: true}
			if tt.told {
				l.disowned()
			}
			err := l.last(tt.err)
			got, code := "", 0
			if err != nil {
				got, code = err.Error(), exitCode(err)
			}
			if got != tt.want || m.count() != 1 {
				t.Errorf("%q after %d reports, want %q", got, m.count(), tt.want)
			}
			if strings.Contains(got, lost) && code != exitFailed {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestLinkStopsAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m := newMaster()
		to, _ := startLink(ctx, m)
		pass(10500 * time.Millisecond) // between two reports
		m.set(coordinator.Reply{}, errors.New("connection refused"))
		pass(28 * time.Second)
		if got := to.all(); len(got) != 0 {
			t.Errorf("after 28 s of silence told %v", got)
		}
		m.set(coordinator.Reply{Alive: true}, nil)
		pass(2300 * time.Millisecond)
		m.set(coordinator.Reply{}, errors.New("connection refused"))
		pass(28 * time.Second)
		if got := to.all(); len(got) != 0 {
			t.Errorf("after an answer and 28 s of silence told %v", got)
		}
		pass(4 * time.Second)
		if got := to.all(); len(got) == 0 || got[0] != "stop" {
			t.Errorf("after 32 s of silence told %v", got)
		}
		pass(11 * time.Second)
		if got := to.all(); got[len(got)-1] != "end" {
			t.Errorf("after the grace told %v", got)
		}
	})
}
