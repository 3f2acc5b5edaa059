package am

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"heddle/yarn"
	"heddle/yarn/rpc"
	"heddle/yarn/yarnfake"
)

// onFake is the edge to YARN of an application whose master is the test, on a
// cluster of two nodes in this process, each with room for two containers.
func onFake(t *testing.T) (*YARN, *yarnfake.Cluster, chan Event) {
	t.Helper()
	size := yarn.Resource{MemoryMiB: 128, VCores: 1}
	c := yarnfake.New(t, yarnfake.Options{Nodes: 2, NoProcesses: true, NodeResource: yarn.Resource{MemoryMiB: 256, VCores: 2}, Heartbeat: time.Millisecond})
	if n := c.Nodes(); n[0].Host == n[1].Host {
		t.Skip("this machine has one loopback address only")
	}
	o, err := yarn.ClientOptionsFrom(c.Conf(), rpc.Options{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := yarn.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	id, _, err := client.NewApplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	report, err := client.Submit(t.Context(), yarn.Submission{ID: id, Name: "placed", Unmanaged: true, Resource: size})
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := yarn.SchedulerAddresses(c.Conf())
	if err != nil {
		t.Fatal(err)
	}
	m, err := yarn.NewMaster(yarn.MasterOptions{Addresses: addresses, Token: report.AMRMToken, RackOf: func(string) string { return yarn.DefaultRack }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	y := &YARN{Master: m, Resource: size, Slow: 2 * time.Millisecond, Fast: 2 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	events := make(chan Event, 100)
	ctx, cancel := context.WithCancel(t.Context())
	if err := y.Start(ctx, Self{Host: "here", TrackingURL: "http://127.0.0.1:1/ui/"}, events); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); y.beats.Wait() })
	return y, c, events
}

// given is the next container that the scheduler gives.
func given(t *testing.T, events <-chan Event) Allocation {
	t.Helper()
	select {
	case e := <-events:
		a, ok := e.(Allocated)
		if !ok || len(a.Containers) != 1 {
			t.Fatalf("%T %+v, want one container", e, e)
		}
		return a.Containers[0]
	case <-time.After(30 * time.Second):
		t.Fatal("no container was given")
	}
	return Allocation{}
}

// nothingGiven lets the scheduler be asked ten times more, and fails if it gives
// anything.
func nothingGiven(t *testing.T, c *yarnfake.Cluster, events <-chan Event) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for until := c.Calls("allocate") + 10; c.Calls("allocate") < until; {
		select {
		case e := <-events:
			t.Fatalf("%T %+v, want nothing", e, e)
		case <-tick.C:
		case <-deadline:
			t.Fatal("the scheduler is not asked")
		}
	}
}

// A request with a preferred host is met there or not at all, although another
// node has room; a request for any host is met on that one.
func TestRequestForAHostIsMetThereAlone(t *testing.T) {
	y, c, events := onFake(t)
	home, other := c.Nodes()[0].Host, c.Nodes()[1].Host
	for _, p := range []string{"0", "1"} { // which fills it
		y.Do(Request{p, home})
		if a := given(t, events); a.For != p || a.Host != home {
			t.Fatalf("processor %s was given %+v, want one on %s", p, a, home)
		}
		y.Do(Withdraw{p, home})
	}
	y.Do(Request{"2", home})
	nothingGiven(t, c, events)
	y.Do(Withdraw{"2", home})
	y.Do(Request{"2", ""})
	if a := given(t, events); a.For != "2" || a.Host != other {
		t.Errorf("processor 2 was given %+v, want one on %s", a, other)
	}
}

// No container is given on a host that is excluded, as long as it is.
func TestExcludedHost(t *testing.T) {
	y, c, events := onFake(t)
	bad, other := c.Nodes()[0].Host, c.Nodes()[1].Host
	y.Do(Exclude{[]string{bad}})
	for _, p := range []string{"0", "1"} {
		y.Do(Request{p, ""})
		if a := given(t, events); a.For != p || a.Host != other {
			t.Fatalf("processor %s was given %+v, want one on %s", p, a, other)
		}
		y.Do(Withdraw{p, ""})
	}
	y.Do(Request{"2", ""})
	nothingGiven(t, c, events)
	y.Do(Exclude{})
	if a := given(t, events); a.For != "2" || a.Host != bad {
		t.Errorf("processor 2 was given %+v, want one on %s", a, bad)
	}
}
