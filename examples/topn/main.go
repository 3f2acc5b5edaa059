// The program of the topn example.
package main

import (
	"heddle/container"
	"heddle/examples/topn/products"
	_ "heddle/storage/engine/pebble" // the store lies on disk
)

func main() {
	container.Main(container.Tasks{"topn.TopProducts": products.NewTop})
}
