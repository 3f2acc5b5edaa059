package main

import (
	"fmt"
	"os"

	"heddle/bench/steady"
	"heddle/container"
	_ "heddle/storage/engine/pebble"
	"heddle/task"
)

func main() {
	if err := steady.ProfileUntilReady(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	container.Main(container.Tasks{
		"bench.PassThrough": func() task.Task { return &passThrough{} },
		"bench.Count":       func() task.Task { return &count{} },
		"bench.Recover":     func() task.Task { return &recovering{} },
		"bench.State":       func() task.Task { return &state{} },
	})
}
