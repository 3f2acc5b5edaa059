package rpc

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// A Class says what a caller can do about a failed call. It does not say
// whether the call may run twice: see Ambiguous.
type Class int

// The classes of errors.
const (
	// ClassFatal: the call is refused for what it is. Repeating it changes
	// nothing.
	ClassFatal Class = iota
	// ClassRetry: the same server will answer after a pause.
	ClassRetry
	// ClassRetryOther: this server does not answer, or is not the active one.
	// Try the next, where there are several; the same after a pause, where
	// there is one.
	ClassRetryOther
	// ClassReauthenticate: the server does not take the token or ticket. Get a
	// newer one, then connect again; with the same one the error is final.
	ClassReauthenticate
	// ClassResync: the ResourceManager has lost its memory of the application
	// master (it was restarted, or another took over): register again, ask for
	// everything outstanding again, then repeat.
	ClassResync
	// ClassGone: what the call was about does not exist (any more): the
	// application, the attempt, the container. An application master that is
	// told so of its own attempt stops, without unregistering.
	ClassGone
	// ClassCanceled: the caller's own context ended, or the client was closed.
	ClassCanceled
)

var classNames = [...]string{"fatal", "retry", "retry other", "reauthenticate", "resync", "gone", "canceled"}

// String names the class in lower case.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return "unknown"
	}
	return classNames[c]
}

// remoteClasses are the exceptions of which more is known than that the server
// threw them, by class name without the package. Every other one is fatal: it
// tells of a request that the server understood and refused (Java's clients
// treat RemoteExceptions alike).
var remoteClasses = map[string]Class{
	// The server is not the active one, or sheds load by sending clients away.
	"StandbyException":               ClassRetryOther,
	"ObserverRetryOnActiveException": ClassRetryOther,
	// The server asks for patience: its queue is full, or it is starting.
	"RetriableException": ClassRetry,
	// A NodeManager that has not yet recovered its containers.
	"NMNotYetReadyException": ClassRetry,
	// The token is not (or no longer) signed by a key that the server knows:
	// the application master's is replaced every day, a NodeManager's after
	// the NodeManager was restarted. See remoteClass for the exception.
	"InvalidToken": ClassReauthenticate,
	// The RM was restarted or failed over since registerApplicationMaster.
	"ApplicationMasterNotRegisteredException": ClassResync,
	// The attempt is over: failed by the RM (no heartbeat for long) or finished.
	"ApplicationAttemptNotFoundException": ClassGone,
	"ApplicationNotFoundException":        ClassGone,
	"ContainerNotFoundException":          ClassGone,
}

// Classify says what to do about an error of Call. nil has no class: do not
// ask.
func Classify(err error) Class {
	var remote *RemoteError
	var protocol *ProtocolError
	var auth *AuthError
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return ClassCanceled
	case errors.As(err, &remote):
		return remoteClass(remote)
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrBadRequest):
		return ClassFatal
	case errors.As(err, &protocol):
		// Another kind of server stays what it is. One that spoke Hadoop RPC
		// before was cut off in the middle, or a byte was turned on the way:
		// a new connection is worth a try.
		if protocol.Foreign {
			return ClassFatal
		}
		return ClassRetryOther
	}
	// Before AuthError: a Kerberos login fails with one when the KDC cannot be
	// reached, and that passes.
	if isNetwork(err) {
		return ClassRetryOther
	}
	if errors.As(err, &auth) {
		return ClassFatal
	}
	if errors.Is(err, context.DeadlineExceeded) {
		// The caller's own deadline: a call's timeout is a net.Error.
		return ClassCanceled
	}
	return ClassFatal
}

func remoteClass(e *RemoteError) Class {
	class, known := remoteClasses[e.ShortClass()]
	if !known {
		return ClassFatal
	}
	// The RM forgets the master key's use for an attempt that is over; no newer
	// token will come.
	if class == ClassReauthenticate && strings.Contains(e.Message, "not found in AMRMTokenSecretManager") {
		return ClassGone
	}
	return class
}

// isNetwork tells whether the error is one of reaching the server or of losing
// it, which waiting or another server may cure.
func isNetwork(err error) bool {
	// A server that ended: EOF between two packets or in one, or a reset.
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errIdle) || errors.Is(err, net.ErrClosed) {
		return true
	}
	// Refused (the process is not up, or a standby RM, which does not listen),
	// no route, down, reset, broken pipe: the network's own answers. Others
	// (no permission, no more descriptors) are this process's fault.
	for _, e := range []syscall.Errno{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT,
		syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENETRESET,
		syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.EADDRNOTAVAIL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	// An unknown host: names come and go with machines and with the resolver.
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	// context.DeadlineExceeded has a Timeout method, too, but is the caller's.
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Ambiguous tells whether the server may have executed the call although it
// failed here. Such a call may be repeated only where twice does the same as
// once: reads; submitApplication, forceKillApplication, registerApplicationMaster,
// finishApplicationMaster, and allocate with the same response id; not
// startContainers.
func Ambiguous(err error) bool {
	var te *TransportError
	return errors.As(err, &te) && te.Sent
}

// A Policy says how long to go on after failures, and how long to wait between
// tries. The zero value tries once.
type Policy struct {
	Base        time.Duration // wait after the first failure
	Max         time.Duration // longest wait; 0: no limit
	Factor      float64       // each wait is this much longer than the one before; below 1: 1 (always Base)
	Jitter      float64       // each wait is changed by up to this part of it, either way: 0.5 is half to one and a half
	FirstAtOnce bool          // do not wait after the first failure: the next server may well be there
	MaxTries    int           // tries, the first included; 0: no limit (but see MaxElapsed)
	MaxElapsed  time.Duration // give up when a wait would end later than this after the start; 0 and no MaxTries: one try; negative: no limit
}

// Fixed returns the policy of Hadoop's retryUpToMaximumTimeWithFixedSleep: the
// same wait each time, up to a total. A negative total is for ever.
func Fixed(wait, total time.Duration) Policy {
	return Policy{Base: wait, Max: wait, MaxElapsed: total}
}

// Exponential returns the policy of Hadoop's failover proxies: at once to the
// next server, then doubling waits with half of them jitter.
func Exponential(base, longest, total time.Duration) Policy {
	return Policy{Base: base, Max: longest, Factor: 2, Jitter: 0.5, FirstAtOnce: true, MaxElapsed: total}
}

// Next returns how long to wait after the failures-th failure in a row (from 1)
// and whether to try again at all. elapsed is the time since the first try.
// random returns numbers in [0,1); nil means no jitter.
func (p Policy) Next(failures int, elapsed time.Duration, random func() float64) (wait time.Duration, again bool) {
	if p.MaxTries == 0 && p.MaxElapsed == 0 || p.MaxTries > 0 && failures >= p.MaxTries {
		return 0, false
	}
	wait = p.wait(failures, random)
	if p.MaxElapsed > 0 && elapsed+wait > p.MaxElapsed {
		return 0, false
	}
	return wait, true
}

func (p Policy) wait(failures int, random func() float64) time.Duration {
	exponent := failures - 1
	if p.FirstAtOnce {
		if failures <= 1 {
			return 0
		}
		exponent--
	}
	limit := float64(math.MaxInt64 / 4)
	if p.Max > 0 {
		limit = float64(p.Max)
	}
	wait := min(float64(p.Base)*math.Pow(max(p.Factor, 1), float64(max(exponent, 0))), limit)
	if random != nil && p.Jitter > 0 {
		wait *= 1 + p.Jitter*(2*random()-1)
	}
	return time.Duration(max(wait, 0))
}
