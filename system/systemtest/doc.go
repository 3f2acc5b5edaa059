// Package systemtest holds what every implementation of system.System must do,
// as tests: each implementation's own tests call Run.
//
// It tests behaviour that package system promises, not speed, not faults of a
// particular system, and nothing of a configuration.
package systemtest
