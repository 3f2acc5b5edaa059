package yarn_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heddle/yarn"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
	"heddle/yarn/yarnfake"
)

var small = yarn.Resource{MemoryMiB: 128, VCores: 1}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(ctx context.Context, t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

func fakeClient(t *testing.T, c *yarnfake.Cluster) *yarn.Client {
	t.Helper()
	o, err := yarn.ClientOptionsFrom(c.Conf(), rpc.Options{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	o.Poll = 5 * time.Millisecond
	client, err := yarn.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// unmanaged submits an application whose master is the test.
func unmanaged(ctx context.Context, t *testing.T, c *yarnfake.Cluster) (yarn.ApplicationID, *yarn.Master, *yarn.Nodes) {
	t.Helper()
	client := fakeClient(t, c)
	id, _, err := client.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	report, err := client.Submit(ctx, yarn.Submission{ID: id, Name: "u", Unmanaged: true, Resource: small})
	if err != nil {
		t.Fatal(err)
	}
	m, n := fakeMaster(t, c, report.AMRMToken)
	return id, m, n
}

func fakeMaster(t *testing.T, c *yarnfake.Cluster, token *security.Token) (*yarn.Master, *yarn.Nodes) {
	t.Helper()
	addresses, err := yarn.SchedulerAddresses(c.Conf())
	if err != nil {
		t.Fatal(err)
	}
	m, err := yarn.NewMaster(yarn.MasterOptions{Addresses: addresses, Token: token, Retry: rpc.Fixed(5*time.Millisecond, 20*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := yarn.NewNodes(yarn.NodesOptions{Tokens: m.NodeToken, Retry: rpc.Fixed(5*time.Millisecond, 20*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); n.Close() })
	return m, n
}

func register(ctx context.Context, t *testing.T, m *yarn.Master) yarn.Registered {
	t.Helper()
	r, err := m.Register(ctx, yarn.Registration{Host: "here", TrackingURL: "http://127.0.0.1:1/ui/"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// books is what a master has been told.
type books struct {
	containers []yarn.Container
	ends       map[yarn.ContainerID]yarn.ContainerStatus
	resyncs    int
}

func (b *books) heartbeat(ctx context.Context, t *testing.T, m *yarn.Master) {
	t.Helper()
	a, err := m.Allocate(ctx, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	b.containers = append(b.containers, a.Containers...)
	if b.ends == nil {
		b.ends = map[yarn.ContainerID]yarn.ContainerStatus{}
	}
	for _, s := range a.Completed {
		if _, twice := b.ends[s.ID]; twice {
			t.Errorf("%s ended twice", s.ID)
		}
		b.ends[s.ID] = s
	}
	if a.Resynced {
		b.resyncs++
	}
}

func TestApplicationAsProcesses(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 2})
	client := fakeClient(t, c)
	id, maximum, err := client.NewApplication(ctx)
	if err != nil || maximum != (yarn.Resource{MemoryMiB: 4096, VCores: 4}) {
		t.Fatalf("%v, %v", maximum, err)
	}
	creds := &security.Credentials{}
	creds.AddSecret("word", []byte("sesame"))
	pkg := filepath.Join(t.TempDir(), "job.tar.gz")
	if err := os.WriteFile(pkg, targz(t, map[string]string{"bin/run": "#!/bin/sh\necho from the package: \"$@\"\n"}), 0o644); err != nil {
		t.Fatal(err)
	}
	resource, err := yarn.FileResource(pkg, yarn.ResourceArchive)
	if err != nil {
		t.Fatal(err)
	}
	awkward := `it's "$HOME" {{PWD}}`
	_, err = client.Submit(ctx, yarn.Submission{
		ID: id, Name: "sleeper", Type: "Test", Tags: []string{"Tag"}, Resource: small, MaxAttempts: 1,
		Master: yarn.LaunchContext{
			Command: yarn.Command("__package/bin/run", awkward) + " >" + yarn.LogDir + "/stdout && env >" + yarn.LogDir + "/env && grep -c sesame " +
				yarn.Var("HADOOP_TOKEN_FILE_LOCATION") + " && exec sleep 600",
			Environment: map[string]string{"AWKWARD": yarn.EnvLiteral(awkward), "DERIVED": yarn.Var("AWKWARD") + "/x"},
			Resources:   map[string]yarn.LocalResource{"__package": resource},
			Credentials: creds,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var containers []yarn.ContainerReport
	eventually(ctx, t, "the master's process", func() bool {
		containers, err = client.Containers(ctx, yarn.AttemptID{Application: id, Attempt: 1})
		return err == nil && len(containers) == 1 && c.PID(containers[0].ID) != 0
	})
	var logs yarn.LogReader
	var chunk yarn.LogChunk
	eventually(ctx, t, "its environment", func() bool {
		chunk, err = logs.Read(ctx, containers[0].HTTPAddress, containers[0].ID, "env", 0, 0)
		return err == nil && len(chunk.Data) > 0
	})
	for _, want := range []string{"AWKWARD=" + awkward + "\n", "DERIVED=" + awkward + "/x\n", "CONTAINER_ID=" + containers[0].ID.String() + "\n", "APPLICATION_WEB_PROXY_BASE=/proxy/" + id.String() + "\n"} {
		if !strings.Contains(string(chunk.Data), want) {
			t.Errorf("no %q in\n%s", want, chunk.Data)
		}
	}
	if chunk, err = logs.Read(ctx, containers[0].HTTPAddress, containers[0].ID, "stdout", 0, 0); err != nil || string(chunk.Data) != "from the package: "+awkward+"\n" {
		t.Errorf("stdout %q, %v", chunk.Data, err)
	}
	reports, err := client.Reports(ctx, yarn.ApplicationFilter{Name: "sleeper", States: yarn.LiveStates, Tags: []string{"tag"}, Users: []string{"alice"}})
	if err != nil || len(reports) != 1 || reports[0].ID != id || reports[0].UsedContainers != 1 {
		t.Errorf("%+v, %v", reports, err)
	}
	pid := c.PID(containers[0].ID)
	if err := client.Kill(ctx, id, "enough"); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the end of the process", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
		return err != nil || c.PID(containers[0].ID) == 0
	})
	report, err := client.Report(ctx, id)
	if err != nil || report.State != yarn.StateKilled || !strings.Contains(report.Diagnostics, "enough") {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := client.Report(ctx, yarn.ApplicationID{ClusterTimestamp: 1, Number: 1}); !errors.Is(err, yarn.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func targz(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFailedMasterIsStartedAgain(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{})
	client := fakeClient(t, c)
	id, _, err := client.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Submit(ctx, yarn.Submission{ID: id, Resource: small, Master: yarn.LaunchContext{Command: "echo the cause >&2; exit 4"}}); err != nil {
		t.Fatal(err)
	}
	var report yarn.ApplicationReport
	eventually(ctx, t, "the failure", func() bool {
		report, err = client.Report(ctx, id)
		return err == nil && report.State.Done()
	})
	if report.State != yarn.StateFailed || report.Attempt.Attempt != 2 || !strings.Contains(report.Diagnostics, "exitCode: 4") || !strings.Contains(report.Diagnostics, "the cause") {
		t.Errorf("%+v", report)
	}
	attempts, err := client.Attempts(ctx, id)
	if err != nil || len(attempts) != 2 || attempts[0].State != yarn.AttemptFailed {
		t.Errorf("%+v, %v", attempts, err)
	}
}

func TestMasterAgainstFake(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 2})
	id, m, n := unmanaged(ctx, t, c)
	if r := register(ctx, t, m); r.Maximum.MemoryMiB != 4096 || r.Queue != "root.default" {
		t.Errorf("%+v", r)
	}
	m.Request(yarn.Request{ID: 5, Count: 2, Priority: 3, Resource: small})
	var b books
	eventually(ctx, t, "containers", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 2 })
	ok, bad := b.containers[0], b.containers[1]
	if ok.RequestID != 5 || ok.Priority != 3 {
		t.Errorf("%+v", ok)
	}
	if err := n.Start(ctx, ok, yarn.LaunchContext{Command: yarn.ExecCommand("sleep", "600")}); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx, bad, yarn.LaunchContext{Command: "exit 7"}); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx, ok, yarn.LaunchContext{Command: "true"}); err == nil || !strings.Contains(err.Error(), "relaunch") {
		t.Errorf("second start: %v", err)
	}
	eventually(ctx, t, "the end of bad", func() bool { b.heartbeat(ctx, t, m); return b.ends[bad.ID].Exit == 7 })
	eventually(ctx, t, "ok runs", func() bool {
		s, err := n.Status(ctx, ok.Node, ok.ID)
		return err == nil && s.State == yarn.ContainerRunning && s.SubState == "RUNNING"
	})
	if err := n.Stop(ctx, ok.Node, ok.ID); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the end of ok", func() bool { b.heartbeat(ctx, t, m); return b.ends[ok.ID].Exit == 143 })
	other := ok.ID
	other.ID += 100
	if _, err := n.Status(ctx, ok.Node, other); !errors.Is(err, yarn.ErrContainerUnknown) {
		t.Errorf("got %v", err)
	}
	if err := n.Stop(ctx, ok.Node, other); err != nil {
		t.Errorf("got %v", err)
	}
	if err := m.Finish(ctx, yarn.FinalSucceeded, "done", ""); err != nil {
		t.Fatal(err)
	}
	report, err := fakeClient(t, c).Report(ctx, id)
	if err != nil || report.State != yarn.StateFinished || report.FinalStatus != yarn.FinalSucceeded || report.Diagnostics != "done" {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := m.Allocate(ctx, 1); !errors.Is(err, yarn.ErrAttemptOver) {
		t.Errorf("got %v", err)
	}
}

func TestPlacement(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 3, NoProcesses: true, Racks: []string{"/a", "/b", "/b"}})
	_, m, _ := unmanaged(ctx, t, c)
	register(ctx, t, m)
	hosts := c.Nodes()
	if hosts[0].Host == hosts[1].Host {
		t.Skip("this machine has one loopback address only")
	}
	// Without the racks a strict request is never met.
	m.Request(yarn.Request{ID: 1, Resource: small, Nodes: []string{hosts[2].Host}, Strict: true})
	m.Request(yarn.Request{ID: 2, Resource: small, Nodes: []string{hosts[1].Host}, Racks: []string{"/b"}, Strict: true})
	m.Request(yarn.Request{ID: 3, Resource: small})
	var b books
	eventually(ctx, t, "two", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 2 })
	for _, k := range b.containers {
		if k.RequestID == 1 || k.RequestID == 2 && k.Node != hosts[1] {
			t.Errorf("request %d was met on %s", k.RequestID, k.Node)
		}
	}
	m.Exclude(hosts[0].Host, hosts[1].Host)
	m.Request(yarn.Request{ID: 4, Count: 3, Resource: small})
	b.containers = nil
	eventually(ctx, t, "three", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 3 })
	for _, k := range b.containers {
		if k.Node != hosts[2] {
			t.Errorf("%s although it is excluded", k)
		}
	}
	if err := m.Request(yarn.Request{ID: 5, Resource: yarn.Resource{MemoryMiB: 99999, VCores: 1}}); err != nil {
		t.Fatal(err)
	}
	_, err := m.Allocate(ctx, 0)
	var refused *yarn.RefusedError
	if !errors.As(err, &refused) || len(refused.Requests) != 1 || refused.Requests[0].ID != 5 {
		t.Errorf("got %v", err)
	}
	b.heartbeat(ctx, t, m)
	if out := m.Outstanding(); len(out) != 1 || out[0].ID != 1 {
		t.Errorf("outstanding: %v", out)
	}
}

// Whatever happens to calls, each request brings what it asked for, and each end is told once.
func TestNothingIsLostOrDoubled(t *testing.T) {
	for name, disturb := range map[string]func(c *yarnfake.Cluster, round int){
		"nothing happens": func(*yarnfake.Cluster, int) {},
		"answers get lost": func(c *yarnfake.Cluster, round int) {
			c.Fail("allocate", 0, 1, yarnfake.Fault{LoseAnswer: true})
		},
		"requests get lost": func(c *yarnfake.Cluster, round int) {
			c.Fail("allocate", round%2, 1, yarnfake.Fault{LoseRequest: true})
		},
		"the server is busy": func(c *yarnfake.Cluster, round int) {
			c.Fail("allocate", 0, 2, yarnfake.Fault{Err: &rpc.RemoteError{Class: "org.apache.hadoop.ipc.RetriableException", Message: "Server too busy"}})
		},
		"orders to start are answered into the void": func(c *yarnfake.Cluster, round int) {
			c.Fail("startContainers", 0, 1, yarnfake.Fault{LoseAnswer: true})
		},
		"connections break": func(c *yarnfake.Cluster, round int) { c.Disconnect() },
		"the key is rolled": func(c *yarnfake.Cluster, round int) { c.RollMasterKey() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 3, NoProcesses: true, Heartbeat: time.Millisecond})
			_, m, n := unmanaged(ctx, t, c)
			register(ctx, t, m)
			var b books
			got := map[int64]int{}
			want := 0
			for round := range 8 {
				disturb(c, round)
				id := int64(round)
				if err := m.Request(yarn.Request{ID: id, Count: 1 + round%3, Resource: small}); err != nil {
					t.Fatal(err)
				}
				want += 1 + round%3
				eventually(ctx, t, "containers", func() bool {
					b.heartbeat(ctx, t, m)
					return len(b.containers) >= want
				})
				for _, k := range b.containers[want-1-round%3:] {
					got[k.RequestID]++
					if err := n.Start(ctx, k, yarn.LaunchContext{Command: "true"}); err != nil {
						t.Fatal(err)
					}
					if err := c.EndContainer(k.ID, 3, "over"); err != nil {
						t.Fatal(err)
					}
				}
				disturb(c, round)
				eventually(ctx, t, "ends", func() bool { b.heartbeat(ctx, t, m); return len(b.ends) >= want })
			}
			for range 5 {
				b.heartbeat(ctx, t, m)
			}
			if len(b.containers) != want || len(b.ends) != want || len(m.Outstanding()) != 0 || b.resyncs != 0 {
				t.Errorf("%d containers and %d ends of %d; outstanding %v; %d resyncs", len(b.containers), len(b.ends), want, m.Outstanding(), b.resyncs)
			}
			for id, n := range got {
				if n != 1+int(id)%3 {
					t.Errorf("request %d: %d containers", id, n)
				}
			}
			if err := m.Finish(ctx, yarn.FinalSucceeded, "", ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestResourceManagerRestart(t *testing.T) {
	for name, restart := range map[string]func(t *testing.T, c *yarnfake.Cluster){
		"restart": func(t *testing.T, c *yarnfake.Cluster) { c.RestartResourceManager() },
		"failover": func(t *testing.T, c *yarnfake.Cluster) {
			c.Failover()
		},
		"down for a while": func(t *testing.T, c *yarnfake.Cluster) {
			c.StopResourceManager()
			time.AfterFunc(100*time.Millisecond, func() {
				if err := c.StartResourceManager(); err != nil {
					t.Error(err)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 2, NoProcesses: true, ResourceManagers: 2})
			id, m, n := unmanaged(ctx, t, c)
			register(ctx, t, m)
			var b books
			m.Request(yarn.Request{ID: 1, Count: 2, Resource: small})
			m.Request(yarn.Request{ID: 2, Resource: small, Nodes: []string{"elsewhere"}, Strict: true})
			eventually(ctx, t, "containers", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 2 })
			for _, k := range b.containers {
				if err := n.Start(ctx, k, yarn.LaunchContext{Command: "true"}); err != nil {
					t.Fatal(err)
				}
			}
			m.Request(yarn.Request{ID: 3, Count: 2, Resource: small})
			m.Release(b.containers[0].ID)
			restart(t, c)
			eventually(ctx, t, "containers after it", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 4 })
			eventually(ctx, t, "the released one's end", func() bool { b.heartbeat(ctx, t, m); return b.ends[b.containers[0].ID].Exit == yarn.ExitAborted })
			if b.resyncs != 1 {
				t.Errorf("%d resyncs", b.resyncs)
			}
			if b.containers[3].ID.Epoch() != 1 {
				t.Errorf("epoch %d", b.containers[3].ID.Epoch())
			}
			if s, err := n.Status(ctx, b.containers[1].Node, b.containers[1].ID); err != nil || s.State != yarn.ContainerRunning {
				t.Errorf("%+v, %v", s, err)
			}
			if err := n.Start(ctx, b.containers[2], yarn.LaunchContext{Command: "true"}); err != nil {
				t.Error(err)
			}
			if out := m.Outstanding(); len(out) != 1 || out[0].ID != 2 {
				t.Errorf("outstanding %v", out)
			}
			restart(t, c)
			if err := m.Finish(ctx, yarn.FinalFailed, "because", ""); err != nil {
				t.Fatal(err)
			}
			report, err := fakeClient(t, c).Report(ctx, id)
			if err != nil || report.FinalStatus != yarn.FinalFailed {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

func TestRenewedToken(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{NoProcesses: true})
	_, m, _ := unmanaged(ctx, t, c)
	register(ctx, t, m)
	var b books
	for range 3 {
		c.RollMasterKey()
		b.heartbeat(ctx, t, m)
		c.DropOldMasterKeys()
		c.Disconnect()
		b.heartbeat(ctx, t, m)
	}
	// One that has missed the new key is told so, not left to try for ever.
	c.RollMasterKey()
	c.DropOldMasterKeys()
	c.Disconnect()
	_, err := m.Allocate(ctx, 0)
	if err == nil || rpc.Classify(err) != rpc.ClassReauthenticate {
		t.Errorf("got %v", err)
	}
}

func TestWrongResponseIDIsMended(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{NoProcesses: true})
	_, m, _ := unmanaged(ctx, t, c)
	register(ctx, t, m)
	m.Request(yarn.Request{ID: 1, Resource: small, Nodes: []string{"elsewhere"}, Strict: true})
	var b books
	b.heartbeat(ctx, t, m)
	c.Fail("allocate", 0, 1, yarnfake.Fault{Err: &rpc.RemoteError{
		Class:   "org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException",
		Message: "Invalid responseId in AllocateRequest from application attempt: x, expect responseId to be 1, but get 7",
	}})
	b.heartbeat(ctx, t, m)
	if out := m.Outstanding(); len(out) != 1 {
		t.Errorf("outstanding %v", out)
	}
}

func TestLostRegistrationAnswer(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{NoProcesses: true})
	_, m, _ := unmanaged(ctx, t, c)
	c.Fail("registerApplicationMaster", 0, 1, yarnfake.Fault{LoseAnswer: true})
	register(ctx, t, m)
	new(books).heartbeat(ctx, t, m)
	if _, err := m.Register(ctx, yarn.Registration{}); err == nil {
		t.Error("a second registration was taken")
	}
}

func TestLostNodeAndPreemption(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 2, NodeResource: yarn.Resource{MemoryMiB: 256, VCores: 2}})
	_, m, n := unmanaged(ctx, t, c)
	register(ctx, t, m)
	m.Request(yarn.Request{ID: 1, Count: 4, Resource: small})
	var b books
	eventually(ctx, t, "four", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 4 })
	for _, k := range b.containers {
		if err := n.Start(ctx, k, yarn.LaunchContext{Command: "exec sleep 600"}); err != nil {
			t.Fatal(err)
		}
	}
	lost := c.Nodes()[1]
	c.LoseNode(1)
	var a yarn.Allocation
	eventually(ctx, t, "the news", func() bool {
		var err error
		if a, err = m.Allocate(ctx, 0); err != nil {
			t.Fatal(err)
		}
		return len(a.UpdatedNodes) > 0
	})
	if len(a.Completed) != 2 || a.Completed[0].Exit != yarn.ExitAborted || a.UpdatedNodes[0].State != yarn.NodeLost || a.UpdatedNodes[0].ID != lost || a.Nodes != 1 {
		t.Errorf("%+v", a)
	}
	i := slices.IndexFunc(b.containers, func(k yarn.Container) bool { return k.Node != lost })
	if err := c.EndContainer(b.containers[i].ID, yarn.ExitPreempted, "preempted"); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the preemption", func() bool { b.heartbeat(ctx, t, m); return b.ends[b.containers[i].ID].Exit == yarn.ExitPreempted })
	if got := len(c.Running()); got != 1 {
		t.Errorf("%d containers run", got)
	}
	metrics, err := fakeClient(t, c).ClusterMetrics(ctx)
	if err != nil || metrics.Lost != 1 || metrics.Active != 1 {
		t.Errorf("%+v, %v", metrics, err)
	}
	// Quickly: nobody is there.
	quick, err := yarn.NewNodes(yarn.NodesOptions{Tokens: m.NodeToken, Retry: rpc.Fixed(time.Millisecond, 20*time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	defer quick.Close()
	_, err = quick.Status(ctx, lost, b.containers[0].ID)
	var unreachable *yarn.UnreachableError
	if !errors.As(err, &unreachable) || rpc.Classify(err) != rpc.ClassRetryOther {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsToNodesAreBounded(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{Nodes: 4, NoProcesses: true, NodeResource: yarn.Resource{MemoryMiB: 256, VCores: 2}})
	_, m, _ := unmanaged(ctx, t, c)
	register(ctx, t, m)
	m.Request(yarn.Request{ID: 1, Count: 8, Resource: small})
	var b books
	eventually(ctx, t, "eight", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 8 })
	n, err := yarn.NewNodes(yarn.NodesOptions{Tokens: m.NodeToken, MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for range 3 {
		for _, k := range b.containers {
			if _, err := n.Status(ctx, k.Node, k.ID); !errors.Is(err, yarn.ErrContainerUnknown) {
				t.Errorf("not started: %v", err)
			}
		}
	}
}

func TestSubmitRefusals(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{NoProcesses: true})
	client := fakeClient(t, c)
	submit := func(change func(*yarn.Submission)) error {
		id, _, err := client.NewApplication(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s := yarn.Submission{ID: id, Resource: small, Master: yarn.LaunchContext{Command: "true"}}
		change(&s)
		_, err = client.Submit(ctx, s)
		return err
	}
	if err := submit(func(s *yarn.Submission) { s.Queue = "nope" }); err == nil || !strings.Contains(err.Error(), "unknown queue: nope") {
		t.Errorf("got %v", err)
	}
	if err := submit(func(s *yarn.Submission) { s.Resource.MemoryMiB = 1 << 20 }); err == nil || !strings.Contains(err.Error(), "maximum allowed") {
		t.Errorf("got %v", err)
	}
	if err := submit(func(*yarn.Submission) {
		c.Fail("submitApplication", 0, 1, yarnfake.Fault{LoseAnswer: true})
	}); err != nil {
		t.Errorf("got %v", err)
	}
	// A ResourceManager that failed over before it saved the application.
	c.Fail("getApplicationReport", 0, 1, yarnfake.Fault{Err: &rpc.RemoteError{Class: "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException"}})
	before := c.Calls("submitApplication")
	if err := submit(func(*yarn.Submission) {}); err != nil || c.Calls("submitApplication") != before+2 {
		t.Errorf("%d submissions, %v", c.Calls("submitApplication")-before, err)
	}
	if _, err := client.DelegationToken(ctx, "yarn"); err == nil {
		t.Error("a token without security")
	}
	if _, err := client.Queue(ctx, "nope", true); err == nil {
		t.Error("a queue that is not there")
	}
	if q, err := client.Queue(ctx, "default", true); err != nil || q.State != "RUNNING" {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestKeptContainersOutliveTheMaster(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{})
	client := fakeClient(t, c)
	id, _, err := client.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The master hands its token to the test.
	if _, err := client.Submit(ctx, yarn.Submission{
		ID: id, Resource: small, KeepContainers: true,
		Master: yarn.LaunchContext{Command: "cp " + yarn.Var("HADOOP_TOKEN_FILE_LOCATION") + " <LOG_DIR>/.part && mv <LOG_DIR>/.part <LOG_DIR>/token && exec sleep 600"},
	}); err != nil {
		t.Fatal(err)
	}
	master := func(attempt int32) (*yarn.Master, *yarn.Nodes, yarn.ContainerID) {
		var creds *security.Credentials
		var self yarn.ContainerID
		eventually(ctx, t, fmt.Sprintf("attempt %d", attempt), func() bool {
			for _, k := range c.Running(id) {
				if k.Attempt.Attempt == attempt {
					self = k
					creds, err = security.ReadCredentialsFile(filepath.Join(c.LogDir(k), "token"))
					return err == nil
				}
			}
			return false
		})
		o, err := yarn.MasterOptionsFrom(c.Conf(), creds, rpc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, n := fakeMaster(t, c, o.Token)
		return m, n, self
	}
	m, n, self := master(1)
	register(ctx, t, m)
	m.Request(yarn.Request{ID: 1, Count: 2, Resource: small})
	var b books
	eventually(ctx, t, "two", func() bool { b.heartbeat(ctx, t, m); return len(b.containers) == 2 })
	for _, k := range b.containers {
		if err := n.Start(ctx, k, yarn.LaunchContext{Command: "exec sleep 600"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.EndContainer(self, 137, "killed"); err != nil {
		t.Fatal(err)
	}
	m2, n2, self2 := master(2)
	if _, err := m.Allocate(ctx, 0); !errors.Is(err, yarn.ErrAttemptOver) {
		t.Errorf("the first master: %v", err)
	}
	r := register(ctx, t, m2)
	if len(r.Containers) != 2 {
		t.Fatalf("adopted %v", r.Containers)
	}
	if err := n2.Stop(ctx, r.Containers[0].Node, r.Containers[0].ID); err != nil {
		t.Fatal(err)
	}
	var b2 books
	eventually(ctx, t, "its end", func() bool {
		b2.heartbeat(ctx, t, m2)
		return b2.ends[r.Containers[0].ID].Exit == 143
	})
	if err := m2.Finish(ctx, yarn.FinalSucceeded, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := c.EndContainer(self2, 0, ""); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the end of all", func() bool { return len(c.Running(id)) == 0 })
}

func TestProxy(t *testing.T) {
	ctx, c := testContext(t), yarnfake.New(t, yarnfake.Options{NoProcesses: true})
	id, m, _ := unmanaged(ctx, t, c)
	seen := make(chan *http.Request, 1)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		fmt.Fprint(w, "the page")
	}))
	defer page.Close()
	if _, err := m.Register(ctx, yarn.Registration{TrackingURL: page.URL + "/ui/"}); err != nil {
		t.Fatal(err)
	}
	base := "http://" + c.WebAddress() + "/proxy/" + id.String()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api?x=y", nil)
	req.Header.Set("Authorization", "secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if r := <-seen; r.URL.String() != "/ui/api?x=y" || r.Header.Get("Authorization") != "" || !strings.HasPrefix(r.Header.Get("Cookie"), "proxy-user=") {
		t.Errorf("%s %v", r.URL, r.Header)
	}
	resp, err = http.Post(base, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}
