// Package console shows a local run: on a terminal what happens at each step, in
// words for someone who sees it for the first time; elsewhere plain log lines.
//
// It is told through package container/events and through the logger that
// Handler gives. What is worth a line is decided in digest.go, without I/O;
// how a line looks, in style.go.
//
// It is not the log of a container on a cluster, which goes through log/slog
// alone, and it takes no input.
package console
