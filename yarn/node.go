package yarn

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"heddle/yarn/internal/pb"
)

// NodeID names a NodeManager by its host and the port of its RPC server. Hosts
// are kept as YARN spells them: they are names, not addresses to compare.
type NodeID struct {
	// Host is the name under which the node registered.
	Host string
	// Port is the NodeManager's RPC port (yarn.nodemanager.address).
	Port int32
}

// String gives host:port.
func (n NodeID) String() string { return n.Host + ":" + strconv.Itoa(int(n.Port)) }

// Address is String with an IPv6 host in brackets, for dialling.
func (n NodeID) Address() string {
	return net.JoinHostPort(strings.Trim(n.Host, "[]"), strconv.Itoa(int(n.Port)))
}

// IsZero tells whether n is the zero value, which names no node.
func (n NodeID) IsZero() bool { return n == NodeID{} }

// ParseNodeID reads host:port.
func ParseNodeID(s string) (NodeID, error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 {
		return NodeID{}, fmt.Errorf("%q is no node id: expected host:port", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return NodeID{}, fmt.Errorf("%q is no node id: expected host:port", s)
	}
	return NodeID{Host: s[:i], Port: int32(port)}, nil
}

// MarshalText gives host:port.
func (n NodeID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads host:port.
func (n *NodeID) UnmarshalText(b []byte) (err error) {
	*n, err = ParseNodeID(string(b))
	return err
}

// NodeState is what the ResourceManager thinks of a node (Hadoop: NodeState).
type NodeState string

// The states of a node.
const (
	NodeNew             NodeState = "NEW"
	NodeRunning         NodeState = "RUNNING"
	NodeUnhealthy       NodeState = "UNHEALTHY"
	NodeDecommissioned  NodeState = "DECOMMISSIONED"
	NodeLost            NodeState = "LOST"
	NodeRebooted        NodeState = "REBOOTED"
	NodeDecommissioning NodeState = "DECOMMISSIONING"
	NodeShutdown        NodeState = "SHUTDOWN"
)

// Usable tells whether containers on the node go on (Hadoop: NodeState.isUnusable, negated).
func (s NodeState) Usable() bool {
	switch s {
	case NodeUnhealthy, NodeDecommissioned, NodeLost, NodeShutdown:
		return false
	}
	return true
}

// NodeReport describes one node of the cluster.
type NodeReport struct {
	// ID names the node.
	ID NodeID
	// HTTPAddress is host:port of the NodeManager's web server.
	HTTPAddress string
	// Rack is its place in the topology ("/default-rack").
	Rack string
	// Used and Capability are what is taken and what there is.
	Used, Capability Resource
	// Containers is the number of containers that run there.
	Containers int
	// State says whether it works.
	State NodeState
	// HealthReport is why not, in words; often empty.
	HealthReport string
	// LastHealthReport is when that was said; zero if never.
	LastHealthReport time.Time
	// Labels are the node labels (partitions) of the node.
	Labels []string
}

func nodeIDFromProto(p *pb.NodeIdProto) NodeID {
	return NodeID{Host: p.GetHost(), Port: p.GetPort()}
}

func (n NodeID) proto() *pb.NodeIdProto { return &pb.NodeIdProto{Host: &n.Host, Port: &n.Port} }

func nodeReportFromProto(p *pb.NodeReportProto) NodeReport {
	return NodeReport{
		ID:               nodeIDFromProto(p.GetNodeId()),
		HTTPAddress:      p.GetHttpAddress(),
		Rack:             p.GetRackName(),
		Used:             resourceFromProto(p.GetUsed()),
		Capability:       resourceFromProto(p.GetCapability()),
		Containers:       int(p.GetNumContainers()),
		State:            nodeStateFromProto(p.NodeState),
		HealthReport:     p.GetHealthReport(),
		LastHealthReport: timeFromMillis(p.GetLastHealthReportTime()),
		Labels:           p.GetNodeLabels(),
	}
}

// nodeStateFromProto takes a pointer: a value that this Hadoop version does not
// know arrives as an unknown field and must not look like the first state.
func nodeStateFromProto(s *pb.NodeStateProto) NodeState {
	if s == nil {
		return ""
	}
	return NodeState(strings.TrimPrefix(s.String(), "NS_"))
}

func (s NodeState) proto() (pb.NodeStateProto, error) {
	v, ok := pb.NodeStateProto_value["NS_"+string(s)]
	if !ok {
		return 0, fmt.Errorf("%q is no node state", string(s))
	}
	return pb.NodeStateProto(v), nil
}

// timeFromMillis gives the zero time for 0 and below, which stand for "not yet".
func timeFromMillis(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Racks gives the rack of each host among the nodes, for MasterOptions.RackOf: ""
// for others.
func Racks(nodes []NodeReport) func(host string) string {
	racks := map[string]string{}
	for _, n := range nodes {
		racks[n.ID.Host] = n.Rack
	}
	return func(host string) string { return racks[host] }
}
