// Package plan decides, before anything is changed, what a submit has to do and
// whether it can succeed: which topics have to be made, which are missing,
// whether the task and the sizes are right.
//
// The decisions are functions of facts that Gather reads from the systems; they
// change nothing. What is decided is carried out by package job.
package plan
