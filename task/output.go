package task

// Output is one message to be sent (Samza: OutgoingMessageEnvelope).
//
// Which partition it goes to follows Samza's low-level API: PartitionKey if
// set, else Key, both before serialisation, by Java's hashCode for strings,
// integers and booleans; []byte and all other keys by Kafka's murmur2 of the
// serialised key; without any key Kafka's default (sticky) choice. With
// AtPartition the caller decides.
type Output struct {
	// Stream is "system.stream", split at the first dot, like an entry of
	// task.inputs.
	Stream string
	// Key and Value are encoded by the stream's serdes; nil stays nil.
	Key, Value any
	// RawKey and RawValue, where set, are sent as they are instead of Key and
	// Value, and no serde is asked.
	RawKey, RawValue []byte
	// PartitionKey overrides Key for the choice of the partition.
	PartitionKey any
	// AtPartition is 1 + the partition to send to; 0 leaves the choice to the
	// keys.
	AtPartition int32
	// Timestamp is in milliseconds since the Unix epoch; 0 means now.
	Timestamp int64
	Headers   []Header
}
