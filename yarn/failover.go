package yarn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
)

// dialTimeout is how long a connection may take to come about, unless
// rpc.Options say otherwise: Hadoop's 20 s would hold up a failover for as long.
const dialTimeout = 10 * time.Second

// Address is where a server is, and where that is written, for error texts.
type Address struct {
	// HostPort is what is dialled.
	HostPort string
	// Source is where it is configured: "yarn.resourcemanager.address in
	// /etc/hadoop/conf/yarn-site.xml:12"; "" if it is not from a file.
	Source string
}

// String gives the address with its source.
func (a Address) String() string {
	if a.Source == "" {
		return a.HostPort
	}
	return a.HostPort + " (" + a.Source + ")"
}

// ClientAddresses gives where the configuration has the ResourceManagers' client
// servers (yarn.resourcemanager.address), in the order in which to try them.
func ClientAddresses(conf *hadoopconf.Conf) ([]Address, error) {
	return resourceManagers(conf, "yarn.resourcemanager.address", func(a hadoopconf.RMAddress) string { return a.Client })
}

// SchedulerAddresses gives where the configuration has the ResourceManagers'
// schedulers (yarn.resourcemanager.scheduler.address), in the order in which to try them.
func SchedulerAddresses(conf *hadoopconf.Conf) ([]Address, error) {
	return resourceManagers(conf, "yarn.resourcemanager.scheduler.address", func(a hadoopconf.RMAddress) string { return a.Scheduler })
}

func resourceManagers(conf *hadoopconf.Conf, key string, pick func(hadoopconf.RMAddress) string) ([]Address, error) {
	all, err := conf.ResourceManagers()
	if err != nil {
		return nil, err
	}
	var out []Address
	for _, a := range all {
		suffix := ""
		if a.ID != "" {
			suffix = "." + a.ID
		}
		source := ""
		for _, k := range []string{key + suffix, "yarn.resourcemanager.hostname" + suffix} {
			if o := conf.Origin(k); o != "" {
				source = k + " in " + o
				if !builtIn(o) {
					break
				}
			}
		}
		out = append(out, Address{HostPort: pick(a), Source: source})
	}
	return out, nil
}

// builtIn tells whether an origin is one of Hadoop's defaults, not a file of the cluster's.
func builtIn(origin string) bool { return strings.HasSuffix(origin, "(built in)") }

// UnreachableError says that none of the servers answered in time.
type UnreachableError struct {
	// Service is what was called: "ResourceManager".
	Service string
	// Method is the call that failed.
	Method string
	// Addresses are the servers that were tried, Errs the last error of each (nil if it was not tried).
	Addresses []Address
	Errs      []error
	// Tried is how long, Tries how often.
	Tried time.Duration
	Tries int
}

// Error names every address with its source and its error, and how long was tried.
func (e *UnreachableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s not reachable", e.Service)
	if e.Tries > 1 {
		fmt.Fprintf(&b, ", tried for %v", e.Tried.Round(100*time.Millisecond))
	}
	for i, a := range e.Addresses {
		if i > 0 {
			b.WriteByte(';')
		} else {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, " %s", a)
		if e.Errs[i] != nil {
			fmt.Fprintf(&b, ": %v", withoutAddress(e.Errs[i], a.HostPort))
		}
	}
	return b.String()
}

// withoutAddress takes what the text already says out of an error of the transport.
func withoutAddress(err error, addr string) error {
	var te *rpc.TransportError
	if errors.As(err, &te) && te.Addr == addr && te.Err != nil {
		return te.Err
	}
	return err
}

// Unwrap gives the errors of the servers.
func (e *UnreachableError) Unwrap() []error {
	var out []error
	for _, err := range e.Errs {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

// failover calls the one of several servers that is active, and repeats what
// rpc.Classify says may succeed later. Every call through it may run twice.
type failover struct {
	service   string
	addresses []Address
	policy    rpc.Policy
	logger    *slog.Logger
	// dial makes the client of an address; nothing is connected by that.
	dial func(addr string) rpc.Caller

	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) error
	random func() float64

	mu      sync.Mutex
	current int
	callers map[int]rpc.Caller
	closed  bool
}

func newFailover(service string, addresses []Address, p rpc.Protocol, o rpc.Options, policy rpc.Policy, logger *slog.Logger) *failover {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if o.Logger == nil {
		o.Logger = logger
	}
	o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
	return &failover{
		service:   service,
		addresses: addresses,
		policy:    policy,
		logger:    logger,
		dial:      func(addr string) rpc.Caller { return rpc.NewClient(addr, p, o) },
		now:       time.Now,
		sleep:     sleepContext,
		random:    rand.Float64,
		callers:   map[int]rpc.Caller{},
	}
}

func sleepContext(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call asks the current server, and the others if it does not serve.
func (f *failover) call(ctx context.Context, method string, req, resp proto.Message) error {
	_, err := f.try(ctx, method, req, resp)
	return err
}

// try is call; ambiguous tells whether a try that failed may have been executed.
func (f *failover) try(ctx context.Context, method string, req, resp proto.Message) (ambiguous bool, err error) {
	start := f.now()
	errs := make([]error, len(f.addresses))
	for failures := 1; ; failures++ {
		i, caller, err := f.active()
		if err != nil {
			return ambiguous, fmt.Errorf("%s: %s: %w", f.service, method, err)
		}
		err = caller.Call(ctx, method, req, resp)
		if err == nil {
			return ambiguous, nil
		}
		ambiguous = ambiguous || rpc.Ambiguous(err)
		class := rpc.Classify(err)
		switch class {
		case rpc.ClassRetry:
		case rpc.ClassRetryOther:
			f.moveOn(i)
		default:
			return ambiguous, fmt.Errorf("%s: %w", f.service, err)
		}
		errs[i] = err
		wait, again := f.policy.Next(failures, f.now().Sub(start), f.random)
		if class == rpc.ClassRetryOther && failures%len(f.addresses) != 0 {
			wait, again = 0, true // there is a server that was not asked in this round
		}
		gaveUp := func() *UnreachableError {
			return &UnreachableError{Service: f.service, Method: method, Addresses: f.addresses, Errs: errs, Tries: failures, Tried: f.now().Sub(start)}
		}
		if !again {
			return ambiguous, gaveUp()
		}
		f.logger.Info("waiting for "+f.service, "method", method, "address", f.addresses[i].HostPort, "error", err, "wait", wait)
		switch err := f.sleep(ctx, wait); {
		case errors.Is(err, context.Canceled):
			return ambiguous, fmt.Errorf("%w while waiting: %v", err, gaveUp())
		case err != nil:
			return ambiguous, gaveUp()
		}
		proto.Reset(resp)
	}
}

// active gives the server to call.
func (f *failover) active() (int, rpc.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, nil, rpc.ErrClosed
	}
	c := f.callers[f.current]
	if c == nil {
		c = f.dial(f.addresses[f.current].HostPort)
		f.callers[f.current] = c
	}
	return f.current, c, nil
}

// moveOn makes the server after i the current one, unless another call did.
func (f *failover) moveOn(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == i {
		f.current = (i + 1) % len(f.addresses)
	}
}

// reconnect drops the connections, so that the next call logs in anew.
func (f *failover) reconnect() {
	f.mu.Lock()
	old := f.callers
	f.callers = map[int]rpc.Caller{}
	f.mu.Unlock()
	_ = closeAll(old) // they are given up because they failed
}

// Close ends the connections; calls under way fail.
func (f *failover) Close() error {
	f.mu.Lock()
	f.closed = true
	old := f.callers
	f.callers = map[int]rpc.Caller{}
	f.mu.Unlock()
	return closeAll(old)
}

func closeAll[K comparable, C io.Closer](all map[K]C) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
