package yarnfake

import (
	"cmp"
	"time"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
)

// app is an application in the books.
type app struct {
	id          yarn.ApplicationID
	submission  *pb.ApplicationSubmissionContextProto
	user        string
	state       pb.YarnApplicationStateProto
	final       pb.FinalApplicationStatusProto
	diagnostics string
	submitted   time.Time
	launched    time.Time
	finished    time.Time
	attempts    []*attempt
	containers  map[yarn.ContainerID]*container
}

func (a *app) attempt() *attempt {
	if len(a.attempts) == 0 {
		return nil
	}
	return a.attempts[len(a.attempts)-1]
}

func (a *app) over() bool {
	return a.state >= pb.YarnApplicationStateProto_FINISHED
}

// rowKey is what outstanding containers are counted by.
type rowKey struct {
	id       int64
	priority int32
	location string
}

func (k rowKey) compare(o rowKey) int {
	// The smaller priority goes first.
	return cmp.Or(cmp.Compare(k.priority, o.priority), cmp.Compare(k.id, o.id), cmp.Compare(k.location, o.location))
}

// attempt is one run of a master.
type attempt struct {
	app         *app
	id          yarn.AttemptID
	state       pb.YarnApplicationAttemptStateProto
	master      *container
	diagnostics string
	started     time.Time
	finished    time.Time
	heard       time.Time

	registered   bool
	unregistered bool
	host         string
	port         int32
	trackingURL  string
	progress     float32

	rows map[rowKey]*pb.ResourceRequestProto
	// blacklist are hosts and racks to keep away from.
	blacklist map[string]bool
	// sequence is the number of the last container.
	sequence int64
	// allocated and completed wait for the next call of allocate.
	allocated []*container
	completed []*pb.ContainerStatusProto
	updated   []*pb.NodeReportProto
	last      *pb.AllocateResponseProto
	// tokens are the nodes for which the master has one.
	tokens map[yarn.NodeID]bool
}

func (t *attempt) live() bool {
	switch t.state {
	case pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FAILED, pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FINISHED,
		pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_KILLED:
		return false
	}
	return true
}

type containerState int

const (
	allocated containerState = iota
	started
	complete
)

// container is a container in the books.
type container struct {
	id          yarn.ContainerID
	app         *app
	attempt     *attempt
	node        *node
	resource    *pb.ResourceProto
	priority    int32
	requestID   int64
	state       containerState
	running     bool // its process runs
	exit        yarn.ExitStatus
	diagnostics string
	created     time.Time
	finished    time.Time
	// killReason is why it was killed, for the diagnostics.
	killReason string
	process    *process
}

func (k *container) isMaster() bool { return k.attempt.master == k }

// status is what is told of the container.
func (k *container) status() *pb.ContainerStatusProto {
	s := &pb.ContainerStatusProto{
		ContainerId: containerIDProto(k.id),
		State:       pb.ContainerStateProto_C_RUNNING.Enum(),
		Capability:  k.resource,
	}
	sub := pb.ContainerSubStateProto_CSS_SCHEDULED
	switch {
	case k.state == complete:
		s.State = pb.ContainerStateProto_C_COMPLETE.Enum()
		exit := int32(k.exit)
		s.ExitStatus, s.Diagnostics = &exit, &k.diagnostics
		sub = pb.ContainerSubStateProto_CSS_DONE
	case k.running:
		sub = pb.ContainerSubStateProto_CSS_RUNNING
	}
	s.ContainerSubState = &sub
	return s
}

func (k *container) proto(token *pb.ContainerProto) *pb.ContainerProto {
	token.Id = containerIDProto(k.id)
	token.NodeId = nodeIDProto(k.node.id)
	token.NodeHttpAddress = &k.node.http
	token.Resource = k.resource
	token.Priority = &pb.PriorityProto{Priority: &k.priority}
	token.AllocationRequestId = &k.requestID
	return token
}

func applicationID(p *pb.ApplicationIdProto) yarn.ApplicationID {
	return yarn.ApplicationID{ClusterTimestamp: p.GetClusterTimestamp(), Number: p.GetId()}
}

func applicationIDProto(id yarn.ApplicationID) *pb.ApplicationIdProto {
	return &pb.ApplicationIdProto{ClusterTimestamp: &id.ClusterTimestamp, Id: &id.Number}
}

func attemptID(p *pb.ApplicationAttemptIdProto) yarn.AttemptID {
	return yarn.AttemptID{Application: applicationID(p.GetApplicationId()), Attempt: p.GetAttemptId()}
}

func attemptIDProto(id yarn.AttemptID) *pb.ApplicationAttemptIdProto {
	return &pb.ApplicationAttemptIdProto{ApplicationId: applicationIDProto(id.Application), AttemptId: &id.Attempt}
}

func containerID(p *pb.ContainerIdProto) yarn.ContainerID {
	return yarn.ContainerID{Attempt: attemptID(p.GetAppAttemptId()), ID: p.GetId()}
}

func containerIDProto(id yarn.ContainerID) *pb.ContainerIdProto {
	return &pb.ContainerIdProto{AppAttemptId: attemptIDProto(id.Attempt), Id: &id.ID}
}

func nodeIDProto(id yarn.NodeID) *pb.NodeIdProto {
	return &pb.NodeIdProto{Host: &id.Host, Port: &id.Port}
}

func resource(p *pb.ResourceProto) yarn.Resource {
	return yarn.Resource{MemoryMiB: p.GetMemory(), VCores: p.GetVirtualCores()}
}

func resourceProto(r yarn.Resource) *pb.ResourceProto {
	return &pb.ResourceProto{Memory: &r.MemoryMiB, VirtualCores: &r.VCores}
}

func millis(t time.Time) *int64 {
	var ms int64
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	return &ms
}
