package plan

import (
	"errors"
	"strings"
	"testing"

	"heddle/config"
)

func TestEngines(t *testing.T) {
	c := config.New(map[string]string{
		"job.name": "j", "task.class": "x", "task.inputs": "kafka.in", "systems.kafka.samza.factory": "kafka",
		"stores.small.factory": "memory", "stores.large.factory": "org.apache.samza.storage.kv.RocksDbKeyValueStorageEngineFactory",
	})
	for _, held := range [][]string{nil, {"memory", "pebble"}} {
		if err := Engines(c, held); err != nil {
			t.Errorf("held %v: %v", held, err)
		}
	}
	err := Engines(c, []string{"memory"})
	var wrong *config.Error
	if !errors.As(err, &wrong) || wrong.Key != "stores.large.factory" {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{`"pebble"`, `import _ "heddle/storage/engine/pebble"`, "stores.large.factory"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "small") {
		t.Errorf("%v", err)
	}
}
