// Package scaffold makes the files of a new job: what `run-job init` writes.
//
// It is not a generator for existing jobs: it never touches a file that is
// there.
package scaffold
