package yarnfake

import (
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

// serveMasters has the methods of ApplicationMasterProtocol.
func (c *Cluster) serveMasters(s *rpcfake.Server, guard func() error) {
	method(c, s, masterProtocol, "registerApplicationMaster", guard, c.registerApplicationMaster)
	method(c, s, masterProtocol, "allocate", guard, c.allocateCall)
	method(c, s, masterProtocol, "finishApplicationMaster", guard, c.finishApplicationMaster)
}

func (c *Cluster) registerApplicationMaster(call *rpcfake.Call, req *pb.RegisterApplicationMasterRequestProto) (*pb.RegisterApplicationMasterResponseProto, error) {
	t, _, err := c.callerAttempt(call.Identifier)
	if err != nil {
		return nil, err
	}
	t.heard = time.Now()
	if t.registered {
		return nil, yarnError("InvalidApplicationMasterRequestException", "Application Master is already registered : %s", t.app.id)
	}
	t.registered = true
	t.host, t.port, t.trackingURL = req.GetHost(), req.GetRpcPort(), req.GetTrackingUrl()
	t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_RUNNING
	t.app.state = pb.YarnApplicationStateProto_RUNNING
	t.last = &pb.AllocateResponseProto{ResponseId: proto.Int32(0)}
	resp := &pb.RegisterApplicationMasterResponseProto{
		MaximumCapability: resourceProto(c.o.Maximum), Queue: proto.String("root.default"),
		SchedulerResourceTypes: []pb.SchedulerResourceTypes{pb.SchedulerResourceTypes_MEMORY},
	}
	for _, k := range t.app.sortedContainers() {
		if k.state == started && k.id.Attempt != t.id && !k.isMaster() {
			resp.ContainersFromPreviousAttempts = append(resp.ContainersFromPreviousAttempts, k.proto(&pb.ContainerProto{ContainerToken: c.containerToken(k)}))
			if !t.tokens[k.node.id] {
				t.tokens[k.node.id] = true
				resp.NmTokensFromPreviousAttempts = append(resp.NmTokensFromPreviousAttempts,
					&pb.NMTokenProto{NodeId: nodeIDProto(k.node.id), Token: c.nodeToken(t, k.node)})
			}
		}
	}
	return resp, nil
}
