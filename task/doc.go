// Package task holds what a user of Heddle writes against: the interfaces of a
// task, the message it is given, and the context through which it sends,
// commits, keeps state and measures.
//
// It is an interface package: nothing here does I/O, and it imports nothing
// else of Heddle. Stores, metrics and serdes implement the interfaces found
// here; the container (package container) calls the tasks.
//
// The names are those of Samza's low-level API where the idea is the same:
// StreamTask is Task, InitableTask is Initializer, WindowableTask is Windower,
// ClosableTask is Closer, IncomingMessageEnvelope is Message,
// OutgoingMessageEnvelope is Output, MessageCollector and TaskCoordinator are
// methods of Context.
package task
