package yarn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// masterProtocol is what schedulers speak with application masters.
var masterProtocol = rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB", Version: 1}

// DefaultMasterRetry is for how long a master waits for a ResourceManager that
// is being restarted (yarn.resourcemanager.connect.max-wait.ms). It is also the
// time after which the ResourceManager gives up a master that it has not heard
// of (yarn.am.liveness-monitor.expiry-interval-ms).
const DefaultMasterRetry = 15 * time.Minute

// ErrAttemptOver is in the errors after which the master has to stop at once:
// the ResourceManager has ended this attempt, and may have started the next.
// Unregistering would be refused.
var ErrAttemptOver = errors.New("the ResourceManager has ended this attempt")

// RefusedError says that the ResourceManager refused a call of Allocate as a
// whole, because one of the new requests was not acceptable (too large, unknown
// label, ...).
type RefusedError struct {
	// Requests are those that were new in the call; they are no longer asked for.
	Requests []Request
	// Err is the refusal.
	Err error
}

// Error gives the requests and the refusal.
func (e *RefusedError) Error() string {
	if len(e.Requests) == 0 {
		return fmt.Sprintf("allocate: %v", e.Err)
	}
	r := e.Requests[0]
	more := ""
	if n := len(e.Requests) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("allocate: request %d (%v)%s refused: %v", r.ID, r.Resource, more, e.Err)
}

// Unwrap gives the refusal.
func (e *RefusedError) Unwrap() error { return e.Err }

// MasterOptions say where the schedulers are and who the master is.
type MasterOptions struct {
	// Addresses are those of the schedulers (see SchedulerAddresses), tried in turn.
	Addresses []Address
	// Token is the attempt's YARN_AM_RM_TOKEN, from the credentials file of its
	// container (security.Credentials.FindToken with security.KindAMRM).
	Token *security.Token
	// RackOf tells the rack of a host that a request names; nil, or "" from it: what the
	// ResourceManager has told of the node, else DefaultRack. A request for a node
	// with the wrong rack is never met there.
	RackOf func(host string) string
	// RPC is for the connections; its Token and User are not used.
	RPC rpc.Options
	// Retry says how long to try; the zero value is DefaultMasterRetry, with growing pauses up to 5 s.
	Retry rpc.Policy
	// Logger gets retries, resyncs and token changes; nil: none.
	Logger *slog.Logger
}

// MasterOptionsFrom reads the addresses, and the retry time if a file sets
// yarn.resourcemanager.connect.max-wait.ms, and takes the token from the credentials.
func MasterOptionsFrom(conf *hadoopconf.Conf, creds *security.Credentials, o rpc.Options) (MasterOptions, error) {
	addresses, err := SchedulerAddresses(conf)
	if err != nil {
		return MasterOptions{}, err
	}
	opts := MasterOptions{Addresses: addresses, Token: creds.FindToken(security.KindAMRM, ""), RPC: o}
	if opts.Token == nil {
		return MasterOptions{}, fmt.Errorf("application master: no %s among the credentials: only YARN can start an application master (its %s names the file)",
			security.KindAMRM, security.EnvTokenFile)
	}
	opts.Retry, err = retryFrom(conf, DefaultMasterRetry)
	return opts, err
}

// Master speaks to the scheduler for an application master (Hadoop:
// AMRMClient, ApplicationMasterProtocol). Request, Cancel, Release and their
// kin only note what the next Allocate says; they may be called at any time, by
// any goroutine. Register, Allocate and Finish go one after the other.
//
// A ResourceManager that was restarted, or another that took over, is registered
// with anew, and told again all that is outstanding, inside of Allocate and Finish.
type Master struct {
	rm     *failover
	logger *slog.Logger
	rackOf func(string) string

	// calls is held during a call: the protocol knows one at a time.
	calls chan struct{}

	mu           sync.Mutex
	table        *askTable
	token        *security.Token
	nodeTokens   map[NodeID]*security.Token
	racks        map[string]string
	registration *Registration
}

// NewMaster returns a client. Nothing is dialled before the first call.
func NewMaster(o MasterOptions) (*Master, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("application master: no address: take SchedulerAddresses from the cluster's configuration")
	}
	if o.Token == nil {
		return nil, fmt.Errorf("application master: no token: take the %s of the container's credentials file", security.KindAMRM)
	}
	if o.Retry == (rpc.Policy{}) {
		o.Retry = retryPolicy(DefaultMasterRetry)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Master{
		logger:     o.Logger,
		rackOf:     o.RackOf,
		calls:      make(chan struct{}, 1),
		token:      o.Token,
		nodeTokens: map[NodeID]*security.Token{},
		racks:      map[string]string{},
	}
	m.table = newAskTable(m.rack)
	o.RPC.Token, o.RPC.User = nil, ""
	o.RPC.TokenSource = m.currentToken
	m.rm = newFailover("ResourceManager", o.Addresses, masterProtocol, o.RPC, o.Retry, o.Logger)
	return m, nil
}

// Close ends the connection. It does not unregister.
func (m *Master) Close() error { return m.rm.Close() }

func (m *Master) currentToken() *security.Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token
}

// rack is called with mu held.
func (m *Master) rack(host string) string {
	if m.rackOf != nil {
		if r := m.rackOf(host); r != "" {
			return r
		}
	}
	if r := m.racks[host]; r != "" {
		return r
	}
	return DefaultRack
}

// Registration is what the master tells of itself.
type Registration struct {
	// Host and RPCPort are where it listens; "" and 0 or below are given as "" and -1, for nowhere.
	Host    string
	RPCPort int32
	// TrackingURL is where YARN's proxy leads ("http://host:port/ui/", or without scheme); "" if there is none.
	TrackingURL string
}

// Registered is what the ResourceManager tells a master that has registered.
type Registered struct {
	// Maximum is the largest container that the queue gives; a request above it is refused.
	Maximum Resource
	// Queue is where the application is, with its path ("root.default").
	Queue string
	// Containers still run from earlier attempts (Submission.KeepContainers).
	Containers []Container
	// ClientToAMKey is the key of clients' tokens; nil without security.
	ClientToAMKey []byte
}

// Register begins the conversation. Nothing can be allocated before.
func (m *Master) Register(ctx context.Context, r Registration) (Registered, error) {
	if err := m.lock(ctx); err != nil {
		return Registered{}, fmt.Errorf("register: %w", err)
	}
	defer m.unlock()
	resp, err := m.register(ctx, r)
	if err != nil {
		return Registered{}, err
	}
	return Registered{
		Maximum:       resourceFromProto(resp.GetMaximumCapability()),
		Queue:         resp.GetQueue(),
		Containers:    containersFromProto(resp.GetContainersFromPreviousAttempts()),
		ClientToAMKey: resp.GetClientToAmTokenMasterKey(),
	}, nil
}

func (m *Master) register(ctx context.Context, r Registration) (*pb.RegisterApplicationMasterResponseProto, error) {
	if r.RPCPort <= 0 {
		r.RPCPort = -1
	}
	var resp pb.RegisterApplicationMasterResponseProto
	ambiguous, err := m.rm.try(ctx, "registerApplicationMaster", &pb.RegisterApplicationMasterRequestProto{
		Host: &r.Host, RpcPort: &r.RPCPort, TrackingUrl: &r.TrackingURL,
	}, &resp)
	var remote *rpc.RemoteError
	if ambiguous && errors.As(err, &remote) && remote.ShortClass() == "InvalidApplicationMasterRequestException" {
		// The first try was executed and its answer lost. What it said (the maximum, the
		// queue, containers of earlier attempts) cannot be had again.
		m.logger.Warn("registered, but the answer was lost", "error", err)
		err = nil
	}
	if err != nil {
		return nil, m.attemptError("register", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registration = &r
	m.table.trackingURL = r.TrackingURL
	m.keepNodeTokens(resp.GetNmTokensFromPreviousAttempts())
	return &resp, nil
}

// attemptError marks the errors that mean the end of the attempt.
func (m *Master) attemptError(what string, err error) error {
	class := rpc.Classify(err)
	if class == rpc.ClassGone {
		return fmt.Errorf("%s: %w: %w", what, ErrAttemptOver, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Request asks for containers; a request of the same ID is replaced.
func (m *Master) Request(r Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Nodes, r.Racks = slices.Clone(r.Nodes), slices.Clone(r.Racks)
	return m.table.add(r)
}

// Cancel takes back what is still outstanding of a request. Containers may come
// all the same, if they were allocated before: release them. A request that was
// met needs no Cancel.
func (m *Master) Cancel(requestID int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.cancel(requestID)
}

// Outstanding gives what is asked for and was not given yet, by the order of the
// IDs, each with the count that is left.
func (m *Master) Outstanding() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.outstanding()
}

// Release gives containers back. Their ends are reported as ExitAborted.
func (m *Master) Release(ids ...ContainerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.table.release(id)
	}
}

// Exclude sets the hosts and racks on which no more containers shall be
// allocated; what was excluded before and is not among them is allowed again.
// (Hadoop: the blacklist.)
func (m *Master) Exclude(locations ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.table.blacklist)
	for _, l := range locations {
		if l != "" && l != anyLocation {
			m.table.blacklist[l] = true
		}
	}
}

// SetTrackingURL changes the tracking URL with the next Allocate.
func (m *Master) SetTrackingURL(u string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.setTrackingURL(u)
	if m.registration != nil {
		m.registration.TrackingURL = u
	}
}

// NodeToken gives the newest token for a node, nil if there is none: it comes
// with the first container there.
func (m *Master) NodeToken(node NodeID) *security.Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodeTokens[node]
}

// keepNodeTokens is called with mu held.
func (m *Master) keepNodeTokens(tokens []*pb.NMTokenProto) {
	for _, t := range tokens {
		if t.Token != nil {
			// By the node's id, as containers spell it; the token's own service is an address.
			m.nodeTokens[nodeIDFromProto(t.GetNodeId())] = security.TokenFromProto(t.Token)
		}
	}
}

// Preemption names the containers that the scheduler wants back.
type Preemption struct {
	// Strict will be taken, some 15 s later by default.
	Strict []ContainerID
	// Candidates are some of which others may be given up instead.
	Candidates []ContainerID
}

// Allocation is what Allocate brings.
type Allocation struct {
	// Containers are new ones. Start or release them within 600 s (see Container.Token).
	Containers []Container
	// Completed are containers that have ended, each told once.
	Completed []ContainerStatus
	// Recovered are containers of earlier attempts that were found later than at Register.
	Recovered []Container
	// UpdatedNodes are nodes whose state has changed.
	UpdatedNodes []NodeReport
	// Nodes is how many the cluster has.
	Nodes int
	// Headroom is what the application could still be given.
	Headroom Resource
	// Preemption is what the scheduler wants back; nil if nothing.
	Preemption *Preemption
	// Resynced tells that the ResourceManager had to be registered with anew. What
	// ended while it was down may be reported late.
	Resynced bool
}

// expectedID finds the id in the refusal of a wrong response id (Hadoop's
// AMRMClientUtils reads it from the text, too).
var expectedID = regexp.MustCompile(`expect responseId to be (\d+)`)

// Allocate is the heartbeat: it tells what was requested, cancelled and released
// since, and brings what the scheduler has decided. Call it at least every few
// minutes, as a rule every second, and more often while waiting for containers.
// The progress is from 0 to 1.
//
// It repeats the call for as long as MasterOptions.Retry says. Errors with
// ErrAttemptOver are final; a *RefusedError takes requests back; after others it
// may be called again, and nothing is lost or asked for twice.
func (m *Master) Allocate(ctx context.Context, progress float32) (Allocation, error) {
	if err := m.lock(ctx); err != nil {
		return Allocation{}, fmt.Errorf("allocate: %w", err)
	}
	defer m.unlock()
	resynced := false
	for tries := 1; ; tries++ {
		m.mu.Lock()
		if m.registration == nil {
			m.mu.Unlock()
			return Allocation{}, errors.New("allocate: not registered yet: call Register first")
		}
		req := m.table.begin(progress)
		m.mu.Unlock()
		var resp pb.AllocateResponseProto
		err := m.rm.call(ctx, "allocate", req, &resp)
		var remote *rpc.RemoteError
		errors.As(err, &remote)
		switch {
		case err == nil && resp.AMCommand != nil && resp.GetAMCommand() == pb.AMCommandProto_AM_SHUTDOWN:
			return Allocation{}, fmt.Errorf("allocate: %w", ErrAttemptOver)
		case err == nil && (resp.AMCommand == nil || resp.GetAMCommand() != pb.AMCommandProto_AM_RESYNC):
			a := m.answered(&resp)
			a.Resynced = resynced
			return a, nil
		case tries > 3:
			// Each ResourceManager is resynced with once; more is a fight of two.
			return Allocation{}, m.attemptError("allocate", err)
		case err == nil || rpc.Classify(err) == rpc.ClassResync:
			if err := m.resync(ctx); err != nil {
				return Allocation{}, err
			}
			resynced = true
		case remote != nil && expectedID.MatchString(remote.Message):
			id, perr := strconv.ParseInt(expectedID.FindStringSubmatch(remote.Message)[1], 10, 32)
			if perr != nil {
				return Allocation{}, m.attemptError("allocate", err)
			}
			m.logger.Warn("the ResourceManager expects another response id: telling it everything again",
				"sent", req.GetResponseId(), "expected", id)
			m.mu.Lock()
			m.table.renumber(int32(id))
			m.mu.Unlock()
		case remote != nil && refusals[remote.ShortClass()]:
			m.mu.Lock()
			given := m.table.refused(remote.ShortClass() == "InvalidContainerReleaseException")
			m.mu.Unlock()
			return Allocation{}, &RefusedError{Requests: given, Err: err}
		default:
			return Allocation{}, m.attemptError("allocate", err)
		}
	}
}

// refusals are the exceptions that concern one row of a call and so refuse all of it.
var refusals = map[string]bool{
	"InvalidResourceRequestException":          true,
	"InvalidLabelResourceRequestException":     true,
	"SchedulerInvalidResoureRequestException":  true,
	"InvalidResourceBlacklistRequestException": true,
	"InvalidContainerReleaseException":         true,
}

// resync registers with a ResourceManager that does not know the master.
func (m *Master) resync(ctx context.Context) error {
	m.mu.Lock()
	r := *m.registration
	m.mu.Unlock()
	m.logger.Warn("the ResourceManager was restarted or failed over: registering again")
	_, err := m.register(ctx, r)
	var remote *rpc.RemoteError
	if errors.As(err, &remote) && remote.ShortClass() == "InvalidApplicationMasterRequestException" {
		err = nil // it knows the master after all
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.resync()
	return nil
}

func (m *Master) answered(resp *pb.AllocateResponseProto) Allocation {
	m.mu.Lock()
	m.table.answered(resp)
	m.keepNodeTokens(resp.GetNmTokens())
	for _, n := range resp.GetUpdatedNodes() {
		if n.GetRackName() != "" {
			m.racks[n.GetNodeId().GetHost()] = n.GetRackName()
		}
	}
	newToken := false
	if t := security.TokenFromProto(resp.GetAmRmToken()); t != nil && !t.Equal(m.token) {
		m.token, newToken = t, true
	}
	m.mu.Unlock()
	if newToken {
		// The ResourceManager repeats the token until the connection uses it.
		m.logger.Info("the ResourceManager has renewed the token of the application master")
		m.rm.reconnect()
	}
	a := Allocation{
		Containers: containersFromProto(resp.GetAllocatedContainers()),
		Completed:  containerStatusesFromProto(resp.GetCompletedContainerStatuses()),
		Recovered:  containersFromProto(resp.GetContainersFromPreviousAttempts()),
		Nodes:      int(resp.GetNumClusterNodes()),
		Headroom:   resourceFromProto(resp.GetLimit()),
	}
	for _, n := range resp.GetUpdatedNodes() {
		a.UpdatedNodes = append(a.UpdatedNodes, nodeReportFromProto(n))
	}
	if p := resp.GetPreempt(); p != nil {
		a.Preemption = &Preemption{}
		for _, c := range p.GetStrictContract().GetContainer() {
			a.Preemption.Strict = append(a.Preemption.Strict, containerIDFromProto(c.GetId()))
		}
		for _, c := range p.GetContract().GetContainer() {
			a.Preemption.Candidates = append(a.Preemption.Candidates, containerIDFromProto(c.GetId()))
		}
	}
	return a
}

// Finish unregisters with the application's final status and waits until the
// ResourceManager has saved it; then the process has to exit with 0. All its
// containers that still run are killed. The diagnostics are shown to the user; a
// tracking URL, if given, is where the proxy leads from then on.
func (m *Master) Finish(ctx context.Context, status FinalStatus, diagnostics, trackingURL string) error {
	final, err := status.proto()
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	if err := m.lock(ctx); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	defer m.unlock()
	req := &pb.FinishApplicationMasterRequestProto{
		Diagnostics: proto.String(diagnostics), TrackingUrl: proto.String(trackingURL), FinalApplicationStatus: &final,
	}
	for resyncs := 0; ; {
		var resp pb.FinishApplicationMasterResponseProto
		err := m.rm.call(ctx, "finishApplicationMaster", req, &resp)
		switch {
		case err == nil && resp.GetIsUnregistered():
			return nil
		case err == nil:
		case rpc.Classify(err) == rpc.ClassResync && resyncs < 3 && m.isRegistered():
			resyncs++
			if err := m.resync(ctx); err != nil {
				return err
			}
		default:
			return m.attemptError("finish", err)
		}
		if err := m.rm.sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("finish: the ResourceManager has not confirmed it yet: %w", err)
		}
	}
}

func (m *Master) isRegistered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.registration != nil
}

func (m *Master) lock(ctx context.Context) error {
	select {
	case m.calls <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Master) unlock() { <-m.calls }
