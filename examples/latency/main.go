// The program of the latency example.
package main

import (
	"heddle/container"
	"heddle/examples/latency/countlatency"
)

func main() {
	container.Main(container.Tasks{
		"latency.CountLatency": countlatency.New,
		"samza.CountLatancy":   countlatency.New,
	})
}
