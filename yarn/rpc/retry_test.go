package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	remote := func(class, message string) error {
		return &RemoteError{Class: class, Message: message, Method: "m", Addr: "a:1"}
	}
	yarn := func(class string) error { return remote("org.apache.hadoop.yarn.exceptions."+class, "x") }
	called := func(err error) error {
		return &TransportError{Op: "call", Method: "m", Addr: "a:1", Sent: true, Err: err}
	}
	dialled := func(err error) error {
		return &TransportError{Op: "connect to", Addr: "a:1", Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	tests := []struct {
		name string
		err  error
		want Class
	}{
		{"standby", remote("org.apache.hadoop.ipc.StandbyException", "Operation category READ is not supported in state standby"), ClassRetryOther},
		{"observer", remote("org.apache.hadoop.ipc.ObserverRetryOnActiveException", ""), ClassRetryOther},
		{"too busy", remote("org.apache.hadoop.ipc.RetriableException", "Server too busy"), ClassRetry},
		{"recovering NodeManager", yarn("NMNotYetReadyException"), ClassRetry},
		{"old token", remote("org.apache.hadoop.security.token.SecretManager$InvalidToken", "Invalid AMRMToken from appattempt_1_0001_000001"), ClassReauthenticate},
		{"attempt over, told at login", remote("org.apache.hadoop.security.token.SecretManager$InvalidToken", "appattempt_1_0001_000001 not found in AMRMTokenSecretManager."), ClassGone},
		{"attempt over", yarn("ApplicationAttemptNotFoundException"), ClassGone},
		{"application unknown", yarn("ApplicationNotFoundException"), ClassGone},
		{"container unknown", yarn("ContainerNotFoundException"), ClassGone},
		{"RM restarted", yarn("ApplicationMasterNotRegisteredException"), ClassResync},
		{"wrong response id", yarn("InvalidApplicationMasterRequestException"), ClassFatal},
		{"too much asked for", yarn("InvalidResourceRequestException"), ClassFatal},
		{"any YARN exception", yarn("YarnException"), ClassFatal},
		{"no access", remote("org.apache.hadoop.security.AccessControlException", ""), ClassFatal},
		{"not authorized", remote("org.apache.hadoop.security.authorize.AuthorizationException", ""), ClassFatal},
		{"SASL", remote("javax.security.sasl.SaslException", ""), ClassFatal},
		{"no such method", remote("org.apache.hadoop.ipc.RpcNoSuchMethodException", ""), ClassFatal},
		{"remote I/O", remote("java.io.IOException", ""), ClassFatal},
		{"no class", remote("", ""), ClassFatal},
		{"wrapped", fmt.Errorf("allocate: %w", yarn("ApplicationMasterNotRegisteredException")), ClassResync},

		{"refused", dialled(os.NewSyscallError("connect", syscall.ECONNREFUSED)), ClassRetryOther},
		{"no route", dialled(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), ClassRetryOther},
		{"network down", dialled(os.NewSyscallError("connect", syscall.ENETUNREACH)), ClassRetryOther},
		{"TCP timeout", dialled(os.NewSyscallError("connect", syscall.ETIMEDOUT)), ClassRetryOther},
		{"unknown host", dialled(&net.DNSError{Err: "no such host", Name: "rm", IsNotFound: true}), ClassRetryOther},
		{"resolver down", dialled(&net.DNSError{Err: "server misbehaving", Name: "rm", IsTemporary: true}), ClassRetryOther},
		{"dial timeout", dialled(timeoutError{time.Second, "no connection"}), ClassRetryOther},
		{"no permission", dialled(os.NewSyscallError("connect", syscall.EACCES)), ClassFatal},
		{"no descriptors left", dialled(os.NewSyscallError("socket", syscall.EMFILE)), ClassFatal},
		{"no port in the address", dialled(&net.AddrError{Err: "missing port in address", Addr: "rm"}), ClassFatal},

		{"closed between calls", called(errServerClosed{io.EOF}), ClassRetryOther},
		{"cut off", called(errServerClosed{io.ErrUnexpectedEOF}), ClassRetryOther},
		{"reset", called(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), ClassRetryOther},
		{"broken pipe", called(&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}), ClassRetryOther},
		{"no answer", called(timeoutError{time.Second, "no answer"}), ClassRetryOther},
		{"write timeout", called(&net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}), ClassRetryOther},
		{"idle", called(errIdle), ClassRetryOther},
		{"garbled", called(&ProtocolError{Reason: "x"}), ClassRetryOther},
		{"another kind of server", called(&ProtocolError{Reason: "x", Foreign: true}), ClassFatal},
		{"too large", called(fmt.Errorf("x: %w", ErrTooLarge)), ClassFatal},
		{"incomplete", called(fmt.Errorf("%w: x", ErrBadRequest)), ClassFatal},
		{"server not who it claims", called(&AuthError{Reason: "x"}), ClassFatal},
		{"KDC unreachable", called(&AuthError{Reason: "x", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}), ClassRetryOther},

		{"cancelled", called(context.Canceled), ClassCanceled},
		{"caller's deadline", called(context.DeadlineExceeded), ClassCanceled},
		{"closed", ErrClosed, ClassCanceled},
		{"anything else", errors.New("x"), ClassFatal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Classify(tt.err); got != tt.want {
				t.Errorf("Classify(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}

func TestClassNames(t *testing.T) {
	for c, want := range map[Class]string{ClassFatal: "fatal", ClassCanceled: "canceled", -1: "unknown", 99: "unknown"} {
		if got := c.String(); got != want {
			t.Errorf("%d: %q, want %q", int(c), got, want)
		}
	}
}

func TestAmbiguous(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&TransportError{Sent: true, Err: io.EOF}, true},
		{fmt.Errorf("x: %w", &TransportError{Sent: true, Err: io.EOF}), true},
		{&TransportError{Err: io.EOF}, false},
		{&RemoteError{}, false},
	} {
		if got := Ambiguous(tt.err); got != tt.want {
			t.Errorf("Ambiguous(%v) = %v", tt.err, got)
		}
	}
}

func TestPolicies(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name   string
		policy Policy
		random float64
		want   []time.Duration // waits until it gives up, at most seven
	}{
		{"none", Policy{}, 0, nil},
		{"fixed", Fixed(30*s, 100*s), 0, []time.Duration{30 * s, 30 * s, 30 * s}},
		{"fixed for ever", Fixed(10*s, -1), 0, []time.Duration{10 * s, 10 * s, 10 * s, 10 * s, 10 * s, 10 * s, 10 * s}},
		{"tries", Policy{Base: s, Factor: 2, MaxTries: 4}, 0, []time.Duration{s, 2 * s, 4 * s}},
		{"failover, shortest", Exponential(s, 8*s, -1), 0, []time.Duration{0, s / 2, s, 2 * s, 4 * s, 4 * s, 4 * s}},
		{"failover, middle", Exponential(s, 8*s, -1), 0.5, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 8 * s, 8 * s}},
		{"factor below one", Policy{Base: s, Factor: 0.1, MaxTries: 3}, 0, []time.Duration{s, s}},
		{"time is up at once", Fixed(10*s, 5*s), 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []time.Duration
			var elapsed time.Duration
			for failures := 1; len(got) < 7; failures++ {
				wait, again := tt.policy.Next(failures, elapsed, func() float64 { return tt.random })
				if !again {
					break
				}
				got = append(got, wait)
				elapsed += wait
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("waits %v, want %v", got, tt.want)
			}
		})
	}
	// No overflow, however long it goes on.
	p := Policy{Base: time.Hour, Factor: 10, Jitter: 1, MaxElapsed: -1}
	for _, failures := range []int{1, 10, 100, math.MaxInt} {
		wait, again := p.Next(failures, 0, func() float64 { return 0.999999 })
		if wait < 0 || !again {
			t.Errorf("after %d failures: %v, %v", failures, wait, again)
		}
	}
	if wait, _ := (Policy{Base: s, Jitter: 0.5, MaxTries: 2}).Next(1, 0, nil); wait != s {
		t.Errorf("without random: %v", wait)
	}
}
