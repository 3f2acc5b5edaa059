// Package endtoend holds the tests of the whole: the real commands, run as a user runs them, on a
// real Kafka, HDFS and YARN (package internal/grid), and counted exactly. Every test of delivery
// logs how many messages went in, came out, were lost and came twice.
//
// They carry the build tag grid:
//
//	eval "$(bin/grid.sh env)"
//	go test -tags grid -p 1 -count 1 ./internal/endtoend
//
// bin/measure.sh runs its measurements: how long a submit and a recovery take, and how large the
// processes and the package are.
//
// HEDDLE_SOAK=1 adds those that take longer than continuous integration has time for; CONTRIBUTING.md
// lists them. Package tasks is the program of tasks that no example has.
//
// It tests nothing that a test of one package can show, and holds no code of the product.
package endtoend
