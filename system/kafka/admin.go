package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
)

// Admin gives the one that asks this system; closing it does nothing, for its
// client is the system's.
func (s *System) Admin() (system.Admin, error) { return admin{s}, nil }

type admin struct{ s *System }

func (a admin) Close() error { return nil }

// Describe passes over Kafka's internal topics unless they are named. Settings
// are those set on the topic itself, Defaults the brokers'; without the right to see
// them there are none.
func (a admin) Describe(ctx context.Context, streams ...string) (map[string]system.StreamInfo, error) {
	l, cl, err := a.s.admin(ctx)
	if err != nil {
		return nil, err
	}
	topics, err := listTopics(ctx, l, cl, streams...)
	if err != nil {
		return nil, fmt.Errorf("system %s: describe streams: %w", a.s.name, err)
	}
	out := make(map[string]system.StreamInfo, len(topics))
	var names []string
	for name, t := range topics {
		switch {
		case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			continue
		case t.Err != nil:
			return nil, fmt.Errorf("system %s: describe stream %s: %w", a.s.name, name, streamError(t.Err))
		}
		names = append(names, name)
		out[name] = system.StreamInfo{Name: name, Partitions: int32(len(t.Partitions)), Settings: map[string]string{}, Defaults: map[string]string{}}
	}
	if len(names) == 0 {
		return out, nil
	}
	configs, err := patient(ctx, l, func() (kadm.ResourceConfigs, error) { return cl.DescribeTopicConfigs(ctx, names...) })
	var auth *kadm.AuthError
	if errors.As(err, &auth) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("system %s: describe the settings of streams: %w", a.s.name, tooOld(err))
	}
	for _, rc := range configs {
		if rc.Err != nil {
			continue
		}
		info := out[rc.Name]
		for _, c := range rc.Configs {
			switch {
			case c.Value == nil:
			case c.Source == kmsg.ConfigSourceDynamicTopicConfig:
				info.Settings[c.Key] = *c.Value
			case !a.s.embedded && slices.Contains(keeping, c.Key): // the embedded one keeps everything
				info.Defaults[c.Key] = *c.Value
			}
		}
	}
	return out, nil
}

// keeping are the settings whose defaults are told.
var keeping = []string{"cleanup.policy", "retention.ms", "delete.retention.ms", "min.compaction.lag.ms"}

// listTopics waits out what passes by itself: leaders being chosen.
func listTopics(ctx context.Context, l *link, cl *kadm.Client, streams ...string) (kadm.TopicDetails, error) {
	var topics kadm.TopicDetails
	err := l.patiently(ctx, func() (err error) {
		if topics, err = cl.ListTopics(ctx, streams...); err != nil {
			return err
		}
		for _, t := range topics {
			if t.Err != nil && kerr.IsRetriable(t.Err) && !errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
				return t.Err
			}
		}
		return nil
	})
	return topics, err
}

// Offsets asks for the oldest, the stable and the next offsets in this order,
// so that Oldest <= Stable <= Next holds whatever happens in between, retention
// apart. The topic's id is asked for first: should the topic be made anew in
// between, the new one's offsets go with the old one's id, and what is written
// down of them is not used again.
func (a admin) Offsets(ctx context.Context, stream string) ([]system.Ends, error) {
	l, cl, err := a.s.admin(ctx)
	if err != nil {
		return nil, err
	}
	topics, err := listTopics(ctx, l, cl, stream)
	if err != nil {
		return nil, fmt.Errorf("system %s: offsets of stream %s: %w", a.s.name, stream, streamError(err))
	}
	id := system.TopicID(topics[stream].ID)
	var ends []system.Ends
	for i, list := range []func(context.Context, ...string) (kadm.ListedOffsets, error){
		cl.ListStartOffsets, cl.ListCommittedOffsets, cl.ListEndOffsets,
	} {
		err := l.patiently(ctx, func() error {
			listed, err := list(ctx, stream)
			if err != nil {
				return err
			}
			if err := listed.Error(); err != nil {
				return err
			}
			if ends == nil {
				ends = make([]system.Ends, len(listed[stream]))
			}
			for p, o := range listed[stream] {
				if int(p) >= len(ends) { // partitions were added just now
					continue
				}
				switch i {
				case 0:
					ends[p].Oldest, ends[p].Topic = o.Offset, id
				case 1:
					ends[p].Stable = o.Offset
				default:
					ends[p].Next = o.Offset
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("system %s: offsets of stream %s: %w", a.s.name, stream, streamError(err))
		}
	}
	if len(ends) == 0 {
		return nil, fmt.Errorf("system %s: offsets of stream %s: %w", a.s.name, stream, system.ErrNoStream)
	}
	return ends, nil
}

// Create makes a stream and returns once its partitions can be used. Partitions
// or replicas of 0 leave the number to the broker.
func (a admin) Create(ctx context.Context, spec system.StreamSpec) error {
	return a.create(ctx, spec, false)
}

// Rehearse is system.Rehearser's; the broker looks at all but at what only the making
// shows (such as a full disk).
func (a admin) Rehearse(ctx context.Context, spec system.StreamSpec) error {
	return a.create(ctx, spec, true)
}

func (a admin) create(ctx context.Context, spec system.StreamSpec, rehearse bool) error {
	l, cl, err := a.s.admin(ctx)
	if err != nil {
		return err
	}
	settings := make(map[string]*string, len(spec.Settings))
	for k, v := range spec.Settings {
		settings[k] = &v
	}
	partitions, replicas := int32(-1), int16(-1)
	if spec.Partitions > 0 {
		partitions = spec.Partitions
	}
	if spec.ReplicationFactor > 0 {
		replicas = int16(min(spec.ReplicationFactor, 1<<14))
	}
	ask := cl.CreateTopics
	if rehearse {
		ask = cl.ValidateCreateTopics
	}
	err = l.patiently(ctx, func() error {
		responses, err := ask(ctx, partitions, replicas, settings, spec.Name)
		if err != nil {
			return err
		}
		resp := responses[spec.Name]
		if resp.Err != nil && resp.ErrMessage != "" {
			return fmt.Errorf("%w (%s)", resp.Err, resp.ErrMessage)
		}
		return resp.Err
	})
	switch {
	case errors.Is(err, kerr.InvalidReplicationFactor):
		n, brokersErr := a.Brokers(ctx)
		if brokersErr != nil {
			break
		}
		err = fmt.Errorf("%d replicas are asked for and there are %d brokers; set the stream's replication.factor lower: %w", spec.ReplicationFactor, n, err)
	case err == nil && !rehearse:
		err = a.settle(ctx, cl, spec.Name)
	}
	if err != nil {
		return fmt.Errorf("system %s: create stream %s: %w", a.s.name, spec.Name, streamError(err))
	}
	return nil
}

// settle waits until a new topic is known and all its partitions have leaders:
// brokers learn of it one after the other.
func (a admin) settle(ctx context.Context, cl *kadm.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		topics, err := cl.ListTopics(ctx, topic)
		if err == nil && ready(topics[topic]) {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("it was made, but its partitions have no leaders: %w", err)
		}
	}
}

func ready(t kadm.TopicDetail) bool {
	if t.Err != nil || len(t.Partitions) == 0 {
		return false
	}
	for _, p := range t.Partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// Brokers counts the brokers that are up.
func (a admin) Brokers(ctx context.Context) (int, error) {
	brokers, err := a.s.brokers(ctx)
	return len(brokers), err
}

func (s *System) brokers(ctx context.Context) (kadm.BrokerDetails, error) {
	l, cl, err := s.admin(ctx)
	if err != nil {
		return nil, err
	}
	brokers, err := patient(ctx, l, func() (kadm.BrokerDetails, error) { return cl.ListBrokers(ctx) })
	if err != nil {
		return nil, fmt.Errorf("system %s: list brokers: %w", s.name, err)
	}
	return brokers, nil
}

// AutoCreates reads auto.create.topics.enable of one broker; without the right
// to see it the answer is no. The embedded Kafka makes topics by itself.
func (a admin) AutoCreates(ctx context.Context) (bool, error) {
	if a.s.embedded {
		return true, nil
	}
	value, _, err := a.s.brokerSetting(ctx, "auto.create.topics.enable")
	return value == "true", err
}

// brokerSetting reads one setting of one broker; ok is false if the user may
// not see it, or the broker does not have it.
func (s *System) brokerSetting(ctx context.Context, name string) (value string, ok bool, err error) {
	brokers, err := s.brokers(ctx)
	if err != nil || len(brokers) == 0 {
		return "", false, err
	}
	l, cl, err := s.admin(ctx)
	if err != nil {
		return "", false, err
	}
	configs, err := patient(ctx, l, func() (kadm.ResourceConfigs, error) { return cl.DescribeBrokerConfigs(ctx, brokers[0].NodeID) })
	var auth *kadm.AuthError
	if errors.As(err, &auth) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("system %s: read the broker's settings: %w", s.name, err)
	}
	for _, rc := range configs {
		for _, c := range rc.Configs {
			if c.Key == name && c.Value != nil {
				return *c.Value, true, nil
			}
		}
	}
	return "", false, nil
}
