package kafka

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/internal/heard"
)

// clientOf makes a client of a side's settings, to ask for their values.
func clientOf(t *testing.T, s side, m map[string]string) *kgo.Client {
	t.Helper()
	set, err := settingsOf(config.New(m), "k", s)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(set.opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func TestConsumerSettings(t *testing.T) {
	basic, err := settingsOf(config.New(nil), "k", consumerSide)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key, value string
		change     func(*settings)
	}{
		{"", "", func(s *settings) {
			s.fetchWait, s.fetchMinBytes, s.fetchMaxBytes, s.maxPartitionBytes = 500*time.Millisecond, 1, 8<<20, 1<<20
		}},
		{"fetch.min.bytes", "7", func(s *settings) { s.fetchMinBytes = 7 }},
		{"fetch.max.bytes", "100000", func(s *settings) { s.fetchMaxBytes, s.maxPartitionBytes = 100000, 100000 }},
		{"fetch.max.wait.ms", "50", func(s *settings) { s.fetchWait = 50 * time.Millisecond }},
		{"max.partition.fetch.bytes", "12345", func(s *settings) { s.maxPartitionBytes = 12345 }},
		{"fetch.message.max.bytes", "54321", func(s *settings) { s.maxPartitionBytes = 54321 }},
		{"client.rack", "r1", func(s *settings) { s.rackID = "r1" }},
		{"check.crcs", "false", func(s *settings) { s.noCRC = true }},
		{"isolation.level", "read_committed", func(*settings) {}},
		{"isolation.level", "READ_UNCOMMITTED", func(s *settings) { s.isolation = 0 }},
	} {
		got, err := settingsOf(config.New(map[string]string{"systems.k.consumer." + tt.key: tt.value}), "k", consumerSide)
		if err != nil {
			t.Fatal(err)
		}
		want := basic
		tt.change(&want)
		got.opts, want.opts = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s=%s: %+v, want %+v", tt.key, tt.value, got, want)
		}
	}
}

func TestProducerSettings(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		option     any
		want       any
	}{
		{"", "", kgo.ProducerLinger, 10 * time.Millisecond},
		{"", "", kgo.RequiredAcks, kgo.AllISRAcks()},
		{"", "", kgo.DisableIdempotentWrite, false},
		{"", "", kgo.MaxBufferedBytes, int64(32 << 20)},
		{"linger.ms", "0", kgo.ProducerLinger, time.Duration(0)},
		{"acks", "-1", kgo.RequiredAcks, kgo.AllISRAcks()},
		{"acks", "1", kgo.RequiredAcks, kgo.LeaderAck()},
		{"acks", "1", kgo.DisableIdempotentWrite, true},
		{"enable.idempotence", "false", kgo.DisableIdempotentWrite, true},
		{"buffer.memory", "9000000", kgo.MaxBufferedBytes, int64(9000000)},
		{"delivery.timeout.ms", "5000", kgo.RecordDeliveryTimeout, 5010 * time.Millisecond},
		{"request.timeout.ms", "7000", kgo.ProduceRequestTimeout, 7 * time.Second},
	} {
		cl := clientOf(t, producerSide, map[string]string{"systems.k.producer." + tt.key: tt.value})
		if got := cl.OptValue(tt.option); got != tt.want {
			t.Errorf("%s=%s: %v (%T), want %v", tt.key, tt.value, got, got, tt.want)
		}
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		clientOf(t, producerSide, map[string]string{"systems.k.producer.compression.type": codec, "systems.k.producer.compression.zstd.level": "3"})
	}
}

func TestBadSettings(t *testing.T) {
	for key, value := range map[string]string{
		"producer.acks":                  "2",
		"producer.linger.ms":             "ten",
		"producer.max.request.size":      "-1",
		"producer.compression.type":      "zip",
		"producer.bootstrap.servers":     "localhost",
		"consumer.bootstrap.servers":     "a:1,b",
		"consumer.isolation.level":       "serializable",
		"consumer.fetch.max.bytes":       "1MB",
		"consumer.security.protocol":     "TLS",
		"producer.sasl.jaas.config":      "x",
		"consumer.ssl.enabled.protocols": "SSLv3",
	} {
		m := map[string]string{"systems.k.producer.bootstrap.servers": "a:1", "systems.k." + key: value}
		side, _, _ := strings.Cut(key, ".")
		if strings.HasPrefix(key[len(side)+1:], "sasl.") {
			m["systems.k."+side+".security.protocol"] = "SASL_SSL"
		}
		if strings.HasPrefix(key[len(side)+1:], "ssl.") {
			m["systems.k."+side+".security.protocol"] = "SSL"
		}
		_, err := New("k", config.New(m), Options{Logger: slog.New(slog.DiscardHandler)})
		var e *config.Error
		if !errors.As(err, &e) || e.Key != "systems.k."+key {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
}

func TestOneWarningForWhatIsPassedOver(t *testing.T) {
	log := &heard.Text{}
	_, err := New("k", config.New(map[string]string{
		"systems.k.producer.bootstrap.servers":   "a:1",
		"systems.k.consumer.zookeeper.connect":   "z:2181",
		"systems.k.consumer.group.id":            "g",
		"systems.k.consumer.frobnicate":          "1",
		"systems.k.consumer.fetch.min.bytes":     "1",
		"systems.k.consumer.auto.offset.reset":   "largest",
		"systems.k.consumer.ssl.keystore.type":   "PEM",
		"systems.k.producer.retries":             "5",
		"systems.k.samza.factory":                "kafka",
		"systems.other.consumer.frobnicate":      "1",
		"systems.k.producer.batch.size":          "1",
		"systems.k.producer.request.timeout.ms":  "1000",
		"systems.k.producer.client.id":           "me",
		"systems.k.producer.metadata.max.age.ms": "1000",
		"systems.k.producer.retry.backoff.ms":    "1",
		// Of these config's check warns, and nobody else.
		"systems.k.producer.metadata.broker.list": "localhost:9092",
		"systems.k.producer.producer.type":        "sync",
		"systems.k.producer.retry.backoff.max.ms": "1",
	}), Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("%d warnings: %s", len(lines), log)
	}
	if strings.Contains(log.String(), "broker.list") || strings.Contains(log.String(), "producer.type") {
		t.Errorf("warned of twice: %s", log)
	}
	for _, part := range []string{"without a meaning here: group.id; unknown: frobnicate", "unknown: frobnicate", "without a meaning here: retries"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the warnings lack %q: %s", part, log)
		}
	}
}

func TestBootstrap(t *testing.T) {
	const p, c = "systems.k.producer.bootstrap.servers", "systems.k.consumer.bootstrap.servers"
	for _, tt := range []struct {
		m        map[string]string
		side     side
		embedded bool
		servers  string
		key      string
	}{
		{map[string]string{p: "a:1, b:2"}, producerSide, false, "a:1 b:2", p},
		{map[string]string{p: "a:1"}, consumerSide, false, "a:1", p},
		{map[string]string{p: "a:1", c: "c:3"}, consumerSide, false, "c:3", c},
		{map[string]string{c: "c:3"}, producerSide, false, "c:3", c},
		{map[string]string{p: "[::1]:9092"}, producerSide, false, "[::1]:9092", p},
		{map[string]string{p: "embedded"}, consumerSide, true, "", p},
		{nil, consumerSide, true, "", p},
	} {
		b, err := bootstrapOf(config.New(tt.m), "k", tt.side)
		if err != nil || b.embedded != tt.embedded || strings.Join(b.servers, " ") != tt.servers || b.key != tt.key {
			t.Errorf("%v for the %s: %+v, %v", tt.m, tt.side, b, err)
		}
	}
	if _, err := bootstrapOf(config.New(map[string]string{p: "embedded,a:1"}), "k", producerSide); err == nil {
		t.Error("embedded beside an address is taken")
	}
	if _, err := New("k", config.New(map[string]string{p: "embedded", c: "a:1"}), Options{}); err == nil {
		t.Error("embedded for one side only is taken")
	}
}

func TestClientID(t *testing.T) {
	for _, tt := range [][3]string{
		{"Count Latancy", "1", "kafka_consumer-Count_Latancy-1"},
		{"a.b-c", "x y", "kafka_consumer-a_b_c-x_y"},
		{"a", "", "kafka_consumer-a-1"},
		{"", "", "heddle-consumer"},
	} {
		if got := clientID("consumer", tt[0], tt[1]); got != tt[2] {
			t.Errorf("clientID(%q, %q) = %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestRetryBackoff(t *testing.T) {
	for _, tt := range []struct {
		first, longest time.Duration
		try            int
		want           time.Duration
	}{
		{0, 0, 1, 100 * time.Millisecond},
		{0, 0, 3, 400 * time.Millisecond},
		{0, 0, 1000, 2 * time.Second},
		{time.Second, 0, 5, 2 * time.Second},
		{5 * time.Second, time.Second, 2, 5 * time.Second},
		{time.Millisecond, 3 * time.Millisecond, 0, time.Millisecond},
	} {
		if got := retryBackoff(tt.first, tt.longest)(tt.try); got != tt.want {
			t.Errorf("retryBackoff(%s, %s)(%d) = %s, want %s", tt.first, tt.longest, tt.try, got, tt.want)
		}
	}
}
