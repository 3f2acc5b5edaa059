package yarn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/internal/pb"
	"heddle/yarn/internal/securitypb"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// clientProtocol is what ResourceManagers speak with clients.
var clientProtocol = rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB", Version: 1}

// Defaults of ClientOptions.
const (
	// DefaultClientRetry is for how long a client tries to reach a ResourceManager.
	// Hadoop waits 15 minutes (yarn.resourcemanager.connect.max-wait.ms), which a
	// person at a terminal will not.
	DefaultClientRetry = 20 * time.Second
	// DefaultPoll is the pause between two looks at an application
	// (yarn.client.application-client-protocol.poll-interval-ms).
	DefaultPoll = 200 * time.Millisecond
)

// ErrNotFound is in the errors about an application, attempt or container that
// the ResourceManager does not know, or no longer.
var ErrNotFound = errors.New("not known to the ResourceManager")

// ClientOptions say where the ResourceManagers are and who calls.
type ClientOptions struct {
	// Addresses are those of the client servers (see ClientAddresses), tried in turn.
	Addresses []Address
	// RPC says who calls: at least User, or Token (a RM_DELEGATION_TOKEN).
	RPC rpc.Options
	// Retry says how long to try; the zero value is DefaultClientRetry, with growing pauses.
	Retry rpc.Policy
	// Poll is the pause between two looks in Kill and Submit; default DefaultPoll.
	Poll time.Duration
	// Logger gets retries; nil: none.
	Logger *slog.Logger
}

// ClientOptionsFrom reads the addresses, and the retry time if a file sets
// yarn.resourcemanager.connect.max-wait.ms.
func ClientOptionsFrom(conf *hadoopconf.Conf, o rpc.Options) (ClientOptions, error) {
	addresses, err := ClientAddresses(conf)
	if err != nil {
		return ClientOptions{}, err
	}
	opts := ClientOptions{Addresses: addresses, RPC: o}
	opts.Retry, err = retryFrom(conf, DefaultClientRetry)
	return opts, err
}

// retryFrom gives the policy for the ResourceManager: up to what a file of the
// cluster says, else up to def.
func retryFrom(conf *hadoopconf.Conf, def time.Duration) (rpc.Policy, error) {
	const key = "yarn.resourcemanager.connect.max-wait.ms"
	if o := conf.Origin(key); o == "" || builtIn(o) {
		return retryPolicy(def), nil
	}
	// A string first: -1, for ever, is no duration.
	if conf.String(key, "") == "-1" {
		return retryPolicy(-1), nil
	}
	d, err := conf.Duration(key, def)
	if err != nil {
		return rpc.Policy{}, err
	}
	return retryPolicy(d), nil
}

// retryPolicy waits shorter than Hadoop (30 s each time): a ResourceManager that
// is back is worth to be noticed.
func retryPolicy(total time.Duration) rpc.Policy {
	return rpc.Policy{Base: 250 * time.Millisecond, Max: 5 * time.Second, Factor: 1.6, Jitter: 0.3, MaxElapsed: total}
}

// Client speaks to the ResourceManager as one who submits and looks after
// applications (Hadoop: YarnClient, ApplicationClientProtocol). Safe for
// concurrent use.
type Client struct {
	rm   *failover
	poll time.Duration
}

// NewClient returns a client. Nothing is dialled before the first call.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Retry == (rpc.Policy{}) {
		o.Retry = retryPolicy(DefaultClientRetry)
	}
	if len(o.Addresses) == 0 {
		return nil, errors.New("client of the ResourceManager: no address: take ClientAddresses from the cluster's configuration")
	}
	rm := newFailover("ResourceManager", o.Addresses, clientProtocol, o.RPC, o.Retry, o.Logger)
	return &Client{rm: rm, poll: cmp.Or(o.Poll, DefaultPoll)}, nil
}

// Close ends the connections.
func (c *Client) Close() error { return c.rm.Close() }

// call is failover.call with errors that name what was asked about.
func (c *Client) call(ctx context.Context, about, method string, req, resp proto.Message) error {
	err := c.rm.call(ctx, method, req, resp)
	if err == nil {
		return nil
	}
	var remote *rpc.RemoteError
	if errors.As(err, &remote) && rpc.Classify(err) == rpc.ClassGone {
		return fmt.Errorf("%s: %w: %w", about, ErrNotFound, remote)
	}
	return fmt.Errorf("%s: %w", about, err)
}

// NewApplication takes an id for an application to submit, and tells the largest
// container that the cluster gives. An id that is never submitted costs nothing.
func (c *Client) NewApplication(ctx context.Context) (ApplicationID, Resource, error) {
	var resp pb.GetNewApplicationResponseProto
	if err := c.call(ctx, "new application", "getNewApplication", &pb.GetNewApplicationRequestProto{}, &resp); err != nil {
		return ApplicationID{}, Resource{}, err
	}
	id := applicationIDFromProto(resp.GetApplicationId())
	if id.IsZero() {
		return ApplicationID{}, Resource{}, fmt.Errorf("new application: the ResourceManager gave no id")
	}
	return id, resourceFromProto(resp.GetMaximumCapability()), nil
}

// NotAcceptedError says that the ResourceManager took a submission and then
// refused it: for its queue, as a rule.
type NotAcceptedError struct {
	// ID is the application, which the ResourceManager lists as failed.
	ID ApplicationID
	// Diagnostics is its reason.
	Diagnostics string
}

// Error gives the application and the reason.
func (e *NotAcceptedError) Error() string {
	return fmt.Sprintf("submit %s: the ResourceManager refused it: %s", e.ID, e.Diagnostics)
}

// Submit hands the application over and waits until the ResourceManager has
// accepted or refused it (*NotAcceptedError). That it was accepted does not mean that there is room
// for it: follow Report. A ResourceManager that fails over before it has saved
// the application is given it again.
func (c *Client) Submit(ctx context.Context, s Submission) (ApplicationReport, error) {
	about := "submit " + s.ID.String()
	p, err := s.proto()
	if err != nil {
		return ApplicationReport{}, err
	}
	submit := func() error {
		return c.call(ctx, about, "submitApplication",
			&pb.SubmitApplicationRequestProto{ApplicationSubmissionContext: p}, &pb.SubmitApplicationResponseProto{})
	}
	if err := submit(); err != nil {
		return ApplicationReport{}, err
	}
	for {
		report, err := c.Report(ctx, s.ID)
		switch {
		case errors.Is(err, ErrNotFound):
			if err := submit(); err != nil {
				return ApplicationReport{}, err
			}
		case err != nil:
			return ApplicationReport{}, fmt.Errorf("%s: %w", about, err)
		case report.State == StateFailed, report.State == StateKilled:
			return report, &NotAcceptedError{ID: s.ID, Diagnostics: cmp.Or(report.Diagnostics, string(report.State))}
		case !slices.Contains([]ApplicationState{StateNew, StateNewSaving, StateSubmitted, ""}, report.State):
			return report, nil
		}
		if err := c.rm.sleep(ctx, c.poll); err != nil {
			return ApplicationReport{}, fmt.Errorf("%s: waiting for the ResourceManager to accept it: %w", about, err)
		}
	}
}

// Report tells about one application; errors have ErrNotFound where it is unknown.
func (c *Client) Report(ctx context.Context, id ApplicationID) (ApplicationReport, error) {
	var resp pb.GetApplicationReportResponseProto
	err := c.call(ctx, id.String(), "getApplicationReport", &pb.GetApplicationReportRequestProto{ApplicationId: id.proto()}, &resp)
	if err != nil {
		return ApplicationReport{}, err
	}
	return applicationReportFromProto(resp.GetApplicationReport()), nil
}

// ApplicationFilter says which applications are asked for: those that meet every
// part that is set.
type ApplicationFilter struct {
	// Name is the exact name. (Servers before 3.3 do not know it: it is applied here, too.)
	Name string
	// Types, States, Users, Queues and Tags each match any of theirs.
	Types  []string
	States []ApplicationState
	Users  []string
	Queues []string
	Tags   []string
	// Limit is the largest number of reports, of the server's choice; 0: all.
	Limit int64
	// SubmittedAfter, if set, leaves out what was submitted before.
	SubmittedAfter time.Time
}

// Reports tells about all applications that the filter lets through, the newest first.
func (c *Client) Reports(ctx context.Context, f ApplicationFilter) ([]ApplicationReport, error) {
	req := &pb.GetApplicationsRequestProto{
		ApplicationTypes: f.Types,
		Users:            f.Users,
		Queues:           f.Queues,
		ApplicationTags:  f.Tags,
	}
	for _, s := range f.States {
		v, ok := pb.YarnApplicationStateProto_value[string(s)]
		if !ok {
			return nil, fmt.Errorf("list applications: %q is no state of an application", string(s))
		}
		req.ApplicationStates = append(req.ApplicationStates, pb.YarnApplicationStateProto(v))
	}
	if f.Limit > 0 {
		req.Limit = &f.Limit
	}
	if f.Name != "" {
		req.Name = &f.Name
	}
	if !f.SubmittedAfter.IsZero() {
		req.StartBegin = proto.Int64(millisOf(f.SubmittedAfter))
		// The server takes the range only as a whole.
		req.StartEnd = proto.Int64(1<<63 - 1)
	}
	var resp pb.GetApplicationsResponseProto
	if err := c.call(ctx, "list applications", "getApplications", req, &resp); err != nil {
		return nil, err
	}
	var out []ApplicationReport
	for _, p := range resp.GetApplications() {
		if r := applicationReportFromProto(p); f.Name == "" || r.Name == f.Name {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b ApplicationReport) int { return b.ID.Compare(a.ID) })
	return out, nil
}

// Kill ends an application by force and waits until it has ended. Killing what
// has ended is no error. The reason stands in its diagnostics.
func (c *Client) Kill(ctx context.Context, id ApplicationID, reason string) error {
	about := "kill " + id.String()
	req := &pb.KillApplicationRequestProto{ApplicationId: id.proto()}
	if reason != "" {
		req.Diagnostics = &reason
	}
	for {
		var resp pb.KillApplicationResponseProto
		if err := c.call(ctx, about, "forceKillApplication", req, &resp); err != nil {
			return err
		}
		if resp.GetIsKillCompleted() {
			return nil
		}
		if err := c.rm.sleep(ctx, c.poll); err != nil {
			return fmt.Errorf("%s: it has not ended yet: %w", about, err)
		}
	}
}

// FailAttempt ends one attempt as failed, so that the next one starts.
func (c *Client) FailAttempt(ctx context.Context, id AttemptID) error {
	return c.call(ctx, "fail "+id.String(), "failApplicationAttempt",
		&pb.FailApplicationAttemptRequestProto{ApplicationAttemptId: id.proto()}, &pb.FailApplicationAttemptResponseProto{})
}

// Attempts tells about the attempts of an application, in their order.
func (c *Client) Attempts(ctx context.Context, id ApplicationID) ([]AttemptReport, error) {
	var resp pb.GetApplicationAttemptsResponseProto
	err := c.call(ctx, "attempts of "+id.String(), "getApplicationAttempts", &pb.GetApplicationAttemptsRequestProto{ApplicationId: id.proto()}, &resp)
	if err != nil {
		return nil, err
	}
	var out []AttemptReport
	for _, p := range resp.GetApplicationAttempts() {
		out = append(out, attemptReportFromProto(p))
	}
	slices.SortFunc(out, func(a, b AttemptReport) int { return a.ID.Compare(b.ID) })
	return out, nil
}

// Attempt tells about one attempt.
func (c *Client) Attempt(ctx context.Context, id AttemptID) (AttemptReport, error) {
	var resp pb.GetApplicationAttemptReportResponseProto
	err := c.call(ctx, id.String(), "getApplicationAttemptReport", &pb.GetApplicationAttemptReportRequestProto{ApplicationAttemptId: id.proto()}, &resp)
	if err != nil {
		return AttemptReport{}, err
	}
	return attemptReportFromProto(resp.GetApplicationAttemptReport()), nil
}

// Containers tells about the containers of an attempt that the ResourceManager
// still knows, the master's among them: those that run, and the ones that ended
// lately or not at all if it keeps no history.
func (c *Client) Containers(ctx context.Context, id AttemptID) ([]ContainerReport, error) {
	var resp pb.GetContainersResponseProto
	err := c.call(ctx, "containers of "+id.String(), "getContainers", &pb.GetContainersRequestProto{ApplicationAttemptId: id.proto()}, &resp)
	if err != nil {
		return nil, err
	}
	var out []ContainerReport
	for _, p := range resp.GetContainers() {
		out = append(out, containerReportFromProto(p))
	}
	slices.SortFunc(out, func(a, b ContainerReport) int { return a.ID.Compare(b.ID) })
	return out, nil
}

// Container tells about one container.
func (c *Client) Container(ctx context.Context, id ContainerID) (ContainerReport, error) {
	var resp pb.GetContainerReportResponseProto
	err := c.call(ctx, id.String(), "getContainerReport", &pb.GetContainerReportRequestProto{ContainerId: id.proto()}, &resp)
	if err != nil {
		return ContainerReport{}, err
	}
	return containerReportFromProto(resp.GetContainerReport()), nil
}

// ClusterMetrics counts the nodes of a cluster by their state.
type ClusterMetrics struct {
	// Nodes is all of them; the others those in a state.
	Nodes, Active, Unhealthy, Lost, Decommissioning, Decommissioned, Rebooted, Shutdown int
}

// ClusterMetrics counts the nodes.
func (c *Client) ClusterMetrics(ctx context.Context) (ClusterMetrics, error) {
	var resp pb.GetClusterMetricsResponseProto
	if err := c.call(ctx, "cluster metrics", "getClusterMetrics", &pb.GetClusterMetricsRequestProto{}, &resp); err != nil {
		return ClusterMetrics{}, err
	}
	m := resp.GetClusterMetrics()
	return ClusterMetrics{
		Nodes:           int(m.GetNumNodeManagers()),
		Active:          int(m.GetNumActiveNms()),
		Unhealthy:       int(m.GetNumUnhealthyNms()),
		Lost:            int(m.GetNumLostNms()),
		Decommissioning: int(m.GetNumDecommissioningNms()),
		Decommissioned:  int(m.GetNumDecommissionedNms()),
		Rebooted:        int(m.GetNumRebootedNms()),
		Shutdown:        int(m.GetNumShutdownNms()),
	}, nil
}

// Nodes tells about the nodes in the given states; none given: in any.
func (c *Client) Nodes(ctx context.Context, states ...NodeState) ([]NodeReport, error) {
	req := &pb.GetClusterNodesRequestProto{}
	for _, s := range states {
		v, err := s.proto()
		if err != nil {
			return nil, fmt.Errorf("list nodes: %w", err)
		}
		req.NodeStates = append(req.NodeStates, v)
	}
	var resp pb.GetClusterNodesResponseProto
	if err := c.call(ctx, "list nodes", "getClusterNodes", req, &resp); err != nil {
		return nil, err
	}
	var out []NodeReport
	for _, p := range resp.GetNodeReports() {
		out = append(out, nodeReportFromProto(p))
	}
	slices.SortFunc(out, func(a, b NodeReport) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	return out, nil
}

// QueueInfo is what the scheduler tells of a queue.
type QueueInfo struct {
	// Name is its name, Path where it is ("root.default"; "" from servers before 3.4).
	Name, Path string
	// State is "RUNNING", "STOPPED" or "DRAINING".
	State string
	// Capacity, Maximum and Used are parts of the cluster, from 0 to 1, Used of its own capacity.
	Capacity, Maximum, Used float32
	// Children are the queues below it.
	Children []QueueInfo
}

// Queue tells about a queue and, if wanted, all below it.
func (c *Client) Queue(ctx context.Context, name string, recursive bool) (QueueInfo, error) {
	req := &pb.GetQueueInfoRequestProto{
		QueueName:           &name,
		IncludeApplications: proto.Bool(false),
		IncludeChildQueues:  &recursive,
		Recursive:           &recursive,
	}
	var resp pb.GetQueueInfoResponseProto
	if err := c.call(ctx, "queue "+name, "getQueueInfo", req, &resp); err != nil {
		return QueueInfo{}, err
	}
	if resp.QueueInfo == nil {
		return QueueInfo{}, fmt.Errorf("queue %s: %w", name, ErrNotFound)
	}
	return queueInfoFromProto(resp.QueueInfo, 0), nil
}

func queueInfoFromProto(p *pb.QueueInfoProto, depth int) QueueInfo {
	q := QueueInfo{
		Name:     p.GetQueueName(),
		Path:     p.GetQueuePath(),
		Capacity: p.GetCapacity(),
		Maximum:  p.GetMaximumCapacity(),
		Used:     p.GetCurrentCapacity(),
	}
	if p.State != nil {
		q.State = p.State.String()[len("Q_"):]
	}
	if depth < 100 {
		for _, child := range p.GetChildQueues() {
			q.Children = append(q.Children, queueInfoFromProto(child, depth+1))
		}
	}
	return q
}

// DelegationToken takes a token by which others may call the ResourceManager in
// the caller's name. Only a Kerberos cluster gives one, and only to a caller who
// logged in by Kerberos. The renewer is who may renew it: for a token that goes
// with a submission, the short name of the ResourceManager's principal ("yarn").
// Its Service is empty: the taker sets it (see security.ServiceName).
func (c *Client) DelegationToken(ctx context.Context, renewer string) (*security.Token, error) {
	var resp securitypb.GetDelegationTokenResponseProto
	err := c.call(ctx, "delegation token", "getDelegationToken", &securitypb.GetDelegationTokenRequestProto{Renewer: &renewer}, &resp)
	if err != nil {
		return nil, err
	}
	if resp.Token == nil {
		return nil, fmt.Errorf("delegation token: the ResourceManager gave none: its security is off")
	}
	return security.TokenFromProto(resp.Token), nil
}

// RenewDelegationToken prolongs a token and tells until when it is good.
func (c *Client) RenewDelegationToken(ctx context.Context, t *security.Token) (time.Time, error) {
	var resp securitypb.RenewDelegationTokenResponseProto
	err := c.call(ctx, "renew "+t.String(), "renewDelegationToken", &securitypb.RenewDelegationTokenRequestProto{Token: t.Proto()}, &resp)
	if err != nil {
		return time.Time{}, err
	}
	return timeFromMillis(int64(resp.GetNewExpiryTime())), nil
}

// CancelDelegationToken ends a token.
func (c *Client) CancelDelegationToken(ctx context.Context, t *security.Token) error {
	return c.call(ctx, "cancel "+t.String(), "cancelDelegationToken",
		&securitypb.CancelDelegationTokenRequestProto{Token: t.Proto()}, &securitypb.CancelDelegationTokenResponseProto{})
}

// SignalContainer asks the ResourceManager to send a signal to a container; it
// goes out with the node's next heartbeat.
func (c *Client) SignalContainer(ctx context.Context, id ContainerID, s Signal) error {
	req, err := signalProto(id, s)
	if err != nil {
		return err
	}
	return c.call(ctx, "signal "+id.String(), "signalToContainer", req, &pb.SignalContainerResponseProto{})
}
