// Package topic holds what `run-job topic` does: it writes the lines of a file
// to a stream, prints the messages of a stream, lists streams and makes them.
//
// It works on any system.System and knows nothing of jobs; which stream is
// meant and how its messages are read comes from the job's configuration.
package topic
