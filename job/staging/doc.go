// Package staging puts a job's files (its package, its secret) where the nodes
// of a cluster can read them: on the cluster's default file system, HDFS or a
// folder that all nodes share. It also reads packages that lie elsewhere, so
// that they can be checked before a submit.
//
// It knows nothing of jobs: names, places and contents come from package job.
package staging
