package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"heddle/coordinator"
)

// coordinatorClient is what the link asks of coordinator.Client.
type coordinatorClient interface {
	Next(ctx context.Context, after int64) ([]coordinator.Command, error)
	Report(ctx context.Context, r coordinator.Report) (coordinator.Reply, error)
	Answer(ctx context.Context, question string, a coordinator.Answer) error
}

// controlled is what commands are for: a Container.
type controlled interface {
	Stop(why string)
	SetPaused(paused bool)
	CommitAll()
	Ask(ctx context.Context, q coordinator.Question) coordinator.Answer
}

// link ties a container to its application master: reports, which are the
// heartbeat too, one way; commands the other.
type link struct {
	client coordinatorClient
	target controlled
	report func() coordinator.Report
	// running is closed once the tasks run, of which the application master hears
	// soon (settling), as somebody waits for it. nil: never.
	running <-chan struct{}
	// end ends everything at once.
	end func(why error)
	// silence is how long the application master may give no answer before the
	// container stops itself, since another one may have its tasks by then;
	// grace is what the stop may take before it is forced. 0: never.
	silence, grace time.Duration
	// fenced: what is written here is refused once another process has the tasks
	// (exactly-once).
	fenced bool
	log    *slog.Logger
	now    func() time.Time

	mu sync.Mutex
	// heard is when the application master last counted this process, asked when it
	// was last asked out of turn, and every how often it is told.
	heard, asked time.Time
	every        time.Duration
	// lost: the application master said that it does not count this process.
	lost atomic.Bool
	// answering are the questions at work, answers their number.
	answering sync.WaitGroup
	answers   atomic.Int32
}

// maxAnswers bounds the questions that are worked on at the same time.
const maxAnswers = 16

// Times of the link. Samza asks each 60 s, gives up after 6 tries within about
// 63 s, and forces the end after another 120 s, so that an orphan overlaps its
// replacement for minutes. Here the application master starts no replacement of
// a silent container before coordinator.GiveUpAfter and task.shutdown.ms have
// passed.
const (
	firstReport    = time.Second
	maxReportPause = 10 * time.Second
	retryPause     = 500 * time.Millisecond
	// settling is what passes before tasks are said to run: one that fails at its
	// first messages mostly has by then, and the submit that waits shows the failure.
	settling = 250 * time.Millisecond
)

// verdict is what follows from how long the application master has been
// silent.
type verdict uint8

const (
	carryOn verdict = iota
	stopInOrder
	endAtOnce
)

// judge decides what a silence means.
func judge(silent, limit, grace time.Duration) verdict {
	switch {
	case limit <= 0 || silent < limit:
		return carryOn
	case silent < limit+grace:
		return stopInOrder
	}
	return endAtOnce
}

// reports sends a report each second or as often as the application master
// wants them, and one when the tasks run, until ctx ends.
func (l *link) reports(ctx context.Context) {
	l.counted(firstReport)
	var pause time.Duration
	running := l.running
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-running:
			running = nil
			timer.Reset(settling)
			continue
		case <-timer.C:
		}
		reply, err := l.send(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pause = firstReport
			if reply.NextReport > 0 {
				pause = min(time.Duration(reply.NextReport)*time.Millisecond, maxReportPause)
			}
			l.counted(pause)
		case notCounted(err):
			l.disowned()
			return
		default:
			pause = retryPause
			silent := l.silent()
			l.log.Warn("the application master does not answer", "for", silent.Round(time.Millisecond), "error", err)
			switch judge(silent, l.silence, l.grace) {
			case carryOn:
			case stopInOrder:
				l.target.Stop(fmt.Sprintf("the application master has been silent for %v", silent.Round(time.Second)))
			case endAtOnce:
				l.end(fmt.Errorf("the application master has been silent for %v, and the stop took too long", silent.Round(time.Second)))
				return
			}
		}
		timer.Reset(pause)
	}
}

// send sends a report; an answer that this process does not count is ErrNotAlive.
func (l *link) send(ctx context.Context) (coordinator.Reply, error) {
	reply, err := l.client.Report(ctx, l.report())
	if err == nil && !reply.Alive {
		err = coordinator.ErrNotAlive
	}
	return reply, err
}

// disowned ends a process whose tasks another one may have. Exactly-once it may
// commit on its way, for that is refused if it must not be. At-least-once a commit
// would set the checkpoints and the changelogs back behind what the other has
// written: it commits nothing, and what it did since its last commits is repeated.
func (l *link) disowned() {
	l.lost.Store(true)
	if l.fenced {
		l.target.Stop(errDisowned.Error())
		return
	}
	l.end(errDisowned)
}

// last tells the application master how the process ended, and gives why: err, or
// that another may have its tasks, whatever fails in the wake of that, or does not.
// If there is no answer at once, it hears of the end from the node.
func (l *link) last(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	if _, failed := l.send(ctx); err != nil && notCounted(failed) {
		l.lost.Store(true) // it failed before it was told
	}
	switch {
	case !l.lost.Load() || errors.Is(err, errDisowned):
		return err
	case err == nil:
		return errDisowned
	}
	// What failed then is not to blame, so its exit code does not count.
	return fmt.Errorf("%w: %s", errDisowned, err.Error())
}

// lastWait bounds the wait for the answer to the last report.
const lastWait = 100 * time.Millisecond

// notCounted tells an application master's answer that this process does not count.
func notCounted(err error) bool {
	return errors.Is(err, coordinator.ErrNotAlive) || errors.Is(err, coordinator.ErrRefused)
}

var errDisowned = errors.New("the application master no longer counts this process; another may have its tasks")

// counted notes that the application master counts this process.
func (l *link) counted(every time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.every = l.now(), every
}

// silent is for how long the application master has not answered.
func (l *link) silent() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Sub(l.heard)
}

// outOfTurnWait bounds the wait for an answer that is asked for before a commit,
// outOfTurnLate where there is no commit without one, and outOfTurnEvery is how often
// it is asked for while none comes.
const (
	outOfTurnWait  = 250 * time.Millisecond
	outOfTurnLate  = 5 * time.Second
	outOfTurnEvery = time.Second
)

// sure asks the application master, before a commit at-least-once, if this process
// still counts, when it was not heard of for longer than is usual: the process was
// frozen, perhaps, and another one has the tasks. One that gives no answer has
// started no other before its patience is over.
func (l *link) sure(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	silent := now.Sub(l.heard)
	if l.heard.IsZero() || silent <= 2*l.every+outOfTurnEvery {
		return nil
	}
	late := judge(silent, l.silence, l.grace) == endAtOnce
	if !late && now.Sub(l.asked) < outOfTurnEvery {
		return nil
	}
	l.asked = now
	wait := outOfTurnWait
	if late {
		wait = outOfTurnLate
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err := l.send(ctx)
	switch {
	case err == nil:
		l.heard = now
	case notCounted(err):
		return errDisowned
	case late:
		return fmt.Errorf("the application master has been silent for %v, and another process may have the tasks: %w", silent.Round(time.Second), err)
	}
	return nil
}

// commands takes what the container is told, until ctx ends.
func (l *link) commands(ctx context.Context) {
	defer l.answering.Wait()
	var after int64
	for ctx.Err() == nil {
		commands, err := l.client.Next(ctx, after)
		switch {
		case ctx.Err() != nil:
			return
		case notCounted(err):
			l.disowned()
			return
		case err != nil:
			if !pause(ctx, retryPause) {
				return
			}
		}
		for _, c := range commands {
			after = max(after, c.Seq)
			l.obey(ctx, c)
		}
	}
}

func (l *link) obey(ctx context.Context, c coordinator.Command) {
	switch c.Type {
	case coordinator.CommandStop:
		why := c.Args["reason"]
		if why == "" {
			why = "the application master says so"
		}
		l.target.Stop(why)
	case coordinator.CommandPause:
		l.target.SetPaused(true)
	case coordinator.CommandResume:
		l.target.SetPaused(false)
	case coordinator.CommandCommit:
		l.target.CommitAll()
	case coordinator.CommandQuery:
		q, err := coordinator.QuestionOf(c)
		if err != nil {
			l.log.Warn("a question about the state cannot be read", "error", err)
			return
		}
		l.answer(ctx, q)
	default:
		l.log.Warn("a command is not known here and is passed over", "command", c.Type)
	}
}

// answer works on a question beside the commands, and posts the answer. Who asked
// hears of nothing if that fails: it gives up by itself.
func (l *link) answer(ctx context.Context, q coordinator.Question) {
	busy := l.answers.Add(1) > maxAnswers
	l.answering.Go(func() {
		defer l.answers.Add(-1)
		a := failed(coordinator.FailBusy, "the container answers %d questions already; try again soon", maxAnswers)
		if !busy {
			a = l.target.Ask(ctx, q)
		}
		if err := l.client.Answer(ctx, q.ID, a); err != nil && ctx.Err() == nil {
			l.log.Warn("the answer to a question about the state did not arrive", "store", q.Store, "task", q.Task, "error", err)
		}
	})
}

// pause waits; false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
