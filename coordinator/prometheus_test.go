package coordinator

import (
	"math"
	"regexp"
	"strings"
	"testing"
)

// The text format: https://prometheus.io/docs/instrumenting/exposition_formats/
var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,|\}))+)? (NaN|[+-]Inf|-?[0-9][0-9.e+-]*)$`)
	typeLine   = regexp.MustCompile(`^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|untyped)$`)
	helpLine   = regexp.MustCompile(`^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+$`)
)

// checkExposition holds a text to the format: every sample belongs to the family
// before it, every family occurs once, no two samples have the same labels.
func checkExposition(t *testing.T, text string) map[string]string {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	families, samples, family := map[string]bool{}, map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := helpLine.FindStringSubmatch(line); m != nil {
			continue
		}
		if m := typeLine.FindStringSubmatch(line); m != nil {
			if families[m[1]] {
				t.Errorf("the family %s occurs twice", m[1])
			}
			families[m[1]], family = true, m[1]
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a line of the format: %q", line)
			continue
		}
		if m[1] != family {
			t.Errorf("a sample of %s among those of %s", m[1], family)
		}
		i := strings.LastIndexByte(line, ' ')
		if _, ok := samples[line[:i]]; ok {
			t.Errorf("twice: %s", line[:i])
		}
		samples[line[:i]] = line[i+1:]
	}
	return samples
}

func TestMetrics(t *testing.T) {
	s, _ := newServer(t, nil)
	url := serve(t, s)
	if a := ask(t, "POST", url+"/api/v1/containers/0/report", reportBody("container_1_0001_01_000002", 12), as("0")...); a.code != 200 {
		t.Fatal(a)
	}
	a := ask(t, "GET", url+"/metrics", "")
	if ct := a.header.Get("Content-Type"); ct != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
	got := checkExposition(t, a.body)
	const job = `job_name="the_job",job_id="1"`
	for sample, want := range map[string]string{
		`heddle_job_state{` + job + `,state="RUNNING"}`:              "1",
		`heddle_job_state{` + job + `,state="FAILED"}`:               "0",
		`heddle_containers_wanted{` + job + `}`:                      "2",
		`heddle_containers_running{` + job + `}`:                     "1",
		`heddle_container_failures_total{` + job + `}`:               "1",
		`heddle_container_up{` + job + `,container="0"}`:             "1",
		`heddle_container_up{` + job + `,container="1"}`:             "0",
		`heddle_messages_processed_total{` + job + `,container="0"}`: "12",
		`heddle_lag_messages{` + job + `}`:                           "10",
		`heddle_input_lag_messages{` + job + `,container="0",task="Partition 0",system="kafka",stream="a",partition="0"}`: "10",
		`heddle_metric{` + job + `,container="0",group="g\"1",name="n\n"}`:                                                "1.5",
		`heddle_metric{` + job + `,container="0",group="g\"1",name="flag"}`:                                               "1",
	} {
		if got[sample] != want {
			t.Errorf("%s is %q, want %q", sample, got[sample], want)
		}
	}
	if strings.Contains(a.body, `name="text"`) {
		t.Error("a metric that is no number is served")
	}
}

func TestExposition(t *testing.T) {
	var e exposition
	e.family("a", "gauge", "back\\slash\nline")
	e.sample("a", math.Inf(1), "l", "q\"b\\n\nx\xff")
	e.sample("a", math.Inf(-1), "l", "2")
	e.sample("a", math.NaN(), "l", "3")
	e.sample("a", 1e21)
	const want = "# HELP a back\\\\slash\\nline\n# TYPE a gauge\n" +
		"a{l=\"q\\\"b\\\\n\\nx\uFFFD\"} +Inf\na{l=\"2\"} -Inf\na{l=\"3\"} NaN\na 1e+21\n"
	equal(t, "text", string(e.buf), want)
	checkExposition(t, string(e.buf))
}
