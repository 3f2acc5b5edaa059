// Package steady measures a process while it works at an even pace: from the
// moment when a first part of its records is processed to the moment when
// nearly all are. Start, connecting, the last flush and the end are left out.
//
// It is used in the same way by the benchmark's tasks and by the bare loops
// that they are compared with. It is no metrics registry: it knows one number.
package steady
