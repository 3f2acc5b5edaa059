package main

import (
	"heddle/container"
	"heddle/task"
)

func main() {
	container.Main(container.Tasks{
		"bench.PassThrough": func() task.Task { return &passThrough{} },
		"bench.Count":       func() task.Task { return &count{} },
	})
}
