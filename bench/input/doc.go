// Package input says what the benchmark's records look like: each is made from
// its number alone, so that what comes out can be checked without keeping what
// went in. It does not talk to Kafka.
package input
