//go:build grid

package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// securities are properties as users have them, by the job factory with which
// each is tried: every factory, and three ways to log in.
var securities = map[string]string{
	"thread": `
systems.kafka.consumer.sasl.mechanism=GSSAPI
systems.kafka.consumer.sasl.kerberos.service.name=kafka
systems.kafka.consumer.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true \
  keyTab="@DIR@/grid.keytab" principal="job/worker@` + grid.Realm + `";
`,
	"process": `
systems.kafka.consumer.sasl.mechanism=SCRAM-SHA-512
systems.kafka.consumer.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
  username="alice" password="alice-s3cr3t";
`,
	"yarn": `
systems.kafka.consumer.sasl.mechanism=PLAIN
systems.kafka.consumer.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="bob" password="bob \\"s3cr3t\\"; x=1\\\\";
`,
}

const trust = `
systems.kafka.producer.bootstrap.servers=@SASL@
systems.kafka.consumer.security.protocol=SASL_SSL
systems.kafka.consumer.ssl.truststore.location=@DIR@/truststore.jks
systems.kafka.consumer.ssl.truststore.password=store-s3cr3t
sensitive.of.the.task=task-s3cr3t
`

// TestSecuredJob runs a whole job against a secured Kafka, counts what it did,
// and looks for its secrets wherever others could read them.
func TestSecuredJob(t *testing.T) {
	g := grid.Use(t, grid.Secure, grid.HDFS, grid.YARN)
	g.Kerberos(t)
	for _, factory := range []string{"thread", "process", "yarn"} {
		t.Run(factory, func(t *testing.T) { securedJob(t, g, factory) })
	}
}

func securedJob(t *testing.T, g *grid.Grid, factory string) {
	file := filepath.Join(t.TempDir(), "secured.properties")
	text := strings.NewReplacer("@DIR@", g.SecureDir, "@SASL@", g.KafkaSASLAddress).Replace(trust + securities[factory])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, out := g.Topic(t, "secured-views", 4), g.Topic(t, "secured-by-user", 4)
	j := newJob(t, g, grid.Name("secured"), example("groupby/repartition.properties"), file)
	j.set("systems.kafka.producer.bootstrap.servers", g.KafkaSASLAddress)
	j.set("job.factory.class", factory)
	j.set("task.inputs", "kafka."+in)
	j.set("streams.PageViewByUser.samza.physical.name", out)
	j.set("heddle.preload.kafka.PageViewEvent", "")
	if factory == "yarn" {
		j.set("yarn.package.path", sharedPackage(t, g, example("groupby/count.properties")))
	}
	const n = 2000
	view := pageView(in, 4)
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = view(i)
	}
	g.Produce(t, records...)

	said := ""
	if factory == "yarn" {
		r := j.run(0)
		said = r.stdout + r.stderr
		application := strings.TrimSpace(r.stdout)
		awaitRecords(t, g, out, n)
		for _, page := range []string{"/", "/state", "/api/v1/status", "/api/v1/tasks", "/api/v1/config", "/metrics"} {
			noSecretsAt(t, g, g.RMWeb+"/proxy/"+application+page)
		}
		processes := g.Processes(t, "", application)
		if len(processes) < 2 {
			t.Errorf("the application has the processes %v", processes)
		}
		for _, p := range processes {
			noSecretsOf(t, g, p.PID)
		}
		status := try(t, "status", "--json", application)
		logs := try(t, "logs", application)
		j.kill(application)
		said += status.stdout + status.stderr + logs.stdout + logs.stderr
		// What lies in the containers' folders is theirs alone; logs and launch scripts are read by others.
		for i := 1; i <= 2; i++ {
			if found := grid.SecretsInFiles(t, filepath.Join(g.Home, "nm"+strconv.Itoa(i), "logs")); len(found) > 0 {
				t.Errorf("secrets are in %v", found)
			}
		}
	} else {
		p := j.start()
		awaitRecords(t, g, out, n)
		if url := regexp.MustCompile(`page is (http://\S+/ui/)`).FindStringSubmatch(p.stderr.String()); url != nil {
			for _, page := range []string{"", "state", "api/v1/status", "api/v1/tasks", "api/v1/config", "metrics"} {
				noSecretsAt(t, g, url[1]+page)
			}
		} else if factory == "process" {
			t.Errorf("no page is named: %s", p.result())
		}
		pids := withChildren(t, p.cmd.Process.Pid)
		if factory == "process" && len(pids) < 2 {
			t.Errorf("only %v run", pids)
		}
		for _, pid := range pids {
			noSecretsOf(t, g, pid)
		}
		p.signal(syscall.SIGINT)
		r := p.wait(commandLimit)
		if r.code != 0 {
			t.Error(r)
		}
		said = r.stdout + r.stderr
	}
	exactly(t, grid.Tally(grid.Values(records), grid.Values(g.ReadAll(t, out))))
	validate := j.run(0, "validate")
	g.NoSecrets(t, "what the commands print", said+validate.stdout+validate.stderr)
	stream := g.ReadAll(t, "__samza_coordinator_"+topicPart(j.name)+"_1")
	if len(stream) == 0 {
		t.Error("the coordinator stream is empty")
	}
	for _, r := range stream {
		g.NoSecrets(t, "the coordinator stream", string(r.Key)+string(r.Value))
	}
	if found := grid.SecretsInFiles(t, workDir); len(found) > 0 {
		t.Errorf("secrets are in %v", found)
	}
}

func awaitRecords(t *testing.T, g *grid.Grid, topic string, n int) {
	t.Helper()
	grid.Eventually(t, commandLimit, fmt.Sprintf("%d records in %s", n, topic), func() (bool, string) {
		got := len(g.ReadAll(t, topic))
		return got >= n, strconv.Itoa(got)
	})
}

func noSecretsAt(t *testing.T, g *grid.Grid, url string) {
	t.Helper()
	code, _, body, err := get(t, url, "", true)
	if err != nil || code != 200 || len(body) == 0 {
		t.Errorf("%s: %d %s %v", url, code, body, err)
	}
	g.NoSecrets(t, url, string(body))
}

// noSecretsOf looks at what other users of the machine see of a process, and at
// its environment.
func noSecretsOf(t *testing.T, g *grid.Grid, pid int) {
	t.Helper()
	for _, what := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, what))
		if err != nil {
			t.Error(err)
		}
		g.NoSecrets(t, fmt.Sprintf("%s of %s", what, b[:min(len(b), 200)]), string(b))
	}
}

// withChildren are a process and all that descend from it.
func withChildren(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int][]int{}
	for _, e := range entries {
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // no process, or one that has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent, parentErr := strconv.Atoi(fields[1])
		child, err := strconv.Atoi(e.Name())
		if err == nil && parentErr == nil {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}
