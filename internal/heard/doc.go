// Package heard collects what goroutines and processes print, for tests. It waits
// for nothing: a test that waits for a line asks again.
package heard
