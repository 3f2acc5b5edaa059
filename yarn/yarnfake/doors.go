package yarnfake

import (
	"context"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc"
	"heddle/yarn/rpc/rpcfake"
)

const (
	clientProtocol = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"
	masterProtocol = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"
	nodeProtocol   = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB"
)

// door is the servers of one ResourceManager. All doors lead to the same books;
// those that are not active refuse.
type door struct {
	client, scheduler         *rpcfake.Server
	clientAddr, schedulerAddr string
}

// open starts the servers of a door, where they were before if they were.
func (c *Cluster) open(d *door) (err error) {
	if d.client, err = rpcfake.New(rpcfake.Config{Addr: d.clientAddr, Simple: true}); err != nil {
		return err
	}
	d.clientAddr = d.client.Addr()
	if d.scheduler, err = rpcfake.New(rpcfake.Config{Addr: d.schedulerAddr, Password: c.masterPassword}); err != nil {
		d.client.Close()
		return err
	}
	d.schedulerAddr = d.scheduler.Addr()
	guard := func() error {
		if c.doors[c.active] != d {
			return &rpc.RemoteError{
				Class: "org.apache.hadoop.ipc.StandbyException", Message: "ResourceManager is not active", Code: rpc.ErrorApplication,
			}
		}
		return nil
	}
	c.serveClients(d.client, guard)
	c.serveMasters(d.scheduler, guard)
	return nil
}

// servers gives those of all doors. They wait for the books when they close, so
// that is to be done while the books are open.
func (c *Cluster) servers() []*rpcfake.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*rpcfake.Server
	for _, d := range c.doors {
		for _, s := range []*rpcfake.Server{d.client, d.scheduler} {
			if s != nil {
				out = append(out, s)
			}
		}
	}
	return out
}

type message[T any] interface {
	*T
	proto.Message
}

// method is rpcfake.Register with the books locked, the guard asked, and the
// faults of the test brought about.
func method[Q any, PQ message[Q], R proto.Message](c *Cluster, s *rpcfake.Server, protocol, name string, guard func() error,
	f func(call *rpcfake.Call, req PQ) (R, error)) {
	rpcfake.Register(s, protocol, name, func(ctx context.Context, call *rpcfake.Call, req PQ) (answer R, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[name]++
		if guard != nil {
			if err := guard(); err != nil {
				return answer, err
			}
		}
		fault := c.takeFault(name)
		if fault != nil {
			switch {
			case fault.Err != nil:
				return answer, fault.Err
			case fault.LoseRequest:
				call.Disconnect()
				return answer, context.Canceled
			}
		}
		answer, err = f(call, req)
		if fault != nil && fault.LoseAnswer {
			call.Disconnect()
		}
		if err != nil {
			return answer, err
		}
		// The answer is encoded after the books are open again, and points into them.
		return proto.Clone(answer).(R), nil
	})
}
