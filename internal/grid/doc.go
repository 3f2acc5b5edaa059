// Package grid lets integration tests use the real Kafka, HDFS and YARN that bin/grid.sh runs.
//
// A test says what it needs and gets its addresses, or is skipped when there is no grid (with
// CI=true it fails):
//
//	g := grid.Use(t)                       // Kafka, HDFS and YARN
//	in := g.Topic(t, "clicks", 4)          // a topic of its own, deleted afterwards
//	g.ProduceLines(t, in, lines)
//	...
//	got := grid.Values(g.ReadAll(t, out))
//	t.Log(grid.Tally(lines, got))          // in=1000 out=1000 lost=0 twice=0 unknown=0
//
// It can also stop, kill and restart the grid's daemons, and find and kill the processes of YARN's
// containers. Tests that use it carry the build tag grid, so that `go test ./...` needs no Java.
//
// It is for tests only, starts no grid by itself and is no client library: what it asks of Kafka
// and YARN it asks in the plainest way, so that a fault in Heddle's own clients cannot hide in it.
package grid
