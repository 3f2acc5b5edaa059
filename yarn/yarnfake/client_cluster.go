package yarnfake

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/internal/securitypb"
	"heddle/yarn/rpc/rpcfake"
)

// usage is what an application holds.
func (c *Cluster) usage(a *app) (yarn.Resource, int32) {
	var used yarn.Resource
	var count int32
	for _, k := range a.containers {
		if k.state != complete {
			used = used.Add(resource(k.resource))
			count++
		}
	}
	return used, count
}

func (c *Cluster) getClusterMetrics(*rpcfake.Call, *pb.GetClusterMetricsRequestProto) (*pb.GetClusterMetricsResponseProto, error) {
	var lost int32
	for _, n := range c.nodes {
		if n.lost {
			lost++
		}
	}
	active := int32(len(c.nodes)) - lost
	return &pb.GetClusterMetricsResponseProto{ClusterMetrics: &pb.YarnClusterMetricsProto{
		NumNodeManagers: proto.Int32(active), NumActiveNms: &active, NumLostNms: &lost,
	}}, nil
}

func (c *Cluster) getClusterNodes(_ *rpcfake.Call, req *pb.GetClusterNodesRequestProto) (*pb.GetClusterNodesResponseProto, error) {
	resp := &pb.GetClusterNodesResponseProto{}
	for _, n := range c.nodes {
		r := n.report()
		if len(req.GetNodeStates()) == 0 || slices.Contains(req.GetNodeStates(), r.GetNodeState()) {
			var count int32
			for _, a := range c.apps {
				for _, k := range a.containers {
					if k.node == n && k.state != complete {
						count++
					}
				}
			}
			r.NumContainers = &count
			resp.NodeReports = append(resp.NodeReports, r)
		}
	}
	return resp, nil
}

func (c *Cluster) getQueueInfo(_ *rpcfake.Call, req *pb.GetQueueInfoRequestProto) (*pb.GetQueueInfoResponseProto, error) {
	if q := req.GetQueueName(); q != "default" && q != "root.default" {
		return nil, yarnError("YarnException", "Unknown queue: %s", q)
	}
	return &pb.GetQueueInfoResponseProto{QueueInfo: &pb.QueueInfoProto{
		QueueName: proto.String("default"), QueuePath: proto.String("root.default"), State: pb.QueueStateProto_Q_RUNNING.Enum(),
		Capacity: proto.Float32(1), MaximumCapacity: proto.Float32(1), CurrentCapacity: proto.Float32(0),
	}}, nil
}

// getDelegationToken gives none, as a ResourceManager without security.
func (c *Cluster) getDelegationToken(*rpcfake.Call, *securitypb.GetDelegationTokenRequestProto) (*securitypb.GetDelegationTokenResponseProto, error) {
	return &securitypb.GetDelegationTokenResponseProto{}, nil
}

func (c *Cluster) signalToContainer(_ *rpcfake.Call, req *pb.SignalContainerRequestProto) (*pb.SignalContainerResponseProto, error) {
	id := containerID(req.GetContainerId())
	if _, err := c.findApp(id.Attempt.Application); err != nil {
		return nil, err
	}
	return &pb.SignalContainerResponseProto{}, c.signal(id, req.GetCommand())
}
