package yarnfake

import (
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

func (c *Cluster) finishApplicationMaster(call *rpcfake.Call, req *pb.FinishApplicationMasterRequestProto) (*pb.FinishApplicationMasterResponseProto, error) {
	// The attempt of an application that has ended is no longer found.
	var id pb.AMRMTokenIdentifierProto
	if proto.Unmarshal(call.Identifier, &id) == nil {
		if t := c.findAttempt(attemptID(id.GetAppAttemptId())); t != nil && t.unregistered {
			return &pb.FinishApplicationMasterResponseProto{IsUnregistered: proto.Bool(true)}, nil
		}
	}
	t, _, err := c.callerAttempt(call.Identifier)
	if err != nil {
		return nil, err
	}
	t.heard = time.Now()
	if !t.registered {
		return nil, yarnError("ApplicationMasterNotRegisteredException", "Application Master is trying to unregister before registering for: %s", t.app.id)
	}
	t.unregistered, t.registered = true, false
	if u := req.GetTrackingUrl(); u != "" {
		t.trackingURL = u
	}
	t.diagnostics = req.GetDiagnostics()
	t.rows = map[rowKey]*pb.ResourceRequestProto{}
	c.applicationOver(t.app, pb.YarnApplicationStateProto_FINISHED, req.GetFinalApplicationStatus(), req.GetDiagnostics())
	if t.master == nil || t.master.state == complete {
		t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FINISHED
		t.finished = time.Now()
		c.killContainers(t.app, yarn.ExitKilledAfterApplication, "Container killed after the application ended")
		return &pb.FinishApplicationMasterResponseProto{IsUnregistered: proto.Bool(true)}, nil
	}
	t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FINISHING
	// As the real one, which saves the state first: the next call finds it done.
	return &pb.FinishApplicationMasterResponseProto{IsUnregistered: proto.Bool(false)}, nil
}
