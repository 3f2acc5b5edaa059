package yarn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// nodeProtocol is what NodeManagers speak with application masters.
var nodeProtocol = rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB", Version: 1}

// Defaults of NodesOptions.
const (
	// DefaultNodeRetry is for how long a NodeManager that cannot be reached is tried.
	// Hadoop tries for 3 minutes (yarn.client.nodemanager-connect.max-wait-ms); a
	// master does better to take another node.
	DefaultNodeRetry = 10 * time.Second
	// DefaultNodeConnections is how many connections are kept.
	DefaultNodeConnections = 256
)

// ErrContainerUnknown is in the errors about a container that its NodeManager
// does not know, or no longer: it has ended.
var ErrContainerUnknown = errors.New("not known to the NodeManager")

// Signal is what can be sent to the process of a container (Hadoop: SignalContainerCommand).
type Signal string

// The signals.
const (
	SignalThreadDump Signal = "OUTPUT_THREAD_DUMP" // SIGQUIT
	SignalTerminate  Signal = "GRACEFUL_SHUTDOWN"  // SIGTERM
	SignalKill       Signal = "FORCEFUL_SHUTDOWN"  // SIGKILL
)

func signalProto(id ContainerID, s Signal) (*pb.SignalContainerRequestProto, error) {
	v, ok := pb.SignalContainerCommandProto_value[string(s)]
	if !ok {
		return nil, fmt.Errorf("signal %s: %q is no signal of YARN's", id, string(s))
	}
	return &pb.SignalContainerRequestProto{ContainerId: id.proto(), Command: pb.SignalContainerCommandProto(v).Enum()}, nil
}

// NodesOptions say how NodeManagers are reached.
type NodesOptions struct {
	// Tokens gives the newest token for a node; Master.NodeToken does.
	Tokens func(NodeID) *security.Token
	// RPC is for the connections; its Token and User are not used. CallTimeout is 30 s
	// unless set: a node that hangs must not keep its containers' replacements waiting.
	RPC rpc.Options
	// Retry says how long to try; the zero value is DefaultNodeRetry, with growing pauses.
	Retry rpc.Policy
	// MaxConnections is how many connections are kept; default DefaultNodeConnections.
	MaxConnections int
	// Logger gets retries; nil: none.
	Logger *slog.Logger
}

// Nodes speaks to the NodeManagers of an application's containers (Hadoop:
// NMClient, ContainerManagementProtocol), with one connection to each. Safe for
// concurrent use.
type Nodes struct {
	o NodesOptions

	mu    sync.Mutex
	conns map[NodeID]*nodeConn
	uses  int64
}

type nodeConn struct {
	*failover
	// inUse counts the calls, lastUse orders the connections that have none.
	inUse   int
	lastUse int64
}

// NewNodes returns a client of the NodeManagers. Nothing is dialled before the first call.
func NewNodes(o NodesOptions) (*Nodes, error) {
	if o.Tokens == nil {
		return nil, fmt.Errorf("NodeManagers: no tokens: set NodesOptions.Tokens to Master.NodeToken")
	}
	if o.Retry == (rpc.Policy{}) {
		o.Retry = rpc.Policy{Base: 200 * time.Millisecond, Max: 2 * time.Second, Factor: 2, Jitter: 0.3, MaxElapsed: DefaultNodeRetry}
	}
	o.RPC.CallTimeout = cmp.Or(o.RPC.CallTimeout, 30*time.Second)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultNodeConnections)
	return &Nodes{o: o, conns: map[NodeID]*nodeConn{}}, nil
}

// Close ends the connections.
func (n *Nodes) Close() error {
	n.mu.Lock()
	old := n.conns
	n.conns = map[NodeID]*nodeConn{}
	n.mu.Unlock()
	return closeAll(old)
}

// Start launches the process of a container. It returns once the node has taken
// the order; the fetching of resources and the start itself follow, and what
// goes wrong there comes back as the end of the container.
func (n *Nodes) Start(ctx context.Context, c Container, l LaunchContext) error {
	about := fmt.Sprintf("start %s", c)
	p, err := l.proto()
	if err != nil {
		return fmt.Errorf("%s: %w", about, err)
	}
	if c.Token == nil {
		return fmt.Errorf("%s: the container has no token", about)
	}
	req := &pb.StartContainersRequestProto{StartContainerRequest: []*pb.StartContainerRequestProto{
		{ContainerLaunchContext: p, ContainerToken: c.Token.Proto()},
	}}
	var resp pb.StartContainersResponseProto
	repeated, err := n.call(ctx, about, c.Node, "startContainers", req, &resp)
	if err != nil {
		return err
	}
	for _, f := range resp.GetFailedRequests() {
		if repeated && strings.Contains(f.GetException().GetMessage(), "Attempt to relaunch the same container") {
			// The answer to the first order was lost, not the order.
			continue
		}
		return fmt.Errorf("%s: %w", about, nodeError(f.GetException(), "startContainers", c.Node))
	}
	return nil
}

// Status tells how far a container is. The node forgets a container soon after
// its end: then the error has ErrContainerUnknown.
func (n *Nodes) Status(ctx context.Context, node NodeID, id ContainerID) (ContainerStatus, error) {
	about := fmt.Sprintf("status of %s on %s", id, node)
	var resp pb.GetContainerStatusesResponseProto
	req := &pb.GetContainerStatusesRequestProto{ContainerId: []*pb.ContainerIdProto{id.proto()}}
	if _, err := n.call(ctx, about, node, "getContainerStatuses", req, &resp); err != nil {
		return ContainerStatus{}, err
	}
	for _, f := range resp.GetFailedRequests() {
		return ContainerStatus{}, fmt.Errorf("%s: %w", about, nodeError(f.GetException(), "getContainerStatuses", node))
	}
	for _, s := range resp.GetStatus() {
		return containerStatusFromProto(s), nil
	}
	return ContainerStatus{}, fmt.Errorf("%s: the NodeManager gave no answer about it", about)
}

// Stop ends a container: SIGTERM to its processes and, 250 ms later by default
// (yarn.nodemanager.sleep-delay-before-sigkill.ms), SIGKILL. It returns at once;
// the end comes with Master.Allocate. Stopping what has ended is no error.
func (n *Nodes) Stop(ctx context.Context, node NodeID, id ContainerID) error {
	about := fmt.Sprintf("stop %s on %s", id, node)
	var resp pb.StopContainersResponseProto
	req := &pb.StopContainersRequestProto{ContainerId: []*pb.ContainerIdProto{id.proto()}}
	if _, err := n.call(ctx, about, node, "stopContainers", req, &resp); err != nil {
		return err
	}
	for _, f := range resp.GetFailedRequests() {
		if err := nodeError(f.GetException(), "stopContainers", node); !errors.Is(err, ErrContainerUnknown) {
			return fmt.Errorf("%s: %w", about, err)
		}
	}
	return nil
}

// Signal sends a signal to the process of a container.
func (n *Nodes) Signal(ctx context.Context, node NodeID, id ContainerID, s Signal) error {
	req, err := signalProto(id, s)
	if err != nil {
		return err
	}
	_, err = n.call(ctx, fmt.Sprintf("signal %s on %s", id, node), node, "signalToContainer", req, &pb.SignalContainerResponseProto{})
	return err
}

// call asks a node; repeated tells whether an earlier try may have been executed.
func (n *Nodes) call(ctx context.Context, about string, node NodeID, method string, req, resp proto.Message) (repeated bool, err error) {
	token := n.o.Tokens(node)
	if token == nil {
		return false, fmt.Errorf("%s: no token for the node: the ResourceManager sends it with the first container there", about)
	}
	conn := n.acquire(node)
	defer n.done(node, conn)
	repeated, err = conn.try(ctx, method, req, resp)
	if err != nil && rpc.Classify(err) == rpc.ClassReauthenticate {
		// A token that came meanwhile may do, for a connection made with an older one.
		conn.reconnect()
		var again bool
		again, err = conn.try(ctx, method, req, resp)
		repeated = repeated || again
	}
	if err != nil {
		return repeated, fmt.Errorf("%s: %w", about, err)
	}
	return repeated, nil
}

func (n *Nodes) acquire(node NodeID) *nodeConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.conns[node]
	if c == nil {
		o := n.o.RPC
		o.Token, o.User = nil, ""
		o.TokenSource = func() *security.Token { return n.o.Tokens(node) }
		c = &nodeConn{failover: newFailover("NodeManager", []Address{{HostPort: node.Address()}}, nodeProtocol, o, n.o.Retry, n.o.Logger)}
		n.conns[node] = c
	}
	c.inUse++
	n.uses++
	c.lastUse = n.uses
	return c
}

// done gives a connection back and closes the one that rested longest if there are too many.
func (n *Nodes) done(node NodeID, c *nodeConn) {
	var oldest NodeID
	n.mu.Lock()
	c.inUse--
	var victim *nodeConn
	if len(n.conns) > n.o.MaxConnections {
		for id, o := range n.conns {
			if o.inUse == 0 && (victim == nil || o.lastUse < victim.lastUse) {
				oldest, victim = id, o
			}
		}
		if victim != nil {
			delete(n.conns, oldest)
		}
	}
	n.mu.Unlock()
	if victim != nil {
		victim.Close()
	}
}

// nodeError turns a NodeManager's refusal about one container into the same kind
// of error as the refusal of a whole call.
func nodeError(e *pb.SerializedExceptionProto, method string, node NodeID) error {
	remote := &rpc.RemoteError{
		Class: e.GetClassName(), Message: strings.TrimSpace(e.GetMessage()), Trace: e.GetTrace(),
		Method: method, Addr: node.String(), Code: rpc.ErrorApplication,
	}
	for _, s := range []string{"is not handled by this NodeManager", "was recently stopped on node manager", "is not known to this NodeManager"} {
		if strings.Contains(remote.Message, s) {
			return fmt.Errorf("%w: %w", ErrContainerUnknown, remote)
		}
	}
	return remote
}
