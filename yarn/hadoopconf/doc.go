// Package hadoopconf reads Hadoop's XML configuration as Hadoop itself does:
// the built-in defaults that a client needs, then core-site, yarn-site and
// hdfs-site of the configuration directories, with final values, ${...} and
// included files. Every value knows where it came from.
//
// It writes no configuration and starts nothing; what the values mean is for
// its callers, but for the few that need several keys to answer one question
// (where is the ResourceManager?).
package hadoopconf
