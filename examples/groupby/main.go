// The program of the groupby example.
package main

import (
	"heddle/container"
	"heddle/examples/groupby/pageviews"
)

func main() {
	container.Main(container.Tasks{
		"groupby.Repartition": pageviews.NewRepartition,
		"groupby.Count":       pageviews.NewCount,
	})
}
