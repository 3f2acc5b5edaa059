// Package pb holds the messages of YARN's protocols (Hadoop 3.4.1), generated
// from the .proto files beside it by yarn/generate.sh. Package yarn turns them
// into Go types; nothing outside yarn/ sees them.
package pb
