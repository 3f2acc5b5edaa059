package kafka

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
)

// A side is the half of a system's settings that a client follows.
type side string

const (
	consumerSide side = "consumer"
	producerSide side = "producer"
)

func (s side) other() side {
	if s == consumerSide {
		return producerSide
	}
	return consumerSide
}

// embeddedAddress as bootstrap.servers, or none at all, asks for the Kafka in
// the process.
const embeddedAddress = "embedded"

// bootstrap is where a system's addresses were found.
type bootstrap struct {
	embedded bool
	servers  []string
	key      string
	origin   config.Origin
}

// bootstrapOf finds the addresses for a side: its own, else the other's, else
// embedded.
func bootstrapOf(c config.Config, system string, s side) (bootstrap, error) {
	for _, s := range []side{s, s.other()} {
		key := settingKey(system, s, "bootstrap.servers")
		value, ok := c.Get(key)
		if !ok {
			continue
		}
		b := bootstrap{key: key, origin: c.Origin(key)}
		for e := range strings.SplitSeq(value, ",") {
			e = strings.TrimSpace(e)
			switch {
			case e == "":
			case e == embeddedAddress:
				b.embedded = true
			case !hostPort.MatchString(e):
				return b, &config.Error{Key: key, Origin: b.origin,
					Problem: fmt.Sprintf("%q is not an address of the form host:port", e),
					Hint:    "write for example localhost:9092, or several with commas, or embedded"}
			default:
				b.servers = append(b.servers, e)
			}
		}
		switch {
		case b.embedded && len(b.servers) > 0:
			return b, &config.Error{Key: key, Origin: b.origin, Problem: "embedded cannot stand beside other addresses"}
		case b.embedded || len(b.servers) > 0:
			return b, nil
		}
	}
	return bootstrap{embedded: true, key: settingKey(system, producerSide, "bootstrap.servers"), origin: config.Origin{Source: config.OriginDefault}}, nil
}

// hostPort is host:port, with brackets around an IPv6 address.
var hostPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.%a-z]+\]|[^\s:/]+):[0-9]{1,5}$`)

func settingKey(system string, s side, name string) string {
	return "systems." + system + "." + string(s) + "." + name
}

// settings are a side's keys, translated.
type settings struct {
	opts []kgo.Opt
	// isolation is 1 for read_committed.
	isolation int8
	// A fetch brings at least fetchMinBytes, or what there is after fetchWait; at
	// most fetchMaxBytes, and maxPartitionBytes of each partition. One batch
	// comes even if it is larger.
	fetchMinBytes, fetchMaxBytes, maxPartitionBytes int32
	fetchWait                                       time.Duration
	// noCRC says that checksums are not looked at.
	noCRC bool
	// maxRecordBytes bounds a record's keys, values and headers with their
	// framing.
	maxRecordBytes int32
	// rackID is client.rack.
	rackID string
	// stickyBytes is after how many bytes keyless records go to another
	// partition.
	stickyBytes int
	// acksZero says that nothing is acknowledged.
	acksZero bool
	// compression, buffer (bytes not acknowledged) and the time-outs of a record
	// and of a request are for transactional writers, which write by themselves.
	compression                     kgo.CompressionCodec
	buffer                          int64
	deliveryTimeout, produceTimeout time.Duration
	// recordTimeout is for how long a record is tried; 0: for ever.
	recordTimeout time.Duration
	// warnings are remarks on settings that work in another way than asked for.
	warnings []string
}

// Kafka's settings that are read elsewhere in this package.
var readElsewhere = []string{
	"bootstrap.servers", "client.id", "auto.offset.reset",
}

// Kafka's settings that have no meaning here; they are named in one warning.
var withoutMeaning = []string{
	"allow.auto.create.topics", "auto.commit.enable", "auto.commit.interval.ms", "auto.include.jmx.reporter",
	"client.dns.lookup", "default.api.timeout.ms", "enable.auto.commit", "enable.metrics.push", "exclude.internal.topics",
	"group.id", "group.instance.id", "group.protocol", "group.remote.assignor", "heartbeat.interval.ms",
	"interceptor.classes", "max.block.ms", "max.in.flight.requests.per.connection",
	"max.poll.interval.ms", "max.poll.records", "metadata.broker.list", "metadata.max.idle.ms", "metadata.recovery.strategy",
	"metadata.recovery.rebootstrap.trigger.ms", "metric.reporters", "metrics.num.samples", "metrics.recording.level",
	"metrics.sample.window.ms", "partition.assignment.strategy", "partitioner.adaptive.partitioning.enable",
	"partitioner.availability.timeout.ms", "partitioner.class", "partitioner.ignore.keys", "producer.type",
	"receive.buffer.bytes", "reconnect.backoff.max.ms", "reconnect.backoff.ms", "retries", "security.providers",
	"send.buffer.bytes", "session.timeout.ms", "transaction.timeout.ms", "transactional.id",
	"config.providers",
}

// settingsOf translates one side of a system's settings. The error is a
// *config.Error.
func settingsOf(c config.Config, system string, s side) (settings, error) {
	r := &settingReader{c: c, system: system, side: s, seen: map[string]bool{}}
	out := settings{}
	add := func(o ...kgo.Opt) { out.opts = append(out.opts, o...) }

	if v, ok := r.millis("metadata.max.age.ms", time.Second); ok {
		add(kgo.MetadataMaxAge(v), kgo.MetadataMinAge(min(v, 2500*time.Millisecond)))
	} else {
		add(kgo.MetadataMinAge(250 * time.Millisecond))
	}
	if v, ok := r.millis("connections.max.idle.ms", time.Second); ok {
		add(kgo.ConnIdleTimeout(v))
	}
	if v, ok := r.millis("socket.connection.setup.timeout.ms", time.Millisecond); ok {
		add(kgo.DialTimeout(v))
	}
	r.text("socket.connection.setup.timeout.max.ms")
	backoff, _ := r.millis("retry.backoff.ms", 0)
	longest, _ := r.millis("retry.backoff.max.ms", 0)
	add(kgo.RetryBackoffFn(retryBackoff(backoff, longest)))
	out.rackID, _ = r.text("client.rack")

	switch s {
	case consumerSide:
		r.consumer(&out, add)
	case producerSide:
		r.producer(&out, add)
	}
	if r.err != nil {
		return out, r.err
	}
	if w := r.leftOver(); w != "" {
		out.warnings = append(out.warnings, w)
	}
	return out, nil
}

func (r *settingReader) consumer(out *settings, add func(...kgo.Opt)) {
	out.fetchMinBytes = 1
	if v, ok := r.number("fetch.min.bytes", 0, math.MaxInt32); ok {
		out.fetchMinBytes = int32(max(v, 1))
	}
	out.fetchWait = 500 * time.Millisecond
	if v, ok := r.millis("fetch.max.wait.ms", 0); ok {
		out.fetchWait = min(v, time.Minute)
	}
	out.maxPartitionBytes = 1 << 20
	// The newer of the two spellings wins.
	if v, ok := r.number("fetch.message.max.bytes", 1, math.MaxInt32); ok {
		out.maxPartitionBytes = int32(v)
	}
	if v, ok := r.number("max.partition.fetch.bytes", 1, math.MaxInt32); ok {
		out.maxPartitionBytes = int32(v)
	}
	// Kafka's default is 50 MiB, which with many partitions is memory that two
	// answers take, and no faster.
	out.fetchMaxBytes = 8 << 20
	if v, ok := r.number("fetch.max.bytes", 1, math.MaxInt32); ok {
		out.fetchMaxBytes = int32(v)
	}
	out.maxPartitionBytes = min(out.maxPartitionBytes, out.fetchMaxBytes)
	// A response may be larger than asked for by one batch, which must be let in.
	read := min(int64(out.fetchMaxBytes)+int64(out.maxPartitionBytes)+(100<<20), 1<<30)
	add(kgo.BrokerMaxReadBytes(int32(read)))

	r.oneOf("isolation.level", "read_uncommitted", "read_committed")
	if config.ReadsCommitted(r.c, r.system) {
		out.isolation = 1
	}
	if v, ok := r.oneOf("check.crcs", "true", "false"); ok && v == "false" {
		out.noCRC = true
	}
	if v, ok := r.millis("request.timeout.ms", time.Millisecond); ok {
		add(kgo.RequestTimeoutOverhead(clamp(v, 100*time.Millisecond, 15*time.Minute)))
	}
}

func (r *settingReader) producer(out *settings, add func(...kgo.Opt)) {
	acks, ok := r.oneOf("acks", "all", "-1", "1", "0")
	idempotence, _ := r.oneOf("enable.idempotence", "true", "false")
	switch {
	case !ok || acks == "all" || acks == "-1":
		if idempotence == "false" {
			add(kgo.DisableIdempotentWrite())
		}
	case acks == "1":
		add(kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		out.warnings = append(out.warnings, settingKey(r.system, r.side, "acks")+"=1: what a broker acknowledged is lost if it fails before others have it; the default, all, loses nothing")
	default:
		out.acksZero = true
		add(kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
		out.warnings = append(out.warnings, settingKey(r.system, r.side, "acks")+"=0: what is lost on the way is not noticed, and checkpoints pass it; the default, all, loses nothing")
	}

	linger := 10 * time.Millisecond // Samza's default; Kafka's was 0, later 5.
	if v, ok := r.millis("linger.ms", 0); ok {
		linger = min(v, time.Minute)
	}
	add(kgo.ProducerLinger(linger))

	out.stickyBytes = 64 << 10
	if v, ok := r.number("batch.size", 0, math.MaxInt32); ok {
		out.stickyBytes = int(max(v, 1))
	}
	out.maxRecordBytes = 1 << 20
	if v, ok := r.number("max.request.size", 1, math.MaxInt32); ok {
		out.maxRecordBytes = int32(min(max(v, 1024), 1<<29))
	}
	add(kgo.ProducerBatchMaxBytes(out.maxRecordBytes), kgo.BrokerMaxWriteBytes(max(100<<20, 2*out.maxRecordBytes)))

	out.buffer = 32 << 20
	if v, ok := r.number("buffer.memory", 1, math.MaxInt64); ok {
		out.buffer = v
	}
	out.buffer = max(out.buffer, int64(out.maxRecordBytes))
	add(kgo.MaxBufferedBytes(int(out.buffer)), kgo.MaxBufferedRecords(100_000))

	codec, ok := r.oneOf("compression.type", "none", "uncompressed", "gzip", "snappy", "lz4", "zstd")
	gzip, okGzip := r.number("compression.gzip.level", -1, 9)
	lz4, okLZ4 := r.number("compression.lz4.level", 1, 17)
	zstd, okZstd := r.number("compression.zstd.level", -131072, 22)
	compression := kgo.NoCompression()
	switch {
	case !ok:
	case codec == "gzip":
		compression = leveled(kgo.GzipCompression(), gzip, okGzip)
	case codec == "snappy":
		compression = kgo.SnappyCompression()
	case codec == "lz4":
		compression = leveled(kgo.Lz4Compression(), lz4, okLZ4)
	case codec == "zstd":
		compression = leveled(kgo.ZstdCompression(), zstd, okZstd)
	}
	add(kgo.ProducerBatchCompression(compression))
	out.compression = compression

	out.deliveryTimeout = 2 * time.Minute // Kafka's default
	if v, ok := r.millis("delivery.timeout.ms", time.Second); ok {
		add(kgo.RecordDeliveryTimeout(v + linger))
		out.deliveryTimeout, out.recordTimeout = v, v
	}
	out.produceTimeout = 30 * time.Second
	if v, ok := r.millis("request.timeout.ms", 100*time.Millisecond); ok {
		out.produceTimeout = min(v, 15*time.Minute)
	}
	add(kgo.ProduceRequestTimeout(out.produceTimeout))
}

func leveled(c kgo.CompressionCodec, level int64, ok bool) kgo.CompressionCodec {
	if !ok {
		return c
	}
	return c.WithLevel(int(level))
}

func clamp(d, lowest, highest time.Duration) time.Duration {
	return min(max(d, lowest), highest)
}

// retryBackoff doubles from first (100 ms when 0) up to longest (2 s when 0):
// shorter than the client's own, because a container waits for it.
func retryBackoff(first, longest time.Duration) func(int) time.Duration {
	if first <= 0 {
		first = 100 * time.Millisecond
	}
	if longest <= 0 {
		longest = 2 * time.Second
	}
	longest = max(first, longest)
	return func(tries int) time.Duration {
		d := first
		for i := 1; i < tries && d < longest; i++ {
			d *= 2
		}
		return min(d, longest)
	}
}

// clientID is Samza's, "kafka_consumer-<job.name>-<job.id>" with all but word
// characters replaced by "_" in the names.
func clientID(kind, jobName, jobID string) string {
	if jobName == "" {
		return "heddle-" + kind
	}
	if jobID == "" {
		jobID = "1"
	}
	return "kafka_" + kind + "-" + notWord.ReplaceAllString(jobName, "_") + "-" + notWord.ReplaceAllString(jobID, "_")
}

var notWord = regexp.MustCompile(`\W`)
