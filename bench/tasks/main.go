package main

import (
	"heddle/container"
	_ "heddle/storage/engine/pebble"
	"heddle/task"
)

func main() {
	container.Main(container.Tasks{
		"bench.PassThrough": func() task.Task { return &passThrough{} },
		"bench.Count":       func() task.Task { return &count{} },
		"bench.Recover":     func() task.Task { return &recovering{} },
		"bench.State":       func() task.Task { return &state{} },
	})
}
