package checkpoint

import "context"

// None is a Log that keeps nothing: every start begins anew.
type None struct{}

// Start does nothing.
func (None) Start(context.Context) error { return nil }

// Last knows of no checkpoint.
func (None) Last(string) (Checkpoint, bool) { return Checkpoint{}, false }

// Write does nothing.
func (None) Write(context.Context, string, Checkpoint) error { return nil }

// Close does nothing.
func (None) Close() error { return nil }
