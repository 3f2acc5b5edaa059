// Package security holds Hadoop's tokens: reading and writing the credentials
// file that YARN gives every container, choosing the token for a connection,
// and the DIGEST-MD5 mechanism with which a token proves itself on a Hadoop
// RPC connection.
//
// It is not a connection (package rpc is) and it issues no tokens: identifiers
// are opaque bytes signed by whoever issued them, decoded here only to learn
// what a client needs to know (which container, until when), never encoded
// again.
//
// Nothing in this package prints a password or a secret: String and LogValue of
// every type that holds one leave it out.
package security
