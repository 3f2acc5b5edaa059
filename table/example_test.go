package table_test

import (
	"context"
	"fmt"
	"time"

	"heddle/table"
)

// A task makes its table once, and asks it for each message. One that is kept
// in a variable of the package serves all tasks of a container.
func Example() {
	cities := map[string]string{"80331": "München", "20095": "Hamburg"} // a database in truth
	read := func(_ context.Context, codes []string) (map[string]string, error) {
		found := map[string]string{}
		for _, c := range codes {
			if city, ok := cities[c]; ok {
				found[c] = city
			}
		}
		return found, nil
	}
	byCode, err := table.New(read, nil, table.Options{
		Name: "cities", KeysPerSecond: 1000, CacheEntries: 10_000, CacheTTL: time.Hour,
		Retry: table.Retry{Attempts: 5},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	city, ok, err := byCode.Get(context.Background(), "80331")
	fmt.Println(city, ok, err)
	// Output: München true <nil>
}
