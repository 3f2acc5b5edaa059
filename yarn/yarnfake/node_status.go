package yarnfake

import "heddle/yarn/internal/pb"

func (c *Cluster) containerStatuses(n *node, req *pb.GetContainerStatusesRequestProto) *pb.GetContainerStatusesResponseProto {
	resp := &pb.GetContainerStatusesResponseProto{}
	for _, p := range req.GetContainerId() {
		k, bad := c.hosted(n, containerID(p))
		if bad != nil {
			resp.FailedRequests = append(resp.FailedRequests, bad)
			continue
		}
		resp.Status = append(resp.Status, k.status())
	}
	return resp
}
