//go:build grid

package endtoend

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/coordinator"
	"heddle/internal/grid"
)

// locality gives, by container, the host in the job's coordinator stream; nil if nothing of that kind
// was ever written.
func locality(t testing.TB, g *grid.Grid, jobName string) map[string]string {
	t.Helper()
	var hosts map[string]string
	for key, value := range lastByKey(g.ReadAll(t, "__samza_coordinator_"+topicPart(jobName)+"_1")) {
		kind, id, err := coordinator.DecodeKey([]byte(key))
		if err != nil || kind != coordinator.TypeHost {
			continue
		}
		v, err := coordinator.DecodeValue(value)
		if err != nil {
			t.Fatalf("coordinator stream: %s %s: %v", key, value, err)
		}
		if want := map[string]string{"host": v.Values["host"], "jmx-url": "", "jmx-tunneling-url": ""}; v.Source != "SamzaContainer" || !maps.Equal(v.Values, want) {
			t.Errorf("not as Samza writes it: %s %s", key, value)
		}
		if hosts == nil {
			hosts = map[string]string{}
		}
		hosts[id] = v.Values["host"]
	}
	return hosts
}

// setLocality writes the hosts as if the containers had run there before.
func setLocality(t testing.TB, g *grid.Grid, jobName string, hosts map[string]string) {
	t.Helper()
	var records []*kgo.Record
	for id, host := range hosts {
		m := coordinator.SetHost(id, host)
		records = append(records, &kgo.Record{
			Topic: "__samza_coordinator_" + topicPart(jobName) + "_1",
			Key:   coordinator.EncodeKey(m.Type, m.Key),
			Value: coordinator.EncodeValue(m, coordinator.Identity{Host: "127.0.0.1", User: "test"}, time.Now().UnixMilli()),
		})
	}
	g.Produce(t, records...)
}

// hosts gives where the containers are, as the application master says.
func (j *job) hosts(application string) map[string]string {
	j.t.Helper()
	hosts := map[string]string{}
	for _, c := range j.awaitRunning(application).ContainerList {
		hosts[c.ID] = c.Host
	}
	return hosts
}

// awaitHosts waits until the containers run where they should.
func (j *job) awaitHosts(application string, want map[string]string) {
	j.t.Helper()
	grid.Eventually(j.t, 2*soon, fmt.Sprintf("the containers run on %v", want), func() (bool, string) {
		s, err := j.appStatus(application)
		if err != nil {
			return false, err.Error()
		}
		got := map[string]string{}
		for _, c := range s.ContainerList {
			if c.State == "running" {
				got[c.ID] = c.Host
			}
		}
		return maps.Equal(got, want), fmt.Sprintf("%+v", s)
	})
}

// localityOf asks /locality, as Samza's tools do.
func localityOf(t testing.TB, g *grid.Grid, id string) map[string]string {
	t.Helper()
	_, _, body, err := get(t, coordinatorURL(t, g, id)+"locality", "", false)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Localities map[string]struct {
			Host string `json:"host"`
		} `json:"processor-localities"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	hosts := map[string]string{}
	for id, l := range answer.Localities {
		hosts[id] = l.Host
	}
	return hosts
}

// hostAffinity: containers go to the hosts that the coordinator stream names, come back there after a kill,
// and go elsewhere after the time-out when the host is gone, which the next start then prefers.
func hostAffinity(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 4)
	l.set("job.container.count", "2")
	l.set("task.shutdown.ms", "2000") // a silent container is replaced after 30 s, this and 10 s
	// So long a busy host may take to give a container.
	l.set("cluster-manager.container.request.timeout.ms", "8000")

	// Without affinity nothing is written.
	id := l.submit()
	l.awaitRunning(id)
	if got := localityOf(t, g, id); len(got) != 0 {
		t.Errorf("/locality without affinity: %v", got)
	}
	l.kill(id)
	if got := locality(t, g, l.name); got != nil {
		t.Errorf("written without affinity: %v", got)
	}

	// An earlier run was here: both orders of the hosts, as one of them may be chance.
	l.set("job.host-affinity.enabled", "true")
	known := g.Hosts(t)
	one, two := known["nm1"], known["nm2"]
	if one == "" || two == "" {
		t.Fatalf("two NodeManagers are needed, there are %v", known)
	}
	for _, want := range []map[string]string{{"0": one, "1": two}, {"0": two, "1": one}} {
		setLocality(t, g, l.name, want)
		id = l.submit()
		if got := l.hosts(id); !maps.Equal(got, want) {
			t.Errorf("containers on %v, want %v", got, want)
		}
		if got := localityOf(t, g, id); !maps.Equal(got, want) {
			t.Errorf("/locality %v, want %v", got, want)
		}
		if want["0"] == one {
			l.kill(id)
		}
	}
	home := map[string]string{"0": two, "1": one}

	// Each container that is killed comes back.
	for i := range 2 {
		killContainer(t, g, l.job, id, i)
		l.awaitHosts(id, home)
	}

	// The host without the application master goes, and its container with it.
	master := g.Processes(t, "run-am", id)
	if len(master) != 1 {
		t.Fatalf("run-am: %v", master)
	}
	lost, left, node := two, one, "nm2"
	if master[0].NodeManager == "nm2" {
		lost, left, node = one, two, "nm1"
	}
	t.Logf("the master is on %s; %s goes", master[0].NodeManager, node)
	began := time.Now()
	g.KillMachine(t, node)
	away := map[string]string{"0": left, "1": left}
	l.awaitHosts(id, away)
	t.Logf("%s was gone: its container runs on %s after %.1f s", lost, left, time.Since(began).Seconds())
	grid.Eventually(t, soon, "the stream says so", func() (bool, string) {
		got := locality(t, g, l.name)
		return maps.Equal(got, away), fmt.Sprint(got)
	})
	l.kill(id)

	// The next start goes where the last one was, though the other host is back.
	g.Start(t, node)
	id = l.submit()
	if got := l.hosts(id); !maps.Equal(got, away) {
		t.Errorf("containers on %v, want %v", got, away)
	}
	l.kill(id)
}
