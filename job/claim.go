package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heddle/config"
	"heddle/container"
	"heddle/internal/launch"
	"heddle/system"
	"heddle/system/kafka/embedded"
)

// claimEvery is the time between two looks at a claim that is about to be given
// back.
const claimEvery = 50 * time.Millisecond

// runsHere: the job runs already on this machine, found by that configuration: this
// one, or this one with another heddle.home.
type runsHere struct {
	refusedError
	there *Job
}

// claimPlace is where a claim lies.
type claimPlace struct {
	// file is for people.
	file   string
	take   func(doing string) (*launch.Claim, error)
	holder func() (launch.Holder, bool, error)
}

// below is the claim below heddle.home.
func (j *Job) below() claimPlace {
	return claimPlace{
		file:   launch.FileOf(j.home(), j.Name(), "claim"),
		take:   func(doing string) (*launch.Claim, error) { return launch.TakeClaim(j.home(), j.Name(), doing) },
		holder: func() (launch.Holder, bool, error) { return launch.HolderOf(j.home(), j.Name()) },
	}
}

// claim takes the job's claim, for a run ("") or for something else.
func (j *Job) claim(ctx context.Context, doing string) (*launch.Claim, error) {
	return j.claimIn(ctx, j.below(), doing)
}

// claimOn takes the claim that other folders see, too, of a job whose checkpoints
// lie in a Kafka that they can reach; nil if there is none, as with an embedded
// Kafka, which is its folder's.
func (j *Job) claimOn(ctx context.Context, systems container.Systems, doing string) (*launch.Claim, error) {
	name, err := config.CheckpointSystem(j.Config)
	if err != nil || config.Embedded(j.Config, name) {
		return nil, nil //nolint:nilerr // without such a system there is no such claim
	}
	sys, err := systems.Get(name)
	if err != nil {
		return nil, err
	}
	named, ok := sys.(system.Transactional)
	if !ok {
		return nil, nil
	}
	cluster, err := named.Cluster(ctx)
	if err != nil || cluster == "" || cluster == embedded.ClusterID {
		return nil, err
	}
	c, err := j.claimIn(ctx, claimPlace{
		file: fmt.Sprintf("the claim of the job %s in the user's cache folder", j.Name()),
		take: func(doing string) (*launch.Claim, error) {
			return launch.TakeClaimOn(cluster, j.home(), j.Name(), doing)
		},
		holder: func() (launch.Holder, bool, error) { return launch.HolderOn(cluster, j.Name()) },
	}, doing)
	var refused refusedError
	if err != nil && ctx.Err() == nil && !errors.As(err, &refused) && !errors.As(err, new(runsHere)) {
		// No reason not to run what ran yesterday.
		j.say.Warn("whether the job runs from another folder is not known: %v", err)
		return nil, nil
	}
	return c, err
}

// claimIn takes a claim. One that is held by a process that lives is refused; what
// a killed run-job has left is waited for, since it is on its way to its end.
func (j *Job) claimIn(ctx context.Context, at claimPlace, doing string) (*launch.Claim, error) {
	patience := config.TaskShutdown.Of(j.Config) + killMargin
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for {
		c, err := at.take(doing)
		if !errors.Is(err, launch.ErrClaimed) {
			j.say.Done()
			return c, err
		}
		h, lives, err := living(ctx, at.holder)
		if err != nil {
			return nil, err
		}
		if lives {
			j.say.Done()
			return nil, j.claimed(ctx, h, doing)
		}
		j.say.Moving("waiting for the end of what the last run of %s has left", j.Name())
		select {
		case <-tick.C:
		case <-limit.C:
			j.say.Done()
			return nil, refusedError{fmt.Errorf("the job %s: process %d is gone, but what it started has not ended within %s; end it and try again (it holds %s)", j.Name(), h.PID, patience, at.file)}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dying is how long a process may take to go that was killed.
const dying = 500 * time.Millisecond

// living says who holds a claim, and if that lives: not only for a moment, for a
// start right after a kill -9 is to wait for what is left, and not to be refused.
func living(ctx context.Context, holder func() (launch.Holder, bool, error)) (launch.Holder, bool, error) {
	limit := time.NewTimer(dying)
	defer limit.Stop()
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for {
		h, held, err := holder()
		if err != nil || !held || !h.Alive() {
			return h, false, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return h, true, nil
		case <-ctx.Done():
			return h, false, ctx.Err()
		}
	}
}

// claimed is the error for a claim that is held.
func (j *Job) claimed(ctx context.Context, h launch.Holder, doing string) error {
	if h.Doing != "" {
		return refusedError{fmt.Errorf("the job %s: %s is at work on it as process %d; try again when that has ended", j.Name(), h.Doing, h.PID)}
	}
	r := j.running(ctx, h)
	if doing != "" {
		return runsHere{refusedError{fmt.Errorf("%s: the job %s runs%s as %s, and %s; stop it first with run-job kill and %s", doing, j.Name(), r.from, r.what, harm(doing), r.how)}, r.there}
	}
	return runsHere{refusedError{fmt.Errorf("the job %s runs already%s as %s; stop it with run-job kill and %s, or start this one with --replace", j.Name(), r.from, r.what, r.how)}, r.there}
}

// running names the run that holds a claim: what it is and from where, and which
// configuration finds it.
type running struct {
	there           *Job
	from, what, how string
}

func (j *Job) running(ctx context.Context, h launch.Holder) running {
	r := running{there: j, what: fmt.Sprintf("process %d", h.PID), how: "the same configuration"}
	if h.Home != "" {
		r.there, r.from = j.at(h.Home), " from another folder"
		r.how += " and --config heddle.home=" + h.Home
	}
	if here, err := r.there.Here(ctx); err == nil {
		r.what = here.what()
	}
	return r
}

// at is the job with another heddle.home.
func (j *Job) at(home string) *Job {
	there := *j
	there.Config = j.Config.With(map[string]string{config.HeddleHome.Name(): home})
	return &there
}
