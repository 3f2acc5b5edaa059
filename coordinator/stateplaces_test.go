package coordinator

import "testing"

func TestCompareTasks(t *testing.T) {
	if CompareTasks("Partition 9", "Partition 10") >= 0 || CompareTasks("a 2", "b 1") >= 0 {
		t.Error("names with numbers are not in order")
	}
	if CompareTasks("Partition 1", "Partition 1") != 0 || CompareTasks("Partition 01", "Partition 1") == 0 {
		t.Error("equal are those that are written alike")
	}
}
