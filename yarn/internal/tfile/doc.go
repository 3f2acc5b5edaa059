// Package tfile reads Hadoop's TFile (org.apache.hadoop.io.file.tfile), the
// format in which YARN keeps aggregated logs unless it is told otherwise: blocks
// of records, of a key and a value of any length, one after the other.
//
// It reads from front to end, which is what logs are read for. It neither writes
// nor seeks keys, and it knows the compressions "none" and "gz".
package tfile
