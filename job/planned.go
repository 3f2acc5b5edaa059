package job

import (
	"context"
	"errors"
	"maps"
	"slices"

	"heddle/container"
	"heddle/job/plan"
	"heddle/system"
)

// withCreations lets systems describe the streams that are to be made.
func withCreations(systems container.Systems, create []plan.Creation) map[string]system.System {
	out := map[string]system.System{}
	for name, sys := range systems {
		out[name] = sys
		for _, c := range create {
			if c.System == name {
				out[name] = planned{out[name], c.Spec}
			}
		}
	}
	return out
}

// planned is a system with one stream that does not exist yet.
type planned struct {
	system.System
	spec system.StreamSpec
}

func (p planned) Admin() (system.Admin, error) {
	a, err := p.System.Admin()
	return plannedAdmin{a, p.spec}, err
}

type plannedAdmin struct {
	system.Admin
	spec system.StreamSpec
}

func (a plannedAdmin) Describe(ctx context.Context, streams ...string) (map[string]system.StreamInfo, error) {
	there, err := a.Admin.Describe(ctx, streams...)
	if err != nil && !errors.Is(err, system.ErrNoStream) {
		return nil, err
	}
	if slices.Contains(streams, a.spec.Name) {
		there = maps.Clone(there)
		if there == nil {
			there = map[string]system.StreamInfo{}
		}
		there[a.spec.Name] = system.StreamInfo{Name: a.spec.Name, Partitions: a.spec.Partitions, Settings: a.spec.Settings}
	}
	return there, nil
}
