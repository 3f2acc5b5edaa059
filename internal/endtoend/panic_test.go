//go:build grid

package endtoend

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// panicking is a job of one's own, as run-job init makes it, whose task panics at the page "/boom"
// as long as a file is there.
type panicking struct {
	*job
	in, out, marker string
}

func newPanicking(t testing.TB, g *grid.Grid) *panicking {
	t.Helper()
	name := strings.ToLower(grid.Name("panics"))
	dir := filepath.Join(t.TempDir(), name)
	if r := try(t, "init", dir); r.code != 0 {
		t.Fatal(r)
	}
	p := &panicking{in: g.Topic(t, "views", 1), out: g.Topic(t, "counts", 1), marker: filepath.Join(dir, "marker")}
	code := filepath.Join(dir, "count.go")
	b, err := os.ReadFile(code)
	if err != nil {
		t.Fatal(err)
	}
	const counts = "t.views[v.Page]++"
	text := strings.Replace(string(b), counts, fmt.Sprintf("if _, err := os.Stat(%q); err == nil && v.Page == \"/boom\" {\npanic(\"a page to stumble over\")\n}\n%s", p.marker, counts), 1)
	text = strings.Replace(text, "import (\n", "import (\n\t\"os\"\n", 1)
	for file, content := range map[string]string{code: text, p.marker: ""} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.job = newJob(t, g, name, filepath.Join(dir, name+".properties"))
	p.set("job.factory.class", "yarn")
	p.set("task.inputs", "kafka."+p.in)
	p.set("streams."+name+"-counts.samza.physical.name", p.out)
	p.set("heddle.preload.kafka."+name+"-views", "")
	return p
}

// produce writes n views of as many pages, the boom in the middle.
func (p *panicking) produce(n int) {
	p.t.Helper()
	var records []*kgo.Record
	for i := range n {
		page := fmt.Sprintf("/%d", i)
		if i == n/2 {
			page = "/boom"
		}
		records = append(records, &kgo.Record{Topic: p.in, Key: []byte(page), Value: fmt.Appendf(nil, `{"page":%q,"user":"u"}`, page)})
	}
	p.g.Produce(p.t, records...)
}

// A panic fails the container, which is started again and again at the same message: it is not
// skipped, and once the cause is mended the job goes on as if nothing had been.
func TestPanicSkipsNothing(t *testing.T) {
	g := grid.Use(t)
	p := newPanicking(t, g)
	p.set("cluster-manager.container.retry.count", "1000") // however long it takes to look at two failures
	const n = 101
	p.produce(n)
	run := p.start()
	var id string
	grid.Eventually(t, commandLimit, "two failures", func() (bool, string) {
		for _, a := range g.Applications(t, "RUNNING") {
			if a.Name == p.name+"_1" {
				id = a.ID
			}
		}
		if id == "" {
			return false, "no application"
		}
		s, err := p.appStatus(id)
		if err != nil {
			return false, err.Error()
		}
		return s.Containers.Failures >= 2, fmt.Sprintf("%+v", s)
	})
	logs := try(t, "logs", id).stdout
	for _, want := range []string{"a page to stumble over", "count.go:", "offset 50"} {
		if !strings.Contains(logs, want) {
			t.Errorf("the logs of the failed containers have no %q:\n%s", want, tail(logs))
		}
	}
	if err := os.Remove(p.marker); err != nil {
		t.Fatal(err)
	}
	p.awaitRead(id, p.in)
	if r := run.wait(commandLimit); r.code != 0 || strings.TrimSpace(r.stdout) != id {
		t.Errorf("the submit that saw the failures: %s", r)
	}
	p.kill(id)
	times := map[string]int{}
	for _, r := range g.ReadAll(t, p.out) {
		var v struct{ Views int }
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		times[string(r.Key)] += v.Views
	}
	lost, twice := 0, 0
	for i := range n {
		page := fmt.Sprintf("/%d", i)
		if i == n/2 {
			page = "/boom"
		}
		switch times[page] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	t.Logf("%d in, %d pages out, %d lost, %d twice", n, len(times), lost, twice)
	// A window is a second long and asks for the commit; the panics came before one.
	if lost > 0 || twice > 0 || len(times) != n {
		t.Errorf("not exact: %d lost, %d twice, %d of %d pages", lost, twice, len(times), n)
	}
}

// A panic that stays ends the job, and its true cause stands wherever one looks.
func TestPanicIsTheCause(t *testing.T) {
	g := grid.Use(t)
	p := newPanicking(t, g)
	p.set("cluster-manager.container.retry.count", "1")
	p.produce(11)
	r := p.run(1, "--until-caught-up")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	cause := []string{"a page to stumble over", "offset 5", p.in}
	holds := func(what, text string) {
		t.Helper()
		for _, c := range cause {
			if !strings.Contains(text, c) {
				t.Errorf("%s has no %q: %s", what, c, text)
			}
		}
	}
	holds("the last line of run-job", lines[len(lines)-1])
	s := p.run(1, "status", "--json")
	var st status
	if err := json.Unmarshal([]byte(s.stdout), &st); err != nil || st.FinalStatus != "FAILED" {
		t.Fatalf("%v: %s", err, s)
	}
	holds("status --json", st.Diagnostics)
	holds("status", p.run(1, "status").stdout)
	holds("the diagnostics", g.Application(t, st.ApplicationID).Diagnostics)
}

// checkpointOfAnotherGrouper: such a one is neither read nor overwritten, wherever the job runs.
func checkpointOfAnotherGrouper(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			l := newLatency(t, g, factory, 2)
			sent := l.produceDistinct(50)
			l.run(0, "--until-caught-up")
			before := checkpoints(t, g, l.name, l.in)
			args := append([]string{"--until-caught-up"}, l.config()...)
			r := try(t, append(args, "--config", "job.systemstreampartition.grouper.factory=org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory")...)
			want := map[string]int{"thread": 2, "process": 2, "yarn": 1}[factory] // on YARN the job has failed
			if r.code != want {
				t.Errorf("exit code %d, want %d", r.code, want)
			}
			lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
			for _, text := range []string{"checkpoint", "GroupByPartitionFactory", "job.systemstreampartition.grouper.factory"} {
				if last := lines[len(lines)-1]; !strings.Contains(last, text) {
					t.Errorf("the last line has no %q: %s", text, last)
				}
			}
			if now := checkpoints(t, g, l.name, l.in); fmt.Sprint(now) != fmt.Sprint(before) {
				t.Errorf("checkpoints were %v and are %v", before, now)
			}
			l.run(0, "--until-caught-up") // with the old grouper all is as it was
			d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
			exactly(t, d)
		})
	}
}
