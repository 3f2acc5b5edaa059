//go:build grid

package snapshot

import (
	"testing"

	"heddle/internal/grid"
)

// TestGridChangelogMadeAnew is TestChangelogMadeAnew on a real Kafka.
func TestGridChangelogMadeAnew(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := grid.Name("made-anew")
	t.Cleanup(func() { g.DeleteTopics(t, topic) })
	changelogMadeAnew(t, newCounting(t, topic, map[string]string{
		"systems.kafka.samza.factory": "kafka", "systems.kafka.producer.bootstrap.servers": g.KafkaAddress,
	}))
}
