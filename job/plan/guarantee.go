package plan

import (
	"errors"
	"fmt"
	"slices"

	"heddle/config"
	"heddle/system"
)

// Guarantee checks that the job's systems can keep exactly-once: the one with
// the checkpoints has transactions as the job needs them, and all that the
// tasks are known to write lies on its cluster. Inputs may lie anywhere: how far
// they were read stands in the checkpoints.
func Guarantee(c config.Config, f Facts) error {
	if !config.ExactlyOnce(c) {
		return nil
	}
	home, err := config.CheckpointSystem(c)
	if err != nil {
		return err
	}
	at, known := f.Systems[home]
	if !known {
		return nil
	}
	if at.Transactions != nil {
		return withoutTransactions(c, at.Transactions)
	}
	var errs []error
	elsewhere := func(key, what, sys string) {
		other, known := f.Systems[sys]
		if !known || sys == home || other.Cluster == at.Cluster {
			return
		}
		errs = append(errs, &config.Error{Key: key, Origin: c.Origin(key),
			Problem: fmt.Sprintf("heddle.processing.guarantee=exactly-once needs all that a task writes on one Kafka cluster: %s lies on the system %s (%s), checkpoints on %s (%s)",
				what, sys, cluster(other), home, cluster(at)),
			Hint: "let it lie on the checkpoints' cluster (task.checkpoint.system), or set at-least-once"})
	}
	stores, err := config.Stores(c)
	if err != nil {
		return err
	}
	for _, s := range stores {
		if s.Logged() {
			elsewhere(config.StoreChangelog.Name(s.Name), fmt.Sprintf("the changelog of the store %q", s.Name), s.Changelog.System)
		}
	}
	streams, err := config.Streams(c)
	if err != nil {
		return err
	}
	others, err := notOutputs(c)
	if err != nil {
		return err
	}
	for _, s := range streams {
		if !slices.Contains(others, s.SystemStream) {
			elsewhere("streams."+s.ID+".samza.system", "the output "+s.String(), s.System)
		}
	}
	return errors.Join(errs...)
}

// withoutTransactions is a fault of the brokers or of the configuration, but for
// brokers that do not answer.
func withoutTransactions(c config.Config, err error) error {
	var wrong *config.Error
	if errors.As(err, &wrong) || errors.Is(err, system.ErrUnreachable) {
		return err
	}
	key := config.HeddleGuarantee.Name()
	return &config.Error{Key: key, Origin: c.Origin(key), Problem: "exactly-once cannot be kept: " + err.Error(), Hint: "or set it to at-least-once"}
}

func cluster(f SystemFacts) string {
	if f.Cluster == "" {
		return "a cluster without transactions"
	}
	return "cluster " + f.Cluster
}

// notOutputs are the streams with settings of their own that tasks do not write
// to: inputs, and what reporters write, which is no part of a commit.
func notOutputs(c config.Config) ([]config.SystemStream, error) {
	out, err := config.Inputs(c)
	if err != nil {
		return nil, err
	}
	names := config.MetricsReporters.Of(c)
	var more []string
	for _, r := range names {
		more = append(more, config.MetricsReporterStream.Of(c, r))
	}
	stores, err := config.Stores(c)
	if err != nil {
		return nil, err
	}
	for _, s := range stores {
		more = append(more, config.StoreSideInputs.Of(c, s.Name)...)
	}
	for _, name := range more {
		if s, err := config.ParseSystemStream(name); err == nil { // an error is told where it is read
			out = append(out, config.Physical(c, s.System, s.Stream))
		}
	}
	return out, nil
}
