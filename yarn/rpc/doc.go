// Package rpc is a client of Hadoop RPC version 9: framing, headers, SASL
// negotiation (SIMPLE and TOKEN, with integrity and privacy), many calls at a
// time on one connection, pings and timeouts.
//
// It knows no protocol's messages: a caller names the protocol and the method
// and gives the protobuf messages. It does not repeat calls either; Classify
// and Policy, in retry.go, say in one place what an error means and how long to
// wait, and the caller, who knows whether a call may run twice, decides.
package rpc
