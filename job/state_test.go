package job

import (
	"strings"
	"testing"

	"heddle/coordinator"
)

// TestStoresOnDiskHaveNoNumberOfEntries: the table has a column of them only if
// one of the stores knows it.
func TestStoresOnDiskHaveNoNumberOfEntries(t *testing.T) {
	disk := coordinator.StoreStatus{Name: "d", Engine: "pebble", Entries: -1, Bytes: 2048, Tasks: []coordinator.StoreTask{{}, {}}}
	memory := coordinator.StoreStatus{Name: "m", Engine: "memory", Entries: 71, Bytes: -1}
	for _, tt := range []struct {
		stores []coordinator.StoreStatus
		want   string
	}{
		{[]coordinator.StoreStatus{disk}, "STORE ENGINE KEYS VALUES FROM TASKS SIZE BEHIND SNAPSHOT RESTORED|d pebble - - - 2 2.0 KiB - - -"},
		{[]coordinator.StoreStatus{disk, memory}, "STORE ENGINE KEYS VALUES FROM TASKS ENTRIES SIZE BEHIND SNAPSHOT RESTORED|d pebble - - - 2 - 2.0 KiB - - -|m memory - - - 0 71 ? - - -"},
	} {
		var b strings.Builder
		if err := PrintStores(&b, tt.stores); err != nil {
			t.Fatal(err)
		}
		var rows []string
		for line := range strings.Lines(b.String()) {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
		if got := strings.Join(rows, "|"); got != tt.want {
			t.Errorf("%s\nwant\n%s", got, tt.want)
		}
	}
}
