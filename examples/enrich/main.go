// The program of the enrich example.
package main

import (
	"heddle/container"
	"heddle/examples/enrich/orders"
	_ "heddle/storage/engine/pebble" // the users lie on disk
)

func main() {
	container.Main(container.Tasks{"enrich.Orders": orders.New}, container.WithSideInput("enrich.Users", orders.Users))
}
