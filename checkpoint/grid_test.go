//go:build grid

package checkpoint

import (
	"testing"

	"heddle/internal/grid"
)

// TestGridTopicIDs: a real Kafka keeps the ids with the checkpoint.
func TestGridTopicIDs(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := grid.Name("checkpoints")
	t.Cleanup(func() { g.DeleteTopics(t, topic) })
	topicIDsInKafka(t, topic, map[string]string{
		"systems.kafka.samza.factory": "kafka", "systems.kafka.producer.bootstrap.servers": g.KafkaAddress,
	})
}
