package yarnfake

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

// startContainers takes the orders to start containers: each stands for itself.
func (c *Cluster) startContainers(n *node, call *rpcfake.Call, req *pb.StartContainersRequestProto) (*pb.StartContainersResponseProto, error) {
	var caller pb.NMTokenIdentifierProto
	if err := proto.Unmarshal(call.Identifier, &caller); err != nil {
		return nil, invalidToken("cannot read the identifier: %v", err)
	}
	resp := &pb.StartContainersResponseProto{}
	for _, r := range req.GetStartContainerRequest() {
		var token pb.ContainerTokenIdentifierProto
		if err := proto.Unmarshal(r.GetContainerToken().GetIdentifier(), &token); err != nil {
			return nil, invalidToken("cannot read the identifier: %v", err)
		}
		id := containerID(token.GetContainerId())
		if bad := c.mayStart(n, id, &caller, &token, r); bad != nil {
			resp.FailedRequests = append(resp.FailedRequests, bad)
			continue
		}
		k := c.findContainer(id)
		c.launch(k, r.GetContainerLaunchContext())
		resp.SucceededRequests = append(resp.SucceededRequests, token.GetContainerId())
	}
	return resp, nil
}

func (c *Cluster) mayStart(n *node, id yarn.ContainerID, caller *pb.NMTokenIdentifierProto, token *pb.ContainerTokenIdentifierProto, r *pb.StartContainerRequestProto) *pb.ContainerExceptionMapProto {
	const unauthorized = "Unauthorized request to start container.\n"
	k := c.findContainer(id)
	switch {
	case !bytes.Equal(r.GetContainerToken().GetPassword(), sign(c.keys.node, r.GetContainerToken().GetIdentifier())):
		return refusal(id, unauthorized+"Invalid container token used for starting container on %s", n.id)
	case attemptID(caller.GetAppAttemptId()) != id.Attempt:
		return refusal(id, unauthorized+"NMToken for application attempt : %s was used for starting container with container token issued for application attempt : %s",
			attemptID(caller.GetAppAttemptId()), id.Attempt)
	case token.GetNmHostAddr() != n.id.String():
		return refusal(id, unauthorized+"The container token is for %s, this is %s", token.GetNmHostAddr(), n.id)
	case token.GetRmIdentifier() != c.rmIdentifier():
		return refusal(id, "Container %s rejected as it is allocated by a previous RM", id)
	case token.GetExpiryTimeStamp() < time.Now().UnixMilli():
		return refusal(id, unauthorized+"This token is expired.")
	case k == nil || k.state == complete && k.process == nil:
		return refusal(id, "Container %s is not known any more", id)
	case k.state != allocated:
		return refusal(id, unauthorized+" Attempt to relaunch the same container with id %s.", id)
	}
	for _, res := range r.GetContainerLaunchContext().GetLocalResources() {
		if v := res.GetValue(); v.GetResource() == nil || v.Type == nil || v.Visibility == nil {
			return refusal(id, "Null resource URL, type or visibility for local resource %s : %v", res.GetKey(), v)
		}
	}
	return nil
}
