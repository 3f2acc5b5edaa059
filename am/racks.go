package am

import (
	"context"
	"sync/atomic"
	"time"

	"heddle/yarn"
	"heddle/yarn/rpc"
)

// racks knows the rack of each node. A request for a host has to name its rack,
// or the scheduler never meets it.
type racks struct {
	find atomic.Pointer[func(host string) string]
}

// of is yarn.MasterOptions.RackOf.
func (r *racks) of(host string) string {
	if f := r.find.Load(); f != nil {
		return (*f)(host)
	}
	return ""
}

// racksWait bounds the question for the nodes; the job does not depend on it.
const racksWait = 5 * time.Second

// learn asks the ResourceManager for the cluster's nodes. Those that come later
// the scheduler tells of by itself. On a Kerberos cluster an application master
// has no ticket to ask with: there nodes count as in the default rack until the
// scheduler names another, and a request for a host in such a rack becomes one
// for any host after its time-out.
func (r *racks) learn(ctx context.Context, env Environment) {
	ctx, cancel := context.WithTimeout(ctx, racksWait)
	defer cancel()
	nodes, err := clusterNodes(ctx, env)
	if err != nil {
		env.Log.Warn("host affinity: the ResourceManager did not tell the racks of the nodes; nodes outside of "+yarn.DefaultRack+" may not be given again", "cause", err)
		return
	}
	find := yarn.Racks(nodes)
	r.find.Store(&find)
}

func clusterNodes(ctx context.Context, env Environment) ([]yarn.NodeReport, error) {
	user := env.Getenv("HADOOP_USER_NAME")
	if user == "" {
		user = env.Getenv("USER")
	}
	o, err := yarn.ClientOptionsFrom(env.HadoopConf, rpc.Options{User: user, Logger: env.Log, CallerContext: "heddle-am"})
	if err != nil {
		return nil, err
	}
	c, err := yarn.NewClient(o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Nodes(ctx)
}
