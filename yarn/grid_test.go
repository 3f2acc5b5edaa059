//go:build grid

package yarn_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"heddle/internal/grid"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// The tests of this file need a real YARN: bin/grid.sh start hdfs yarn, then
// eval "$(bin/grid.sh env)" and go test -tags grid ./yarn/.

func gridConf(t *testing.T) *hadoopconf.Conf {
	t.Helper()
	conf, err := hadoopconf.Load(grid.Use(t, grid.YARN).HadoopConfDir)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

func gridUser(t *testing.T) string {
	t.Helper()
	if u := os.Getenv("HADOOP_USER_NAME"); u != "" {
		return u
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func gridClient(t *testing.T) *yarn.Client {
	t.Helper()
	o, err := yarn.ClientOptionsFrom(gridConf(t), rpc.Options{User: gridUser(t)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := yarn.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func gridContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until polls f until it is true.
func until(ctx context.Context, t *testing.T, what string, f func() bool) {
	t.Helper()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestGridSubmitFollowKill(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	metrics, err := c.ClusterMetrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := c.Nodes(ctx, yarn.NodeRunning)
	if err != nil || len(nodes) == 0 || len(nodes) != metrics.Active {
		t.Fatalf("%+v; nodes %+v, %v", metrics, nodes, err)
	}
	t.Logf("nodes %+v", nodes)
	queue, err := c.Queue(ctx, "default", false)
	if err != nil || queue.State != "RUNNING" {
		t.Fatalf("queue %+v, %v", queue, err)
	}
	id, maximum, err := c.NewApplication(ctx)
	if err != nil || maximum.MemoryMiB == 0 {
		t.Fatalf("%v %v %v", id, maximum, err)
	}
	awkward := "it's \"$HOME\" {{PWD}} <LOG_DIR> `x` \\"
	report, err := c.Submit(ctx, yarn.Submission{
		ID:       id,
		Name:     "heddle-yarn-test",
		Type:     "Heddle",
		Tags:     []string{"heddle-test"},
		Resource: yarn.Resource{MemoryMiB: 128, VCores: 1},
		Master: yarn.LaunchContext{
			Command:     "echo " + yarn.Command(awkward) + " && echo \"\\$AWKWARD\" && exec " + yarn.Command("sleep", "600"),
			Environment: map[string]string{"AWKWARD": yarn.EnvLiteral(awkward), "HERE": yarn.Var("PWD")},
		},
		MaxAttempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("accepted: %+v", report)
	t.Cleanup(func() {
		if t.Failed() {
			c.Kill(context.WithoutCancel(ctx), id, "test failed")
		}
	})
	var attempts []yarn.AttemptReport
	until(ctx, t, "the master's process", func() bool {
		attempts, err = c.Attempts(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return len(attempts) == 1 && attempts[0].State == yarn.AttemptLaunched
	})
	t.Logf("attempt: %+v", attempts[0])
	containers, err := c.Containers(ctx, attempts[0].ID)
	if err != nil || len(containers) != 1 || containers[0].ID != attempts[0].Container {
		t.Fatalf("containers %+v, %v", containers, err)
	}
	t.Logf("container: %+v", containers[0])
	for _, f := range []yarn.ApplicationFilter{
		{Name: "heddle-yarn-test", States: yarn.LiveStates},
		{Tags: []string{"heddle-test"}, Types: []string{"Heddle"}},
		{Users: []string{gridUser(t)}, SubmittedAfter: time.Now().Add(-time.Hour)},
	} {
		reports, err := c.Reports(ctx, f)
		if err != nil || len(reports) == 0 || reports[0].ID != id {
			t.Errorf("filter %+v: %+v, %v", f, reports, err)
		}
	}
	if reports, err := c.Reports(ctx, yarn.ApplicationFilter{Name: "heddle-yarn-tes"}); err != nil || len(reports) != 0 {
		t.Errorf("a name that is no application's: %+v, %v", reports, err)
	}
	if err := c.Kill(ctx, id, "killed by a test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(ctx, id, "again"); err != nil {
		t.Errorf("second kill: %v", err)
	}
	report, err = c.Report(ctx, id)
	if err != nil || report.State != yarn.StateKilled || report.FinalStatus != yarn.FinalKilled || !strings.Contains(report.Diagnostics, "killed by a test") {
		t.Errorf("after the kill: %+v, %v", report, err)
	}
	if _, err := c.Report(ctx, yarn.ApplicationID{ClusterTimestamp: 1, Number: 1}); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("unknown application: %v", err)
	}
}

// gridMaster makes an application whose master is this test.
func gridMaster(ctx context.Context, t *testing.T, c *yarn.Client) (yarn.ApplicationID, *yarn.Master, *yarn.Nodes) {
	t.Helper()
	id, _, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	report, err := c.Submit(ctx, yarn.Submission{
		ID: id, Name: "heddle-yarn-master-test", Unmanaged: true, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}, MaxAttempts: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.Kill(context.WithoutCancel(ctx), id, "test failed")
		}
	})
	until(ctx, t, "token of the unmanaged master", func() bool {
		report, err = c.Report(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return report.AMRMToken != nil
	})
	addresses, err := yarn.SchedulerAddresses(gridConf(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := yarn.NewMaster(yarn.MasterOptions{Addresses: addresses, Token: report.AMRMToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	n, err := yarn.NewNodes(yarn.NodesOptions{Tokens: m.NodeToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return id, m, n
}

func TestGridMaster(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	id, m, n := gridMaster(ctx, t, c)
	if _, err := m.Allocate(ctx, 0); err == nil {
		t.Error("allocate before register")
	}
	reg, err := m.Register(ctx, yarn.Registration{Host: "localhost", TrackingURL: "http://localhost:1/ui/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("registered: %+v", reg)

	// Too large: refused at once, and all that follows works.
	if err := m.Request(yarn.Request{ID: 99, Resource: yarn.Resource{MemoryMiB: reg.Maximum.MemoryMiB * 2, VCores: 1}}); err != nil {
		t.Fatal(err)
	}
	_, err = m.Allocate(ctx, 0)
	t.Logf("too large: %v", err)
	if r := (*yarn.RefusedError)(nil); !asRefused(err, &r) || len(r.Requests) != 1 || r.Requests[0].ID != 99 {
		t.Fatalf("got %v", err)
	}

	creds := &security.Credentials{}
	creds.AddSecret("word", []byte("open sesame"))
	if err := m.Request(yarn.Request{ID: 1, Count: 2, Resource: yarn.Resource{MemoryMiB: 100, VCores: 1}}); err != nil {
		t.Fatal(err)
	}
	var got []yarn.Container
	ends := map[yarn.ContainerID]yarn.ContainerStatus{}
	heartbeat := func() yarn.Allocation {
		a, err := m.Allocate(ctx, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.Containers...)
		for _, s := range a.Completed {
			ends[s.ID] = s
		}
		return a
	}
	until(ctx, t, "two containers", func() bool { heartbeat(); return len(got) >= 2 })
	if len(m.Outstanding()) != 0 {
		t.Errorf("outstanding %v", m.Outstanding())
	}
	for _, k := range got {
		t.Logf("container %v request %d priority %d %v http %s", k, k.RequestID, k.Priority, k.Resource, k.HTTPAddress)
		if k.RequestID != 1 {
			t.Errorf("request id %d", k.RequestID)
		}
	}
	ok, bad := got[0], got[1]
	if err := n.Start(ctx, ok, yarn.LaunchContext{
		Command:     "echo hello " + yarn.Var("NAME") + " && grep -q sesame " + yarn.Var("HADOOP_TOKEN_FILE_LOCATION") + " && exec sleep 600 " + yarn.RedirectToLogs,
		Environment: map[string]string{"NAME": yarn.EnvLiteral(`a "b" $c`)},
		Credentials: creds,
	}); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx, bad, yarn.LaunchContext{Command: "echo what went wrong >&2; exit 7 " + yarn.RedirectToLogs}); err != nil {
		t.Fatal(err)
	}
	err = n.Start(ctx, ok, yarn.LaunchContext{Command: "true"})
	t.Logf("second start: %v", err)
	if err == nil {
		t.Error("a container was started twice")
	}
	status, err := n.Status(ctx, ok.Node, ok.ID)
	t.Logf("status: %+v, %v", status, err)
	if err != nil || status.State != yarn.ContainerRunning {
		t.Errorf("status %+v, %v", status, err)
	}
	until(ctx, t, "the end of the bad container", func() bool { heartbeat(); return ends[bad.ID].State == yarn.ContainerComplete })
	t.Logf("end: %+v", ends[bad.ID])
	if s := ends[bad.ID]; s.Exit != 7 {
		t.Errorf("exit status %d, diagnostics %s", s.Exit, s.Diagnostics)
	}
	_, err = n.Status(ctx, bad.Node, bad.ID)
	t.Logf("status after the end: %v", err)
	if err := n.Signal(ctx, ok.Node, ok.ID, yarn.SignalTerminate); err != nil {
		t.Errorf("signal: %v", err)
	}
	until(ctx, t, "the end of the signalled container", func() bool { heartbeat(); return ends[ok.ID].State == yarn.ContainerComplete })
	t.Logf("end: %+v", ends[ok.ID])
	if s := ends[ok.ID]; s.Exit != 143 {
		t.Errorf("exit status %d: %s", s.Exit, s.Diagnostics)
	}
	if err := n.Stop(ctx, ok.Node, ok.ID); err != nil {
		t.Errorf("stop of what has ended: %v", err)
	}

	// That host or none, then released without a start; and one on a host that is not there.
	got = nil
	host := bad.Node.Host
	m.Request(yarn.Request{ID: 2, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}, Nodes: []string{host}, Strict: true})
	m.Request(yarn.Request{ID: 3, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}, Nodes: []string{"no.such.host"}, Strict: true})
	until(ctx, t, "a container on "+host, func() bool { heartbeat(); return len(got) > 0 })
	if len(got) != 1 || got[0].RequestID != 2 || got[0].Node.Host != host {
		t.Errorf("got %v", got)
	}
	m.Cancel(3)
	m.Release(got[0].ID)
	until(ctx, t, "the end of the released container", func() bool { heartbeat(); return ends[got[0].ID].State == yarn.ContainerComplete })
	if s := ends[got[0].ID]; s.Exit != yarn.ExitAborted {
		t.Errorf("released: %+v", s)
	}

	m.SetTrackingURL("http://localhost:2/ui/")
	heartbeat()
	report, err := c.Report(ctx, id)
	if err != nil || report.State != yarn.StateRunning || report.OriginalTrackingURL != "http://localhost:2/ui/" {
		t.Errorf("report %+v, %v", report, err)
	}
	t.Logf("tracking URL %s", report.TrackingURL)
	if err := m.Finish(ctx, yarn.FinalSucceeded, "well done", ""); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, "FINISHED", func() bool {
		report, err = c.Report(ctx, id)
		return err == nil && report.State.Done()
	})
	if report.State != yarn.StateFinished || report.FinalStatus != yarn.FinalSucceeded || report.Diagnostics != "well done" {
		t.Errorf("report %+v", report)
	}
	_, err = m.Allocate(ctx, 1)
	t.Logf("allocate after the end: %v", err)
	if err == nil {
		t.Error("allocate after the end")
	}
}

func TestGridResourceManagerRestart(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	g := grid.Use(t, grid.YARN)
	id, m, n := gridMaster(ctx, t, c)
	if _, err := m.Register(ctx, yarn.Registration{Host: "localhost"}); err != nil {
		t.Fatal(err)
	}
	var got []yarn.Container
	ends := map[yarn.ContainerID]yarn.ContainerStatus{}
	resynced := false
	heartbeat := func() bool {
		a, err := m.Allocate(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		resynced = resynced || a.Resynced
		got = append(got, a.Containers...)
		for _, s := range a.Completed {
			ends[s.ID] = s
		}
		return a.Resynced
	}
	m.Request(yarn.Request{ID: 1, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}})
	until(ctx, t, "a container", func() bool { heartbeat(); return len(got) == 1 })
	if err := n.Start(ctx, got[0], yarn.LaunchContext{Command: "exec sleep 600"}); err != nil {
		t.Fatal(err)
	}
	// Outstanding when the ResourceManager goes: one that cannot be met, one never told of.
	m.Request(yarn.Request{ID: 2, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}, Nodes: []string{"no.such.host"}, Strict: true})
	heartbeat()
	g.Restart(t, grid.RM)
	m.Request(yarn.Request{ID: 3, Count: 2, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}})
	started := time.Now()
	until(ctx, t, "containers after the restart", func() bool { heartbeat(); return len(got) == 3 })
	t.Logf("%d containers %v after the restart; ends %v", len(got), time.Since(started), ends)
	if !resynced {
		t.Error("no resync")
	}
	for _, k := range got[1:] {
		if k.RequestID != 3 || k.ID.Epoch() == 0 {
			t.Errorf("container %v for request %d, epoch %d", k, k.RequestID, k.ID.Epoch())
		}
	}
	if out := m.Outstanding(); len(out) != 1 || out[0].ID != 2 {
		t.Errorf("outstanding %v", out)
	}
	// The first container has survived, and its node takes a token of the new ResourceManager.
	if s, err := n.Status(ctx, got[0].Node, got[0].ID); err != nil || s.State != yarn.ContainerRunning {
		t.Errorf("status of the first container: %+v, %v", s, err)
	}
	for _, k := range got[1:] {
		if err := n.Start(ctx, k, yarn.LaunchContext{Command: "exit 3"}); err != nil {
			t.Error(err)
		}
	}
	until(ctx, t, "their ends", func() bool { heartbeat(); return ends[got[1].ID].Exit == 3 && ends[got[2].ID].Exit == 3 })
	if err := m.Finish(ctx, yarn.FinalFailed, "as planned", ""); err != nil {
		t.Fatal(err)
	}
	report, err := c.Report(ctx, id)
	if err != nil || report.FinalStatus != yarn.FinalFailed {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestGridNodeManagerRestart(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	g := grid.Use(t, grid.YARN)
	_, m, n := gridMaster(ctx, t, c)
	if _, err := m.Register(ctx, yarn.Registration{}); err != nil {
		t.Fatal(err)
	}
	m.Request(yarn.Request{ID: 1, Count: 2, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}})
	var got []yarn.Container
	heartbeat := func() yarn.Allocation {
		a, err := m.Allocate(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.Containers...)
		return a
	}
	until(ctx, t, "containers", func() bool { heartbeat(); return len(got) == 2 })
	if err := n.Start(ctx, got[0], yarn.LaunchContext{Command: "exec sleep 600"}); err != nil {
		t.Fatal(err)
	}
	g.Restart(t, "nm1", "nm2")
	// The container has survived; the token of before the restart is still good, for a start, too.
	until(ctx, t, "the node's answer", func() bool {
		s, err := n.Status(ctx, got[0].Node, got[0].ID)
		if err != nil {
			t.Logf("status: %v (%v)", err, rpc.Classify(err))
		}
		return err == nil && s.State == yarn.ContainerRunning
	})
	if err := n.Start(ctx, got[1], yarn.LaunchContext{Command: "exec sleep 600"}); err != nil {
		t.Errorf("start: %v", err)
	}
	if err := n.Stop(ctx, got[0].Node, got[0].ID); err != nil {
		t.Error(err)
	}
	until(ctx, t, "its end", func() bool {
		return slices.ContainsFunc(heartbeat().Completed, func(s yarn.ContainerStatus) bool {
			return s.ID == got[0].ID && s.Exit == 143
		})
	})
	if err := m.Finish(ctx, yarn.FinalSucceeded, "", ""); err != nil {
		t.Error(err)
	}
}

func TestGridKilledMasterIsTold(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	id, m, _ := gridMaster(ctx, t, c)
	if _, err := m.Register(ctx, yarn.Registration{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Allocate(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(ctx, id, ""); err != nil {
		t.Fatal(err)
	}
	var err error
	until(ctx, t, "the end of the attempt", func() bool {
		_, err = m.Allocate(ctx, 0)
		return err != nil
	})
	t.Logf("allocate: %v", err)
	if !isOver(err) {
		t.Errorf("got %v", err)
	}
}

func TestGridNobodyThere(t *testing.T) {
	gridConf(t)
	c, err := yarn.NewClient(yarn.ClientOptions{
		Addresses: []yarn.Address{{HostPort: "127.0.0.1:1", Source: "test"}}, RPC: rpc.Options{User: "u"}, Retry: rpc.Fixed(50*time.Millisecond, 300*time.Millisecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.NewApplication(t.Context())
	if err == nil || !strings.Contains(fmt.Sprint(err), "127.0.0.1:1 (test)") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func asRefused(err error, r **yarn.RefusedError) bool { return errors.As(err, r) }

func isOver(err error) bool { return errors.Is(err, yarn.ErrAttemptOver) }

func TestGridLogs(t *testing.T) {
	ctx, c := gridContext(t), gridClient(t)
	_, m, n := gridMaster(ctx, t, c)
	if _, err := m.Register(ctx, yarn.Registration{}); err != nil {
		t.Fatal(err)
	}
	m.Request(yarn.Request{ID: 1, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}})
	var k yarn.Container
	until(ctx, t, "a container", func() bool {
		a, err := m.Allocate(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Containers) > 0 {
			k = a.Containers[0]
		}
		return k.Token != nil
	})
	script := `printf first; while [ ! -e go ]; do sleep 0.1; done; seq 100000; exec sleep 600`
	if err := n.Start(ctx, k, yarn.LaunchContext{Command: yarn.ExecCommand("sh", "-c", script)}); err != nil {
		t.Fatal(err)
	}
	var r yarn.LogReader
	var chunk yarn.LogChunk
	var err error
	until(ctx, t, "the first bytes", func() bool {
		chunk, err = r.Read(ctx, k.HTTPAddress, k.ID, "stdout", 0, 0)
		return err == nil && len(chunk.Data) > 0
	})
	if string(chunk.Data) != "first" {
		t.Errorf("got %q", chunk.Data)
	}
	files, err := r.Files(ctx, k.HTTPAddress, k.ID)
	t.Logf("%v, %v", files, err)
	if err != nil || !slices.ContainsFunc(files, func(f yarn.LogFile) bool { return f.Name == "stdout" && f.Size == 5 && !f.Modified.IsZero() }) {
		t.Errorf("files %v, %v", files, err)
	}
	_, err = r.Read(ctx, k.HTTPAddress, k.ID, "nope", 0, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	other := k.ID
	other.Attempt.Application.Number += 1000
	_, err = r.Files(ctx, k.HTTPAddress, other)
	if !errors.Is(err, yarn.ErrContainerUnknown) {
		t.Errorf("a container that is not there: %v", err)
	}
	// No path leads into the container's folder from here but its process's.
	for _, p := range grid.Use(t, grid.YARN).Processes(t, "sh", "") {
		if p.Container == k.ID.String() {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/cwd/go", p.PID), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want, got strings.Builder
	for i := range 100000 {
		fmt.Fprintln(&want, i+1)
	}
	until(ctx, t, "the rest", func() bool {
		chunk, err = r.Read(ctx, k.HTTPAddress, k.ID, "stdout", chunk.Next(), 50_000)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(chunk.Data)
		return got.Len() >= want.Len()
	})
	if got.String() != want.String() {
		t.Errorf("%d bytes came, %d were written", got.Len(), want.Len())
	}
	if err := n.Stop(ctx, k.Node, k.ID); err != nil {
		t.Error(err)
	}
	if err := m.Finish(ctx, yarn.FinalSucceeded, "", ""); err != nil {
		t.Error(err)
	}
	chunk, err = r.Read(ctx, k.HTTPAddress, k.ID, "stdout", -7, 0)
	if err != nil || string(chunk.Data) != "100000\n" {
		t.Errorf("after the end: %q, %v", chunk.Data, err)
	}
}
