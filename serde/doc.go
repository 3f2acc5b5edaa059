// Package serde turns messages, keys and stored values into bytes and back
// (Samza: Serde, SerdeFactory). It holds the formats that every Samza job may
// name: string, integer, long, double, byte, bytebuffer and json, under their
// short names and under Samza's class names.
//
// A serde has no state and may be shared by all tasks. The packages that read
// and write streams and stores ask for one by name with New; which stream uses
// which serde is the business of package config.
package serde
