package job

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/am"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
	"heddle/yarn/yarnfake"
)

// TestFilesThatCannotBeRemoved: that the job has ended is no failure because its
// files are still there.
func TestFilesThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(`<configuration><property><name>fs.defaultFS</name><value>hdfs://localhost:1</value></property></configuration>`), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := hadoopconf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &Cluster{conf: conf, user: "nobody"}
	c.cleanUp(t.Context(), yarn.ApplicationID{ClusterTimestamp: 7, Number: 1}, NewSay(&out, false))
	if !strings.Contains(out.String(), "warning: the files of application_7_0001 are left to the next submit") || !strings.Contains(out.String(), "localhost:1") {
		t.Errorf("%q", out.String())
	}
}

// TestKillTellsHowItWas: the exit code of kill is 1 if the job did not stop in
// order, whoever knows it: the application master, or run-job that had to force it.
func TestKillTellsHowItWas(t *testing.T) {
	const asked = "stopped by run-job kill"
	for _, tt := range []struct {
		name string
		// end is how the application master ends when it is told to stop; nil: not.
		end *yarnEnd
		// silent: the application master does not answer.
		silent bool
		says   string // "": exit code 0
	}{
		{"in order", &yarnEnd{yarn.FinalKilled, asked}, false, ""},
		{"by itself", &yarnEnd{yarn.FinalSucceeded, ""}, false, ""},
		{"a container was killed", &yarnEnd{yarn.FinalKilled, asked + am.NotInOrder + "container 0: did not stop within 40s and was killed"}, false,
			"did not end in order: container 0: did not stop within 40s and was killed; what it had not committed is read again"},
		{"the job failed", &yarnEnd{yarn.FinalFailed, "container 0 failed 9 times"}, false, "did not end in order: container 0 failed 9 times"},
		{"it does not stop", nil, false, "was killed, as it did not stop within"},
		{"its master does not answer", nil, true, "was killed, as its application master could not be asked to stop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			ctx := t.Context()
			c, fake := fakeCluster(t)
			id, master := application(t, c, fake, true)
			if err := keepSecret(id.String(), bytes.Repeat([]byte{7}, 32)); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.silent {
					http.Error(w, "no", http.StatusInternalServerError)
					return
				}
				w.WriteHeader(http.StatusAccepted)
				if tt.end != nil {
					if err := master.Finish(context.WithoutCancel(r.Context()), tt.end.status, tt.end.diagnostics, ""); err != nil {
						t.Error(err)
					}
				}
			}))
			defer server.Close()
			if _, err := master.Register(ctx, yarn.Registration{Host: "here", TrackingURL: server.URL + "/ui/"}); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			patience := time.Duration(0)
			if tt.end == nil {
				patience = -killMargin + 100*time.Millisecond
			}
			err := c.Kill(ctx, Which{Application: id.String()}, patience, NewSay(&out, false))
			if tt.says == "" && err != nil || tt.says != "" && (ExitCode(err) != ExitFailed || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%v; want %q\n%s", err, tt.says, out.String())
			}
			report, err := c.client.Report(ctx, id)
			if err != nil || !report.State.Done() {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
	t.Run("it has not started", func(t *testing.T) {
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		c, fake := fakeCluster(t)
		id, _ := application(t, c, fake, false)
		var out bytes.Buffer
		if err := c.Kill(t.Context(), Which{Application: id.String()}, 0, NewSay(&out, false)); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
}

type yarnEnd struct {
	status      yarn.FinalStatus
	diagnostics string
}

func fakeCluster(t *testing.T) (*Cluster, *yarnfake.Cluster) {
	t.Helper()
	fake := yarnfake.New(t, yarnfake.Options{})
	o, err := yarn.ClientOptionsFrom(fake.Conf(), rpc.Options{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	o.Poll = 5 * time.Millisecond
	client, err := yarn.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{client: client, conf: fake.Conf(), user: "alice", Staging: t.TempDir()}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, fake
}

// application submits one whose master is the test.
func application(t *testing.T, c *Cluster, fake *yarnfake.Cluster, unmanaged bool) (yarn.ApplicationID, *yarn.Master) {
	t.Helper()
	id, _, err := c.client.NewApplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := yarn.Submission{ID: id, Name: "j_1", Unmanaged: unmanaged, Resource: yarn.Resource{MemoryMiB: 256, VCores: 1}}
	if !unmanaged {
		s.Master = yarn.LaunchContext{Command: "exec sleep 600"}
	}
	report, err := c.client.Submit(t.Context(), s)
	if err != nil || !unmanaged {
		return id, nil
	}
	addresses, err := yarn.SchedulerAddresses(fake.Conf())
	if err != nil {
		t.Fatal(err)
	}
	m, err := yarn.NewMaster(yarn.MasterOptions{Addresses: addresses, Token: report.AMRMToken, Retry: rpc.Fixed(5*time.Millisecond, 20*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return id, m
}
