package table_test

import (
	"context"
	"errors"
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

// A service that fails now and then: what fails is tried again, keys that are
// asked for together go in one call, and what is known is not asked for again.
func Example_retries() {
	busy := errors.New("503 Service Unavailable")
	calls := 0
	read := func(_ context.Context, users []string) (map[string]int, error) {
		if calls++; calls == 1 {
			return nil, busy
		}
		fmt.Println("asked for", len(users), "users")
		ages := map[string]int{}
		for _, u := range users {
			if u != "nobody" {
				ages[u] = 10 * len(u)
			}
		}
		return ages, nil
	}
	ages, err := table.New(read, nil, table.Options{
		Name: "ages", CacheEntries: 100,
		Retry: table.Retry{Attempts: 3, First: time.Millisecond, If: func(err error) bool { return errors.Is(err, busy) }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		found, err := ages.GetAll(context.Background(), "ada", "nobody", "grace")
		fmt.Println(found, err)
	}
	c := ages.Counts()
	fmt.Println(c.Calls, "calls,", c.Retries, "of them again;", c.Hits, "keys from the cache")
	// Output:
	// asked for 3 users
	// map[ada:30 grace:50] <nil>
	// map[ada:30 grace:50] <nil>
	// 2 calls, 1 of them again; 3 keys from the cache
}
