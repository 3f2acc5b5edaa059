package coordinator

import (
	"context"
	"maps"
	"slices"
	"strings"

	"heddle/config"
)

// trackingURL is the key that the application master writes at its start.
const trackingURL = "yarn.am.tracking.url"

// Submit writes a configuration for the next start of the job, as Samza does
// (CoordinatorStreamUtil.writeConfigToCoordinatorStream): all of its keys first,
// then every other key of the stream is deleted, except what an outside
// controller has set while autosizing is on. Secrets are written only with
// heddle.coordinator.secrets=stream; otherwise those that are there are deleted
// with the rest.
//
// Nothing locks the stream: of two submits at the same moment each key is one
// of theirs. Whoever calls sees to it that there is one.
func (s *Stream) Submit(ctx context.Context, cfg config.Config) error {
	out, err := Published(cfg)
	if err != nil {
		return err
	}
	keys := out.Keys()
	messages := make([]Message, 0, len(keys))
	for _, k := range keys {
		v, _ := out.Get(k)
		messages = append(messages, SetConfig(k, v, SourceSubmit))
	}
	if err := s.Write(ctx, messages...); err != nil {
		return err
	}
	snap, err := s.Read(ctx)
	if err != nil {
		return err
	}
	return s.Write(ctx, stale(snap, out)...)
}

// Published is the part of a configuration that goes into the coordinator
// stream.
func Published(cfg config.Config) (config.Config, error) {
	where, err := config.HeddleCoordinatorSecrets.Get(cfg)
	if err != nil {
		return config.Config{}, err
	}
	if where == "stream" {
		return cfg, nil
	}
	return cfg.WithoutSecrets(), nil
}

// stale gives the deletions of the stream's keys that are not in cfg.
func stale(snap *Snapshot, cfg config.Config) []Message {
	autosizing := config.JobAutosizing.Of(cfg)
	ha, _ := cfg.Get("yarn.am.high-availability.enabled")
	var out []Message
	for _, k := range slices.Sorted(maps.Keys(snap.All(TypeConfig))) {
		_, keep := cfg.Get(k)
		switch {
		case keep:
		case autosizing && strings.HasPrefix(k, "job.autosizing."):
		case ha == "true" && k == trackingURL:
		default:
			out = append(out, Delete(TypeConfig, k))
		}
	}
	return out
}
