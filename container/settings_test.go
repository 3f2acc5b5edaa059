package container

import (
	"testing"

	"heddle/config"
	"heddle/task"
)

// TestChosenSerde: an error of decoding names the key that chose the serde.
func TestChosenSerde(t *testing.T) {
	c := config.New(map[string]string{
		"systems.k.samza.factory": "kafka", "systems.k.samza.msg.serde": "integer",
		"systems.k.streams.in.samza.key.serde": "string",
	})
	s := settings{config: c}
	in := &task.Source{System: "k", Stream: "in"}
	for part, want := range map[string]string{
		"value": "; the serde is chosen by systems.k.samza.msg.serde=integer",
		"key":   "; the serde is chosen by systems.k.streams.in.samza.key.serde=string",
	} {
		if got := s.chosen(&task.DecodeError{Source: in, Part: part}); got != want {
			t.Errorf("%s: %q; want %q", part, got, want)
		}
	}
	none := settings{config: config.New(map[string]string{"systems.k.samza.factory": "kafka"})}
	if got := none.chosen(&task.DecodeError{Source: in, Part: "value"}); got != "" {
		t.Errorf("without a serde: %q", got)
	}
}

func TestFetchAhead(t *testing.T) {
	for memory, want := range map[int]int{1: 4 << 20, 256: 4 << 20, 1024: 16 << 20, 4096: 64 << 20, 100_000: 64 << 20} {
		if got := fetchAhead(memory); got != want {
			t.Errorf("%d MiB: %d, want %d", memory, got, want)
		}
	}
}
