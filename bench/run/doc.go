// Command run runs the benchmark: it fills the input topics, runs jobs and
// bare loops in turn, each in a process of its own, counts exactly what came
// out, and prints what it measured. bin/bench.sh builds and calls it; what is
// measured, and how, stands in docs/benchmarks.md.
package main
