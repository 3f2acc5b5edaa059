package metrics

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"
)

// Reporter sends a snapshot of each registry at intervals (Samza:
// MetricsSnapshotReporter). Its failures are logged and nothing more.
type Reporter struct {
	// Header is that of every message, but for its Time.
	Header Header
	// Format is that of the messages.
	Format Format
	// Interval is the time between two reports (metrics.reporter.N.interval).
	Interval time.Duration
	// Skip leaves out what it matches as a whole, "group.name"
	// (metrics.reporter.N.blacklist); nil: nothing.
	Skip *regexp.Regexp
	// Send sends the messages of one report and waits until they are written.
	// Samza sends them without a key, with the host name as partition key.
	Send func(ctx context.Context, messages [][]byte) error
	// Logger is told about failures; nil: silence.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	mu         sync.Mutex
	registries []*Registry
}

// SkipPattern compiles metrics.reporter.N.blacklist, which has to match a name
// as a whole.
func SkipPattern(expr string) (*regexp.Regexp, error) { return regexp.Compile(`^(?:` + expr + `)$`) }

// Add makes a registry part of the reports.
func (r *Reporter) Add(g *Registry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registries = append(r.registries, g)
}

// Messages makes the messages of a report at that time: one for each registry
// that holds anything; empty groups are left out.
func (r *Reporter) Messages(now time.Time) [][]byte {
	r.mu.Lock()
	registries := r.registries
	r.mu.Unlock()
	h := r.Header
	h.Time = now
	var messages [][]byte
	for _, g := range registries {
		if s := r.filter(g.Snapshot()); len(s.Groups) > 0 {
			messages = append(messages, AppendMessage(nil, r.Format, h, s))
		}
	}
	return messages
}

func (r *Reporter) filter(s Snapshot) Snapshot {
	if r.Skip == nil {
		return s
	}
	kept := Snapshot{Source: s.Source}
	for _, g := range s.Groups {
		k := Group{Name: g.Name}
		for _, m := range g.Metrics {
			if !r.Skip.MatchString(g.Name + "." + m.Name) {
				k.Metrics = append(k.Metrics, m)
			}
		}
		if len(k.Metrics) > 0 {
			kept.Groups = append(kept.Groups, k)
		}
	}
	return kept
}

// LastReport is what the last report may take.
const LastReport = 2 * time.Second

// Run reports at once, then at each interval, until ctx ends, and then once
// more.
func (r *Reporter) Run(ctx context.Context) {
	tick := time.NewTicker(r.Interval)
	defer tick.Stop()
	for {
		r.report(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			// A last report has its own, short time.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), LastReport)
			defer cancel()
			r.report(last)
			return
		}
	}
}

func (r *Reporter) report(ctx context.Context) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	messages := r.Messages(now())
	if len(messages) == 0 {
		return
	}
	if err := r.Send(ctx, messages); err != nil && r.Logger != nil {
		r.Logger.Warn("metrics could not be reported; the next report is tried as usual", "interval", r.Interval.String(), "error", err)
	}
}
