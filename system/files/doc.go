// Package files gives the file systems that Heddle keeps files on for more than
// one process: HDFS, and the folders of this machine (for a cluster: one that all
// nodes share). A job's package and its secret lie there, and the snapshots of
// its stores.
//
// A file is there whole or not at all, and its folders belong to the user. The
// package knows nothing of what is in the files, and it is no system in the sense
// of package system: nobody reads messages from it.
package files
