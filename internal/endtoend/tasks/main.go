// Command tasks is the program of the tasks that the tests of the whole need and no
// example has. They are tasks as any user would write them.
package main

import (
	"heddle/container"
	_ "heddle/storage/engine/pebble"
)

func main() {
	container.Main(container.Tasks{"test.Keep": newKeep, "test.LookUp": newLookUp})
}
