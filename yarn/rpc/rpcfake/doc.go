// Package rpcfake is a Hadoop RPC server for tests: it speaks version 9 on a
// real socket, SIMPLE and TOKEN, with every quality of protection, and answers
// with what handlers return. It refuses what Hadoop's own server refuses, with
// the same exceptions.
//
// It has no queues, no authorization, and no Kerberos.
package rpcfake
