package yarnfake

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

// serveClients has the methods of ApplicationClientProtocol.
func (c *Cluster) serveClients(s *rpcfake.Server, guard func() error) {
	method(c, s, clientProtocol, "getNewApplication", guard, c.getNewApplication)
	method(c, s, clientProtocol, "submitApplication", guard, c.submitApplication)
	method(c, s, clientProtocol, "forceKillApplication", guard, c.forceKillApplication)
	method(c, s, clientProtocol, "failApplicationAttempt", guard, c.failApplicationAttempt)
	method(c, s, clientProtocol, "getApplicationReport", guard, c.getApplicationReport)
	method(c, s, clientProtocol, "getApplications", guard, c.getApplications)
	method(c, s, clientProtocol, "getApplicationAttemptReport", guard, c.getApplicationAttemptReport)
	method(c, s, clientProtocol, "getApplicationAttempts", guard, c.getApplicationAttempts)
	method(c, s, clientProtocol, "getContainers", guard, c.getContainers)
	method(c, s, clientProtocol, "getContainerReport", guard, c.getContainerReport)
	method(c, s, clientProtocol, "getClusterMetrics", guard, c.getClusterMetrics)
	method(c, s, clientProtocol, "getClusterNodes", guard, c.getClusterNodes)
	method(c, s, clientProtocol, "getQueueInfo", guard, c.getQueueInfo)
	method(c, s, clientProtocol, "getDelegationToken", guard, c.getDelegationToken)
	method(c, s, clientProtocol, "signalToContainer", guard, c.signalToContainer)
}

func (c *Cluster) getNewApplication(*rpcfake.Call, *pb.GetNewApplicationRequestProto) (*pb.GetNewApplicationResponseProto, error) {
	c.nextApp++
	return &pb.GetNewApplicationResponseProto{
		ApplicationId:     applicationIDProto(yarn.ApplicationID{ClusterTimestamp: c.started.UnixMilli(), Number: c.nextApp}),
		MaximumCapability: resourceProto(c.o.Maximum),
	}, nil
}

func (c *Cluster) submitApplication(call *rpcfake.Call, req *pb.SubmitApplicationRequestProto) (*pb.SubmitApplicationResponseProto, error) {
	s := req.GetApplicationSubmissionContext()
	id := applicationID(s.GetApplicationId())
	switch {
	case id.IsZero():
		return nil, yarnError("ApplicationIdNotProvidedException", "ApplicationId is not provided in ApplicationSubmissionContext")
	case c.apps[id] != nil:
		return &pb.SubmitApplicationResponseProto{}, nil // the same client tries again
	case id.ClusterTimestamp != c.started.UnixMilli() || id.Number > c.nextApp:
		return nil, yarnError("YarnException", "%s was not given by this ResourceManager", id)
	case s.GetAmContainerSpec() == nil:
		return nil, yarnError("YarnException", "no AM container in the submission of %s", id)
	case len(s.GetApplicationTags()) > 10:
		return nil, yarnError("YarnException", "Too many applicationTags, a maximum of only 10 are allowed!")
	}
	if r := resource(s.GetResource()); !s.GetUnmanagedAm() && (!r.FitsIn(c.o.Maximum) || r.MemoryMiB <= 0) {
		return nil, tooLarge(r, c.o.Maximum)
	}
	if t := s.GetApplicationType(); len(t) > 20 {
		s.ApplicationType = proto.String(t[:20])
	}
	a := &app{
		id: id, submission: s, user: call.User, state: pb.YarnApplicationStateProto_ACCEPTED, submitted: time.Now(),
		containers: map[yarn.ContainerID]*container{},
	}
	c.apps[id] = a
	c.log.Info("yarnfake: submitted", "application", id, "name", s.GetApplicationName(), "user", a.user)
	if q := s.GetQueue(); q != "default" && q != "root.default" {
		c.applicationOver(a, pb.YarnApplicationStateProto_FAILED, pb.FinalApplicationStatusProto_APP_FAILED,
			fmt.Sprintf("Failed to submit application %s to unknown queue: %s", id, q))
		return &pb.SubmitApplicationResponseProto{}, nil
	}
	c.newAttempt(a)
	return &pb.SubmitApplicationResponseProto{}, nil
}

func tooLarge(want, limit yarn.Resource) error {
	return yarnError("InvalidResourceRequestException",
		"Invalid resource request! Cannot allocate containers as requested resource is greater than maximum allowed allocation. Requested resource=<memory:%d, vCores:%d>, maximum allowed allocation=<memory:%d, vCores:%d>",
		want.MemoryMiB, want.VCores, limit.MemoryMiB, limit.VCores)
}

func (c *Cluster) findApp(id yarn.ApplicationID) (*app, error) {
	if a := c.apps[id]; a != nil {
		return a, nil
	}
	return nil, yarnError("ApplicationNotFoundException",
		"Application with id '%s' doesn't exist in RM. Please check that the job submission was successful.", id)
}

func (c *Cluster) forceKillApplication(call *rpcfake.Call, req *pb.KillApplicationRequestProto) (*pb.KillApplicationResponseProto, error) {
	a, err := c.findApp(applicationID(req.GetApplicationId()))
	if err != nil {
		return nil, err
	}
	if a.over() {
		return &pb.KillApplicationResponseProto{IsKillCompleted: proto.Bool(true)}, nil
	}
	why := fmt.Sprintf("Application %s was killed by user %s at 127.0.0.1", a.id, call.User)
	if req.GetDiagnostics() != "" {
		why += "\n" + req.GetDiagnostics()
	}
	c.applicationOver(a, pb.YarnApplicationStateProto_KILLED, pb.FinalApplicationStatusProto_APP_KILLED, why)
	// As the real one: the next call finds it done.
	return &pb.KillApplicationResponseProto{IsKillCompleted: proto.Bool(false)}, nil
}

func (c *Cluster) failApplicationAttempt(_ *rpcfake.Call, req *pb.FailApplicationAttemptRequestProto) (*pb.FailApplicationAttemptResponseProto, error) {
	id := attemptID(req.GetApplicationAttemptId())
	if _, err := c.findApp(id.Application); err != nil {
		return nil, err
	}
	t := c.findAttempt(id)
	if t == nil {
		return nil, yarnError("ApplicationAttemptNotFoundException", "ApplicationAttempt with id '%s' doesn't exist in RM.", id)
	}
	if t.live() {
		c.attemptFailed(t, "Attempt failed by user.")
	}
	return &pb.FailApplicationAttemptResponseProto{}, nil
}
