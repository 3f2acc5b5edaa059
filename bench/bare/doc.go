// Command bare is what the benchmark compares Heddle with: loops over
// franz-go's client that do the same work with the same client settings and
// nothing else. They keep no checkpoints, cannot be restarted, scaled or
// watched: they are the limit, not an alternative. Nothing of Heddle is in
// them but the benchmark's own packages.
package main
