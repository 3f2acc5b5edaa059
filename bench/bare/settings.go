package main

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// options are the client settings that a system of Heddle has when its
// properties set none (system/kafka): acks=all, idempotent.
func options(brokers ...string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.DisableClientMetrics(),
		kgo.MetadataMinAge(250 * time.Millisecond),

		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.FetchMaxPartitionBytes(1 << 20),
		kgo.FetchMaxBytes(8 << 20),
		kgo.BrokerMaxReadBytes(8<<20 + 1<<20 + 100<<20),

		kgo.ProducerLinger(10 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(1 << 20),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedBytes(32 << 20),
		kgo.MaxBufferedRecords(100_000),
		kgo.ProduceRequestTimeout(30 * time.Second),
	}
}

// reading are the options to read all partitions of a topic from the start.
func reading(topic string, partitions int) kgo.Opt {
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().At(0)
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
}
