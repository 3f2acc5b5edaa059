// The program of the groupby example.
package main

import (
	"heddle/container"
	"heddle/examples/groupby/pageviews"
	_ "heddle/storage/engine/pebble" // the totals lie on disk
)

func main() {
	container.Main(container.Tasks{
		"groupby.Repartition": pageviews.NewRepartition,
		"groupby.Count":       pageviews.NewCount,
	})
}
