package yarnfake

import (
	"syscall"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
)

func (c *Cluster) stopContainers(n *node, req *pb.StopContainersRequestProto) *pb.StopContainersResponseProto {
	resp := &pb.StopContainersResponseProto{}
	for _, p := range req.GetContainerId() {
		k, bad := c.hosted(n, containerID(p))
		if bad != nil {
			resp.FailedRequests = append(resp.FailedRequests, bad)
			continue
		}
		if k.state != complete {
			c.kill(k, yarn.ExitKilledByMaster, "Container killed by the ApplicationMaster.")
		}
		resp.SucceededRequests = append(resp.SucceededRequests, p)
	}
	return resp
}

// signal sends a signal to the process of a container; one without is left alone.
func (c *Cluster) signal(id yarn.ContainerID, command pb.SignalContainerCommandProto) error {
	k := c.findContainer(id)
	if k == nil || k.state == complete || k.process == nil {
		return nil
	}
	signals := map[pb.SignalContainerCommandProto]syscall.Signal{
		pb.SignalContainerCommandProto_OUTPUT_THREAD_DUMP: syscall.SIGQUIT,
		pb.SignalContainerCommandProto_GRACEFUL_SHUTDOWN:  syscall.SIGTERM,
		pb.SignalContainerCommandProto_FORCEFUL_SHUTDOWN:  syscall.SIGKILL,
	}
	k.process.signal(signals[command])
	return nil
}
