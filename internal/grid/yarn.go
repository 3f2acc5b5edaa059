package grid

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Application is what the ResourceManager says of an application over REST.
type Application struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	User        string `json:"user"`
	State       string `json:"state"`       // NEW ... ACCEPTED RUNNING FINISHED FAILED KILLED
	FinalStatus string `json:"finalStatus"` // UNDEFINED SUCCEEDED FAILED KILLED
	Diagnostics string `json:"diagnostics"`
	TrackingURL string `json:"trackingUrl"`
	Type        string `json:"applicationType"`
	Containers  int    `json:"runningContainers"`
}

// Ended reports whether the application is over.
func (a Application) Ended() bool {
	return a.State == "FINISHED" || a.State == "FAILED" || a.State == "KILLED"
}

// Application asks the ResourceManager for one application.
func (g *Grid) Application(t testing.TB, id string) Application {
	t.Helper()
	var answer struct {
		App Application `json:"app"`
	}
	g.rm(t, http.MethodGet, "/ws/v1/cluster/apps/"+id, "", &answer)
	return answer.App
}

// Applications are all that the ResourceManager knows; in the given states only, if any are given.
func (g *Grid) Applications(t testing.TB, states ...string) []Application {
	t.Helper()
	var answer struct {
		Apps *struct {
			App []Application `json:"app"`
		} `json:"apps"`
	}
	g.rm(t, http.MethodGet, "/ws/v1/cluster/apps?states="+strings.Join(states, ","), "", &answer)
	if answer.Apps == nil {
		return nil
	}
	return answer.Apps.App
}

// AwaitApplication waits until the application is in one of the states, and returns it.
func (g *Grid) AwaitApplication(t testing.TB, limit time.Duration, id string, states ...string) Application {
	t.Helper()
	var app Application
	Eventually(t, limit, fmt.Sprintf("application %s is %s", id, strings.Join(states, " or ")), func() (bool, string) {
		app = g.Application(t, id)
		for _, state := range states {
			if app.State == state {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%s %s %s", app.State, app.FinalStatus, app.Diagnostics)
	})
	return app
}

// Hosts gives the names by which YARN knows the hosts of the NodeManagers that run: nm1 is on
// 127.0.0.1, nm2 on 127.0.0.2 and so on.
func (g *Grid) Hosts(t testing.TB) map[string]string {
	t.Helper()
	var answer struct {
		Nodes struct {
			Node []struct {
				HostName string `json:"nodeHostName"`
			} `json:"node"`
		} `json:"nodes"`
	}
	g.rm(t, http.MethodGet, "/ws/v1/cluster/nodes?states=RUNNING", "", &answer)
	hosts := map[string]string{}
	for _, n := range answer.Nodes.Node {
		addresses, err := net.LookupHost(n.HostName)
		if err != nil {
			t.Fatalf("the host of a NodeManager: %v", err)
		}
		for _, a := range addresses {
			if last, ok := strings.CutPrefix(a, "127.0.0."); ok {
				hosts["nm"+last] = n.HostName
			}
		}
	}
	return hosts
}

// KillApplication has the ResourceManager kill an application, as `yarn application -kill` does, and
// waits until it is over.
func (g *Grid) KillApplication(t testing.TB, id string) {
	t.Helper()
	app := g.Application(t, id)
	if app.Ended() {
		return
	}
	var answer struct{}
	g.rm(t, http.MethodPut, "/ws/v1/cluster/apps/"+id+"/state?user.name="+app.User, `{"state":"KILLED"}`, &answer)
	g.AwaitApplication(t, 90*time.Second, id, "KILLED", "FINISHED", "FAILED")
}

// rm asks the ResourceManager and decodes its JSON answer.
func (g *Grid) rm(t testing.TB, method, path, body string, answer any) {
	t.Helper()
	// Not the test's own context: clean-up runs after it has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, g.RMWeb+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("ResourceManager: %v", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("ResourceManager: %s %s: %v", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		t.Fatalf("ResourceManager: %s %s: %s: %s", method, path, response.Status, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		t.Fatalf("ResourceManager: %s %s: %v in %s", method, path, err, content)
	}
}
