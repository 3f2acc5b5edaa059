package yarn

import (
	"fmt"
	"strings"
	"time"

	"heddle/yarn/internal/pb"
	"heddle/yarn/security"
)

// Container is a container that the scheduler has given to an application.
type Container struct {
	// ID names it.
	ID ContainerID
	// Node is where it is; also the key of the node's token.
	Node NodeID
	// HTTPAddress is host:port of that node's web server.
	HTTPAddress string
	// Resource is its size, rounded up by the scheduler.
	Resource Resource
	// Priority is the one of the request that it meets.
	Priority int32
	// RequestID is the Request.ID that it meets; -1 if the server gave none.
	RequestID int64
	// Token proves to the node that the container may be started. Good for one
	// start, until yarn.resourcemanager.rm.container-allocation.expiry-interval-ms
	// (600 s) after the allocation.
	Token *security.Token
}

// ContainerState is how far a container is (Hadoop: ContainerState).
type ContainerState string

// The states of a container. A container whose resources are still being
// fetched is RUNNING, too.
const (
	ContainerNew      ContainerState = "NEW"
	ContainerRunning  ContainerState = "RUNNING"
	ContainerComplete ContainerState = "COMPLETE"
)

// ContainerStatus is what a NodeManager says of a container, or the
// ResourceManager of one that has ended.
type ContainerStatus struct {
	// ID names it.
	ID ContainerID
	// State is how far it is.
	State ContainerState
	// SubState is finer ("SCHEDULED", "RUNNING", "PAUSED", "COMPLETING", "DONE"); "" from a ResourceManager.
	SubState string
	// Exit is meaningful once State is COMPLETE.
	Exit ExitStatus
	// Diagnostics is YARN's account of the end, with the tail of its standard error if it failed.
	Diagnostics string
}

// ContainerReport is what the ResourceManager knows of a container.
type ContainerReport struct {
	// ID names it.
	ID ContainerID
	// Node is where it is.
	Node NodeID
	// HTTPAddress is the base URL or address of the node's web server, "" if unknown.
	HTTPAddress string
	// Resource is its size.
	Resource Resource
	// Priority is that of its request.
	Priority int32
	// State is how far it is.
	State ContainerState
	// Exit is meaningful once State is COMPLETE.
	Exit ExitStatus
	// Created and Finished are when it came to be and ended; zero if not yet.
	Created, Finished time.Time
	// Diagnostics is YARN's account of the end; "" if there is none.
	Diagnostics string
	// LogURL is the page with its logs.
	LogURL string
}

func applicationIDFromProto(p *pb.ApplicationIdProto) ApplicationID {
	return ApplicationID{ClusterTimestamp: p.GetClusterTimestamp(), Number: p.GetId()}
}

func (id ApplicationID) proto() *pb.ApplicationIdProto {
	return &pb.ApplicationIdProto{Id: &id.Number, ClusterTimestamp: &id.ClusterTimestamp}
}

func attemptIDFromProto(p *pb.ApplicationAttemptIdProto) AttemptID {
	return AttemptID{Application: applicationIDFromProto(p.GetApplicationId()), Attempt: p.GetAttemptId()}
}

func (id AttemptID) proto() *pb.ApplicationAttemptIdProto {
	return &pb.ApplicationAttemptIdProto{ApplicationId: id.Application.proto(), AttemptId: &id.Attempt}
}

func containerIDFromProto(p *pb.ContainerIdProto) ContainerID {
	return ContainerID{Attempt: attemptIDFromProto(p.GetAppAttemptId()), ID: p.GetId()}
}

func (id ContainerID) proto() *pb.ContainerIdProto {
	return &pb.ContainerIdProto{AppAttemptId: id.Attempt.proto(), Id: &id.ID}
}

func containerIDProtos(ids []ContainerID) []*pb.ContainerIdProto {
	out := make([]*pb.ContainerIdProto, len(ids))
	for i, id := range ids {
		out[i] = id.proto()
	}
	return out
}

func containerFromProto(p *pb.ContainerProto) Container {
	return Container{
		ID:          containerIDFromProto(p.GetId()),
		Node:        nodeIDFromProto(p.GetNodeId()),
		HTTPAddress: p.GetNodeHttpAddress(),
		Resource:    resourceFromProto(p.GetResource()),
		Priority:    p.GetPriority().GetPriority(),
		RequestID:   p.GetAllocationRequestId(),
		Token:       security.TokenFromProto(p.GetContainerToken()),
	}
}

func containersFromProto(ps []*pb.ContainerProto) []Container {
	var out []Container
	for _, p := range ps {
		out = append(out, containerFromProto(p))
	}
	return out
}

func containerStatusFromProto(p *pb.ContainerStatusProto) ContainerStatus {
	s := ContainerStatus{
		ID:          containerIDFromProto(p.GetContainerId()),
		State:       containerStateFromProto(p.State),
		Exit:        ExitStatus(p.GetExitStatus()),
		Diagnostics: diagnostics(p.GetDiagnostics()),
	}
	if p.ContainerSubState != nil {
		s.SubState = strings.TrimPrefix(p.ContainerSubState.String(), "CSS_")
	}
	return s
}

func containerStatusesFromProto(ps []*pb.ContainerStatusProto) []ContainerStatus {
	var out []ContainerStatus
	for _, p := range ps {
		out = append(out, containerStatusFromProto(p))
	}
	return out
}

func containerReportFromProto(p *pb.ContainerReportProto) ContainerReport {
	return ContainerReport{
		ID:          containerIDFromProto(p.GetContainerId()),
		Node:        nodeIDFromProto(p.GetNodeId()),
		HTTPAddress: p.GetNodeHttpAddress(),
		Resource:    resourceFromProto(p.GetResource()),
		Priority:    p.GetPriority().GetPriority(),
		State:       containerStateFromProto(p.ContainerState),
		Exit:        ExitStatus(p.GetContainerExitStatus()),
		Created:     timeFromMillis(p.GetCreationTime()),
		Finished:    timeFromMillis(p.GetFinishTime()),
		Diagnostics: diagnostics(p.GetDiagnosticsInfo()),
		LogURL:      p.GetLogUrl(),
	}
}

func containerStateFromProto(s *pb.ContainerStateProto) ContainerState {
	if s == nil {
		return ""
	}
	return ContainerState(strings.TrimPrefix(s.String(), "C_"))
}

// diagnostics turns Hadoop's "N/A" for none into an empty text.
func diagnostics(s string) string {
	s = strings.TrimSpace(s)
	if s == "N/A" {
		return ""
	}
	return s
}

// String names the container and its node.
func (c Container) String() string { return fmt.Sprintf("%s on %s", c.ID, c.Node) }
