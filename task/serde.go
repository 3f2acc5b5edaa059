package task

// Serde turns values into bytes and back (Samza: Serde). Implementations are in
// package serde; they hold no state and may be used by many tasks at once.
type Serde interface {
	// Append encodes v behind dst and returns the longer slice. A nil v is the
	// caller's business (it stays a nil key or value). An error names the type
	// it was given and those it takes.
	Append(dst []byte, v any) ([]byte, error)
	// Decode gives the value that b stands for; it does not keep b unless the
	// type is []byte.
	Decode(b []byte) (any, error)
	// DecodeInto reads b into v, a pointer.
	DecodeInto(b []byte, v any) error
}
