package storage

import "unsafe"

// bytesOf is s as bytes that nobody may change. It is never nil.
func bytesOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// textOf is b as a string, for as long as nobody changes b.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
