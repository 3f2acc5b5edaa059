package task

// SideInput turns one message of a side input into entries of the store that it
// fills (Samza: SideInputsProcessor): it puts and deletes what the message says.
// It may read the store, and sees what it wrote. What it writes and the place in
// the side input become visible, and durable, together.
//
// It runs beside the tasks, in one goroutine for one store; several stores may
// call it at the same time, so it keeps nothing between calls. A message may come
// again after a restart, so the result must not depend on how often. An error
// stops the container; one that comes from decoding m is passed over when
// task.drop.deserialization.errors is true.
type SideInput func(m *Message, s Store) error
