package job

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/config"
	"heddle/container"
	"heddle/job/plan"
	"heddle/storage"
	"heddle/system"
	"heddle/system/kafka"
)

// What the broker would not make is told before anything is made.
func TestTopicsAreRehearsed(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "there"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	made := 0
	cluster.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		if !req.ValidateOnly {
			made++
		}
		for _, topic := range req.Topics {
			for _, c := range topic.Configs {
				if c.Name != "nonsense" {
					continue
				}
				resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
				answer := kmsg.NewCreateTopicsResponseTopic()
				answer.Topic, answer.ErrorCode, answer.ErrorMessage = topic.Topic, kerr.InvalidConfig.Code, kmsg.StringPtr("Unknown topic config name: nonsense")
				resp.Topics = append(resp.Topics, answer)
				return resp, nil, true
			}
		}
		return nil, nil, false
	})
	sys, err := kafka.New("kafka", config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": cluster.ListenAddrs()[0]}), kafka.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	systems := container.Systems{"kafka": sys}
	spec := func(name string, settings map[string]string) system.StreamSpec {
		return system.StreamSpec{Name: name, Partitions: 1, Settings: settings}
	}
	log := func(name string, settings map[string]string) storage.Topic {
		return storage.Topic{Store: "counts", System: "kafka", StreamSpec: spec(name, settings)}
	}
	nonsense, right := map[string]string{"nonsense": "1"}, map[string]string{"cleanup.policy": "compact"}
	facts := plan.Facts{Systems: map[string]plan.SystemFacts{"kafka": {Streams: map[string]system.StreamInfo{"old": {}}}}}
	for _, c := range []struct {
		what   string
		create []plan.Creation
		logs   []storage.Topic
		want   string
	}{
		{"all right", []plan.Creation{{System: "kafka", Spec: spec("out", right), Why: "output"}}, []storage.Topic{log("log", right)}, ""},
		{"made meanwhile", nil, []storage.Topic{log("there", right)}, ""},
		{"there before", nil, []storage.Topic{log("old", nonsense)}, ""},
		{"an output", []plan.Creation{{System: "kafka", Spec: spec("out", nonsense), Why: "output"}}, nil, "make the output topic kafka.out: "},
		{"a changelog", nil, []storage.Topic{log("log", right), log("other", nonsense)}, `changelog of store "counts" (stores.counts.changelog, and below it): `},
	} {
		err := rehearse(t.Context(), systems, c.create, c.logs, facts)
		var usage usageError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (!errors.As(err, &usage) || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), "nonsense")):
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if made != 0 {
		t.Errorf("%d requests made topics", made)
	}
}
