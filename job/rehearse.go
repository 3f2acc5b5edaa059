package job

import (
	"context"
	"errors"

	"heddle/container"
	"heddle/job/plan"
	"heddle/storage"
	"heddle/system"
)

// rehearse asks whether the topics that are to be made would be: a setting that Kafka does
// not know, or more replicas than brokers, would otherwise show when half of
// them are there. existing are left out.
func rehearse(ctx context.Context, systems container.Systems, create []plan.Creation, changelogs []storage.Topic, existing plan.Facts) error {
	for _, c := range create {
		if err := rehearseOne(ctx, systems[c.System], c.Spec); err != nil {
			return refusedTopic(c.Failed(err))
		}
	}
	for _, t := range changelogs {
		if _, ok := existing.Systems[t.System].Streams[t.Name]; ok {
			continue
		}
		if err := rehearseOne(ctx, systems[t.System], t.StreamSpec); err != nil {
			return refusedTopic(t.Failed(err))
		}
	}
	return nil
}

func rehearseOne(ctx context.Context, sys system.System, s system.StreamSpec) error {
	if sys == nil {
		return nil // who makes the topic says so
	}
	admin, err := sys.Admin()
	if err != nil {
		return err
	}
	r, ok := admin.(system.Rehearser)
	if !ok {
		return nil
	}
	if err := r.Rehearse(ctx, s); !errors.Is(err, system.ErrExists) {
		return err
	}
	return nil // somebody made it meanwhile
}

// refusedTopic is wrong usage unless no broker answered.
func refusedTopic(err error) error {
	if errors.Is(err, system.ErrUnreachable) {
		return err
	}
	return usageError{err}
}
