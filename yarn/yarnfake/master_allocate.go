package yarnfake

import (
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

func (c *Cluster) allocateCall(call *rpcfake.Call, req *pb.AllocateRequestProto) (*pb.AllocateResponseProto, error) {
	t, key, err := c.callerAttempt(call.Identifier)
	if err != nil {
		return nil, err
	}
	t.heard = time.Now()
	if !t.registered {
		return nil, yarnError("ApplicationMasterNotRegisteredException",
			"AM is not registered for known application attempt: %s or RM had restarted after AM registered. AM should re-register.", t.id)
	}
	last := t.last.GetResponseId()
	switch req.GetResponseId() {
	case last - 1:
		return t.last, nil // the answer was lost
	case last:
	default:
		return nil, yarnError("InvalidApplicationMasterRequestException",
			"Invalid responseId in AllocateRequest from application attempt: %s, expect responseId to be %d, but get %d", t.id, last, req.GetResponseId())
	}
	if err := c.checkAllocate(t, req); err != nil {
		return nil, err
	}
	t.progress = req.GetProgress()
	if req.TrackingUrl != nil {
		t.trackingURL = req.GetTrackingUrl()
	}
	for _, row := range req.GetAsk() {
		key := rowKey{row.GetAllocationRequestId(), row.GetPriority().GetPriority(), row.GetResourceName()}
		if row.GetNumContainers() == 0 {
			delete(t.rows, key)
			continue
		}
		t.rows[key] = proto.CloneOf(row)
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistAdditions() {
		t.blacklist[h] = true
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistRemovals() {
		delete(t.blacklist, h)
	}
	for _, p := range req.GetRelease() {
		c.release(t, containerID(p))
	}
	t.last = c.allocateAnswer(t, last+1)
	if key != c.keys.current {
		t.last.AmRmToken = c.masterToken(t)
	}
	return t.last, nil
}

// checkAllocate refuses the whole call if a part of it is bad.
func (c *Cluster) checkAllocate(t *attempt, req *pb.AllocateRequestProto) error {
	for _, row := range req.GetAsk() {
		r := resource(row.GetCapability())
		switch {
		case !r.FitsIn(c.o.Maximum):
			return tooLarge(r, c.o.Maximum)
		case r.MemoryMiB < 0 || r.VCores < 0 || row.GetNumContainers() < 0:
			return yarnError("InvalidResourceRequestException", "Invalid resource request: %v", row)
		case row.GetNodeLabelExpression() != "":
			return yarnError("InvalidLabelResourceRequestException",
				"Invalid resource request, node label not enabled but request contains label expression")
		}
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistAdditions() {
		if h == anyLocation {
			return yarnError("InvalidResourceBlacklistRequestException", "Cannot add * to the blacklist!")
		}
	}
	for _, p := range req.GetRelease() {
		if id := containerID(p); id.Attempt.Application != t.app.id ||
			id.Attempt != t.id && !t.app.submission.GetKeepContainersAcrossApplicationAttempts() {
			return yarnError("InvalidContainerReleaseException", "Cannot release container : %s not belonging to this application attempt : %s", id, t.id)
		}
	}
	return nil
}

// release takes a container back at once in the books; its process is killed.
func (c *Cluster) release(t *attempt, id yarn.ContainerID) {
	k := t.app.containers[id]
	if k == nil || k.isMaster() {
		return
	}
	k.terminate(c.o.KillDelay)
	c.ended(k, yarn.ExitAborted, "Container released by application")
}

func (c *Cluster) allocateAnswer(t *attempt, id int32) *pb.AllocateResponseProto {
	resp := &pb.AllocateResponseProto{
		ResponseId: &id, CompletedContainerStatuses: t.completed, UpdatedNodes: t.updated, Limit: resourceProto(c.headroom()),
	}
	for _, n := range c.nodes {
		if !n.lost {
			resp.NumClusterNodes = proto.Int32(resp.GetNumClusterNodes() + 1)
		}
	}
	for _, k := range t.allocated {
		if k.state == complete {
			continue // its node was lost meanwhile
		}
		resp.AllocatedContainers = append(resp.AllocatedContainers, k.proto(&pb.ContainerProto{ContainerToken: c.containerToken(k)}))
		if !t.tokens[k.node.id] {
			t.tokens[k.node.id] = true
			resp.NmTokens = append(resp.NmTokens, &pb.NMTokenProto{NodeId: nodeIDProto(k.node.id), Token: c.nodeToken(t, k.node)})
		}
	}
	t.allocated, t.completed, t.updated = nil, nil, nil
	return resp
}

func (c *Cluster) headroom() yarn.Resource {
	var free yarn.Resource
	for _, n := range c.nodes {
		if !n.lost {
			free = free.Add(n.capability.Sub(n.used))
		}
	}
	return free
}
