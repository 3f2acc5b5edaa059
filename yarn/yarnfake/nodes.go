package yarnfake

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

// node is a NodeManager.
type node struct {
	id         yarn.NodeID
	http       string
	rack       string
	capability yarn.Resource
	used       yarn.Resource
	lost       bool
	dir        string
	server     *rpcfake.Server
	web        *http.Server
}

func (c *Cluster) startNode(i int) (*node, error) {
	host := listenHost(i)
	n := &node{rack: yarn.DefaultRack, capability: c.o.NodeResource, dir: filepath.Join(c.o.Dir, fmt.Sprintf("nm%d", i+1))}
	if i < len(c.o.Racks) && c.o.Racks[i] != "" {
		n.rack = c.o.Racks[i]
	}
	for _, d := range []string{"local", "logs"} {
		if err := os.MkdirAll(filepath.Join(n.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	var err error
	// The token's check comes with a connection, when the node has its id.
	if n.server, err = rpcfake.New(rpcfake.Config{Addr: host + ":0", Password: c.nodePassword(n)}); err != nil {
		return nil, err
	}
	if n.id, err = yarn.ParseNodeID(n.server.Addr()); err != nil {
		n.server.Close()
		return nil, err
	}
	if n.http, n.web, err = c.serveNodeWeb(n, host); err != nil {
		n.server.Close()
		return nil, err
	}
	method(c, n.server, nodeProtocol, "startContainers", nil, func(call *rpcfake.Call, req *pb.StartContainersRequestProto) (*pb.StartContainersResponseProto, error) {
		return c.startContainers(n, call, req)
	})
	method(c, n.server, nodeProtocol, "getContainerStatuses", nil, func(_ *rpcfake.Call, req *pb.GetContainerStatusesRequestProto) (*pb.GetContainerStatusesResponseProto, error) {
		return c.containerStatuses(n, req), nil
	})
	method(c, n.server, nodeProtocol, "stopContainers", nil, func(_ *rpcfake.Call, req *pb.StopContainersRequestProto) (*pb.StopContainersResponseProto, error) {
		return c.stopContainers(n, req), nil
	})
	method(c, n.server, nodeProtocol, "signalToContainer", nil, func(_ *rpcfake.Call, req *pb.SignalContainerRequestProto) (*pb.SignalContainerResponseProto, error) {
		return &pb.SignalContainerResponseProto{}, c.signal(containerID(req.GetContainerId()), req.GetCommand())
	})
	return n, nil
}

func (n *node) shut() {
	n.server.Close()
	_ = n.web.Close()
}

func (n *node) workDir(k *container) string {
	return filepath.Join(n.dir, "local", "usercache", k.app.user, "appcache", k.app.id.String(), k.id.String())
}

func (n *node) logDir(k *container) string {
	return filepath.Join(n.dir, "logs", k.app.id.String(), k.id.String())
}

func (n *node) report() *pb.NodeReportProto {
	state := pb.NodeStateProto_NS_RUNNING
	if n.lost {
		state = pb.NodeStateProto_NS_LOST
	}
	return &pb.NodeReportProto{
		NodeId: nodeIDProto(n.id), HttpAddress: &n.http, RackName: &n.rack, Used: resourceProto(n.used),
		Capability: resourceProto(n.capability), NodeState: &state, LastHealthReportTime: millis(time.Now()),
		HealthReport: proto.String(""),
	}
}

// Nodes gives the ids of the nodes, in order.
func (c *Cluster) Nodes() []yarn.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []yarn.NodeID
	for _, n := range c.nodes {
		out = append(out, n.id)
	}
	return out
}

// hosted is the container as the node knows it.
func (c *Cluster) hosted(n *node, id yarn.ContainerID) (*container, *pb.ContainerExceptionMapProto) {
	k := c.findContainer(id)
	if k == nil || k.node != n || k.state == allocated {
		return nil, refusal(id, "Container %s is not handled by this NodeManager", id)
	}
	return k, nil
}

func refusal(id yarn.ContainerID, format string, args ...any) *pb.ContainerExceptionMapProto {
	return &pb.ContainerExceptionMapProto{
		ContainerId: containerIDProto(id),
		Exception: &pb.SerializedExceptionProto{
			Message:   proto.String(fmt.Sprintf(format, args...)),
			ClassName: proto.String("org.apache.hadoop.yarn.exceptions.YarnException"),
		},
	}
}
