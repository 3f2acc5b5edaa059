// Command run-container is the stock program of tasks: it holds those of the
// examples, and runs as a container, runs a whole job in its process, or lists
// its tasks. A job with tasks of its own has a program of its own, whose main
// is container.Main too.
package main

import (
	"heddle/container"
	"heddle/examples/enrich/orders"
	"heddle/examples/groupby/pageviews"
	"heddle/examples/latency/countlatency"
	"heddle/examples/topn/products"
	_ "heddle/storage/engine/memory" // the stock program holds all engines
	_ "heddle/storage/engine/pebble"
)

func main() {
	container.Main(container.Tasks{
		"latency.CountLatency": countlatency.New,
		"samza.CountLatancy":   countlatency.New,
		"groupby.Repartition":  pageviews.NewRepartition,
		"groupby.Count":        pageviews.NewCount,
		"topn.TopProducts":     products.NewTop,
		"enrich.Orders":        orders.New,
	}, container.WithSideInput("enrich.Users", orders.Users))
}
