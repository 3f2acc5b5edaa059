package yarn

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc"
)

// scripted are servers whose answers are given in advance, and a clock that only
// sleeping moves.
type scripted struct {
	script map[string][]error // by address; the last one stays
	log    []string
	now    time.Time
	closed int
}

type scriptedCaller struct {
	s    *scripted
	addr string
}

func (c scriptedCaller) Call(_ context.Context, method string, _, _ proto.Message) error {
	c.s.log = append(c.s.log, c.addr)
	errs := c.s.script[c.addr]
	if len(errs) == 0 {
		return nil
	}
	if len(errs) > 1 {
		c.s.script[c.addr] = errs[1:]
	}
	return errs[0]
}

func (c scriptedCaller) Close() error { c.s.closed++; return nil }

func newScripted(policy rpc.Policy, script map[string][]error, addrs ...string) (*failover, *scripted) {
	s := &scripted{script: script, now: time.Unix(0, 0)}
	var addresses []Address
	for _, a := range addrs {
		addresses = append(addresses, Address{HostPort: a, Source: "key in file"})
	}
	f := newFailover("ResourceManager", addresses, clientProtocol, rpc.Options{}, policy, nil)
	f.dial = func(addr string) rpc.Caller { return scriptedCaller{s, addr} }
	f.now = func() time.Time { return s.now }
	f.sleep = func(ctx context.Context, d time.Duration) error {
		if d > 0 {
			s.log = append(s.log, d.String())
		}
		s.now = s.now.Add(d)
		return ctx.Err()
	}
	f.random = func() float64 { return 0.5 }
	return f, s
}

var (
	errRefused = &rpc.TransportError{Op: "dial", Addr: "a:1", Err: syscall.ECONNREFUSED}
	errCut     = &rpc.TransportError{Op: "call", Addr: "a:1", Sent: true, Err: io.ErrUnexpectedEOF}
	errStandby = &rpc.RemoteError{Class: "org.apache.hadoop.ipc.StandbyException", Message: "standby"}
	errBusy    = &rpc.RemoteError{Class: "org.apache.hadoop.ipc.RetriableException", Message: "busy"}
	errNo      = &rpc.RemoteError{Class: "org.apache.hadoop.yarn.exceptions.YarnException", Message: "no"}
)

func TestFailover(t *testing.T) {
	policy := rpc.Policy{Base: time.Second, Factor: 2, Max: 4 * time.Second, MaxElapsed: 10 * time.Second}
	for _, c := range []struct {
		name      string
		script    map[string][]error
		addrs     []string
		log       []string
		err       string
		ambiguous bool
	}{
		{name: "at once", addrs: []string{"a:1"}, log: []string{"a:1"}},
		{name: "refused for a while", addrs: []string{"a:1"}, script: map[string][]error{"a:1": {errRefused, errRefused, nil}},
			log: []string{"a:1", "1s", "a:1", "2s", "a:1"}},
		{name: "the answer lost", addrs: []string{"a:1"}, script: map[string][]error{"a:1": {errCut, nil}},
			log: []string{"a:1", "1s", "a:1"}, ambiguous: true},
		{name: "standby: the other at once", addrs: []string{"a:1", "b:1"}, script: map[string][]error{"a:1": {errStandby}},
			log: []string{"a:1", "b:1"}},
		{name: "nobody active: waits once per round", addrs: []string{"a:1", "b:1"}, script: map[string][]error{"a:1": {errStandby}, "b:1": {errRefused, errRefused, nil}},
			log: []string{"a:1", "b:1", "2s", "a:1", "b:1", "4s", "a:1", "b:1"}},
		{name: "busy: the same again", addrs: []string{"a:1", "b:1"}, script: map[string][]error{"a:1": {errBusy, nil}},
			log: []string{"a:1", "1s", "a:1"}},
		{name: "a refusal is final", addrs: []string{"a:1", "b:1"}, script: map[string][]error{"a:1": {errNo}},
			log: []string{"a:1"}, err: "ResourceManager: connect to : no (YarnException)"},
		{name: "nobody there", addrs: []string{"a:1"}, script: map[string][]error{"a:1": {errRefused}},
			log: []string{"a:1", "1s", "a:1", "2s", "a:1", "4s", "a:1"},
			err: "ResourceManager not reachable, tried for 7s: a:1 (key in file): connection refused"},
		{name: "neither there", addrs: []string{"a:1", "b:1"}, script: map[string][]error{"a:1": {errRefused}, "b:1": {errStandby}},
			log: []string{"a:1", "b:1", "2s", "a:1", "b:1", "4s", "a:1", "b:1", "4s", "a:1", "b:1"},
			err: "ResourceManager not reachable, tried for 10s: a:1 (key in file): connection refused; b:1 (key in file): connect to : standby (StandbyException)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, s := newScripted(policy, c.script, c.addrs...)
			ambiguous, err := f.try(t.Context(), "getNewApplication", &pb.GetNewApplicationRequestProto{}, &pb.GetNewApplicationResponseProto{})
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("got error %v\nwant %s", err, c.err)
			}
			if !slices.Equal(s.log, c.log) || ambiguous != c.ambiguous {
				t.Errorf("went %v (%v)\nwant %v (%v)", s.log, ambiguous, c.log, c.ambiguous)
			}
		})
	}
}

func TestFailoverKeepsWhoServes(t *testing.T) {
	f, s := newScripted(rpc.Fixed(time.Second, 10*time.Second), map[string][]error{"a:1": {errRefused}}, "a:1", "b:1")
	for range 3 {
		if err := f.call(t.Context(), "m", &pb.GetNewApplicationRequestProto{}, &pb.GetNewApplicationResponseProto{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a:1", "b:1", "b:1", "b:1"}; !slices.Equal(s.log, want) {
		t.Errorf("went %v, want %v", s.log, want)
	}
	f.Close()
	if s.closed != 2 {
		t.Errorf("%d closed", s.closed)
	}
	err := f.call(t.Context(), "m", &pb.GetNewApplicationRequestProto{}, &pb.GetNewApplicationResponseProto{})
	if !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestFailoverEndsWithItsContext(t *testing.T) {
	f, _ := newScripted(rpc.Fixed(time.Second, -1), map[string][]error{"a:1": {errRefused}}, "a:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.call(ctx, "m", &pb.GetNewApplicationRequestProto{}, &pb.GetNewApplicationResponseProto{})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "a:1") || rpc.Classify(err) != rpc.ClassCanceled {
		t.Errorf("got %v", err)
	}
}

func TestAddressesNameTheirSource(t *testing.T) {
	for _, c := range []struct{ name, site, want string }{
		{"plain", property("yarn.resourcemanager.address", "h:1"), "h:1 (yarn.resourcemanager.address in DIR/yarn-site.xml:2)"},
		{"host name", property("yarn.resourcemanager.hostname", "h"), "h:8032 (yarn.resourcemanager.hostname in DIR/yarn-site.xml:2)"},
		{"two", property("yarn.resourcemanager.ha.enabled", "true") + property("yarn.resourcemanager.ha.rm-ids", "x,y") +
			property("yarn.resourcemanager.hostname.x", "h") + property("yarn.resourcemanager.address.y", "i:1"),
			"h:8032 (yarn.resourcemanager.hostname.x in DIR/yarn-site.xml:4), i:1 (yarn.resourcemanager.address.y in DIR/yarn-site.xml:5)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "yarn-site.xml"), []byte("<configuration>\n"+c.site+"</configuration>\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			conf, err := hadoopconf.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			all, err := ClientAddresses(conf)
			var got []string
			for _, a := range all {
				got = append(got, strings.ReplaceAll(a.String(), dir, "DIR"))
			}
			if err != nil || strings.Join(got, ", ") != c.want {
				t.Errorf("got %s, %v\nwant %s", strings.Join(got, ", "), err, c.want)
			}
		})
	}
	if _, err := ClientAddresses(hadoopconf.Defaults()); err == nil {
		t.Error("Hadoop's default address 0.0.0.0 was taken for a ResourceManager")
	}
}

func property(name, value string) string {
	return "<property><name>" + name + "</name><value>" + value + "</value></property>\n"
}

func TestRetryFromConfiguration(t *testing.T) {
	for value, want := range map[string]time.Duration{"": DefaultClientRetry, "1500": 1500 * time.Millisecond, "-1": -1} {
		dir := t.TempDir()
		site := "<configuration>"
		if value != "" {
			site += property("yarn.resourcemanager.connect.max-wait.ms", value)
		}
		if err := os.WriteFile(filepath.Join(dir, "yarn-site.xml"), []byte(site+property("yarn.resourcemanager.hostname", "h")+"</configuration>"), 0o644); err != nil {
			t.Fatal(err)
		}
		conf, err := hadoopconf.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		o, err := ClientOptionsFrom(conf, rpc.Options{})
		if err != nil || o.Retry.MaxElapsed != want {
			t.Errorf("%q: %v, %v, want %v", value, o.Retry.MaxElapsed, err, want)
		}
	}
}
