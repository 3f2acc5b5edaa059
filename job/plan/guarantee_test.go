package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"heddle/config"
	"heddle/system"
)

func TestGuarantee(t *testing.T) {
	const (
		exactly = "heddle.processing.guarantee=exactly-once\njob.default.system=kafka\n"
		other   = "systems.other.samza.factory=kafka\n"
		store   = "stores.s.factory=memory\nstores.s.changelog=other.log\n"
	)
	systems := func(other string, transactions error) Facts {
		return Facts{map[string]SystemFacts{
			"kafka": {Cluster: "A", Transactions: transactions}, "other": {Cluster: other},
		}}
	}
	wrong := &config.Error{Key: "task.commit.ms", Problem: "too long"}
	for _, tt := range []struct {
		name  string
		more  string
		facts Facts
		err   string // parts of the error, separated by |
	}{
		{"at-least-once asks nothing", other + store, systems("B", system.ErrNoTransactions), ""},
		{"one cluster", exactly, systems("A", nil), ""},
		{"one cluster by two names", exactly + other + store + "streams.out.samza.system=other", systems("A", nil), ""},
		{"input elsewhere", exactly + other + "task.inputs=other.in\nstreams.in.samza.system=other", systems("B", nil), ""},
		{"metrics elsewhere", exactly + other + "metrics.reporters=r\nmetrics.reporter.r.stream=other.m\nstreams.m.samza.system=other", systems("B", nil), ""},
		{"changelog elsewhere", exactly + other + store, systems("B", nil),
			`stores.s.changelog: heddle.processing.guarantee=exactly-once|the changelog of the store "s" lies on the system other (cluster B), checkpoints on kafka (cluster A)|at-least-once`},
		{"output elsewhere", exactly + other + "streams.out.samza.system=other", systems("B", nil),
			"streams.out.samza.system: |the output other.out lies on the system other (cluster B)"},
		{"no transactions", exactly, systems("A", fmt.Errorf("system kafka: %w: old brokers", system.ErrNoTransactions)),
			"heddle.processing.guarantee: exactly-once cannot be kept|old brokers|at-least-once"},
		{"too long a time-out", exactly, systems("A", wrong), "task.commit.ms: too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Guarantee(job(tt.more), tt.facts)
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var coded interface{ ExitCode() int }
			if err == nil || !errors.As(err, &coded) || coded.ExitCode() != 2 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v; want one line and code 2", err)
			}
			for part := range strings.SplitSeq(tt.err, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\ndoes not say %q", err, part)
				}
			}
		})
	}
	if err := Guarantee(job(exactly), systems("A", fmt.Errorf("no answer: %w", system.ErrUnreachable))); !errors.Is(err, system.ErrUnreachable) {
		t.Errorf("brokers that do not answer: %v", err)
	}
}
