package memory_test

import (
	"testing"

	"heddle/system"
	"heddle/system/memory"
	"heddle/system/systemtest"
)

func TestConformance(t *testing.T) {
	systemtest.Run(t, func(*testing.T) system.System { return memory.New("sys", memory.NewBroker()) })
}
