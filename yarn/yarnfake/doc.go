// Package yarnfake is a small YARN for tests, in one process: a ResourceManager
// and NodeManagers that speak Hadoop RPC on real sockets, check tokens, count
// asks as the real scheduler does, bring files to containers, and run their
// commands as processes of this machine, by the same launch script.
//
// It does on command what is hard to bring about in a real cluster: answers that
// get lost, a restart or failover of the ResourceManager between two calls, lost
// nodes, preempted containers, renewed tokens.
//
// It is no scheduler to measure with, knows no queues beyond "default", no
// labels, no Kerberos and no HDFS, and isolates nothing. What a test proves with
// it is to be shown on a real YARN once (bin/grid.sh).
package yarnfake
