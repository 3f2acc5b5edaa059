package coordinator

import (
	"errors"
	"strings"
	"testing"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
)

// Side inputs that are not partitioned as the inputs are leave tasks with nothing.
func TestSideInputsReach(t *testing.T) {
	for name, c := range map[string]struct {
		more       []string
		users, two int32
		want       string // "": the job starts
	}{
		"alike":                   {nil, 4, 4, ""},
		"fewer":                   {nil, 3, 4, `stores.u.side.inputs: kafka.users has 3 partitions, so that the store would be empty in the task "Partition 3", which has messages`},
		"one":                     {nil, 1, 4, `kafka.users has 1 partition, so that the store would be empty in the task "Partition 1" (and 2 more)`},
		"more":                    {nil, 6, 4, `kafka.users has 6 partitions, so that a part of it would be in the task "Partition 4" (and another one), which has no messages`},
		"more, as another input":  {[]string{"task.inputs", "kafka.a,kafka.b"}, 6, 6, ""},
		"fewer, and one is short": {[]string{"task.inputs", "kafka.a,kafka.b"}, 4, 2, ""},
		"shared":                  {[]string{"heddle.stores.u.shared", "true"}, 3, 4, ""},
		"broadcast":               {[]string{"task.broadcast.inputs", "kafka.users#[0-2]"}, 3, 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sys := streams(t, "kafka", map[string]int32{"a": 4, "b": c.two, "users": c.users})
			defer sys.Close()
			cfg := jobCfg(append([]string{"stores.u.factory", "memory", "stores.u.side.inputs", "kafka.users"}, c.more...)...)
			_, _, err := BuildModel(t.Context(), cfg, map[string]system.System{"kafka": sys}, Previous{})
			var wrong *config.Error
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) || wrong.ExitCode() != 2):
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestAMissingSideInputIsNamedByItsKey(t *testing.T) {
	sys := streams(t, "kafka", map[string]int32{"a": 4})
	defer sys.Close()
	_, _, err := BuildModel(t.Context(), jobCfg("stores.u.factory", "memory", "stores.u.side.inputs", "kafka.users"), map[string]system.System{"kafka": sys}, Previous{})
	var plan *PlanError
	if !errors.As(err, &plan) || !errors.Is(err, system.ErrNoStream) || !strings.Contains(err.Error(), "stores.u.side.inputs: the topic kafka.users does not exist") {
		t.Error(err)
	}
}

// How far stores are behind their side inputs stands on the pages, in the API and
// among the metrics; a store that a container's tasks share once for each.
func TestSideInputsAreShown(t *testing.T) {
	s, _ := newServer(t, func(o *Options) {
		cfg := jobCfg("stores.u.factory", "pebble", "stores.u.side.inputs", "kafka.users",
			"stores.r.factory", "memory", "stores.r.side.inputs", "kafka.rates", "heddle.stores.r.shared", "true")
		m, _, err := jobmodel.Build(jobmodel.BuildInput{Config: cfg, Containers: 2,
			Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 4, {System: "kafka", Stream: "users"}: 4}})
		if err != nil {
			t.Fatal(err)
		}
		o.Model = m
	})
	side := func(store, stream string, partition int32, next, end int64) []SideInputReport {
		return []SideInputReport{{store, InputReport{"kafka", stream, partition, next, end}}}
	}
	for container, execution := range map[string]string{"0": "container_1_0001_01_000002", "1": "container_1_0001_01_000003"} {
		r := Report{ExecutionID: execution, State: ContainerRestoring, SideInputs: side("r", "rates", 0, 70, 77), Restores: []RestoreReport{{Store: "r", Done: 70, Total: 77}}}
		if container == "1" {
			r.State, r.SideInputs, r.Restores = ContainerRunning, side("r", "rates", 0, 74, 77), nil
		}
		for _, p := range map[string][]int32{"0": {0, 2}, "1": {1, 3}}[container] {
			r.Tasks = append(r.Tasks, TaskReport{Name: "Partition " + string('0'+p), State: r.State, Inputs: []InputReport{{"kafka", "a", p, 10, 15}}, SideInputs: side("u", "users", p, 1000, 1500+int64(p))})
		}
		s.Report(container, r)
	}
	stores, err := s.Stores()
	if err != nil || len(stores) != 2 {
		t.Fatalf("%v, %v", stores, err)
	}
	r, u := stores[0], stores[1]
	equal(t, "of own stores", u.Behind, int64(4*500+0+1+2+3))
	equal(t, "of the furthest shared one", r.Behind, int64(7))
	equal(t, "of one that is nearer", r.Tasks[1].Behind, int64(3))
	equal(t, "a filling that two tasks share", r.Restore(), RestoreReport{Store: "r", Done: 70, Total: 77})
	equal(t, "how a question is refused", s.restoring(taskPlace{"Partition 2", "0"}), " (90 % restored)")

	url := serve(t, s)
	shows := func(path string, want ...string) {
		t.Helper()
		a := ask(t, "GET", url+path, "")
		for _, w := range want {
			if a.code != 200 || !strings.Contains(a.body, w) {
				t.Errorf("%s: %d, does not show %q:\n%s", path, a.code, w, a.body)
			}
		}
	}
	shows("/ui/", "<b>20</b>messages behind", "<b>2,016</b>behind in side inputs", `kafka.users <span class="dim">→ u</span>`, "shared by all", `kafka.rates <span class="dim">→ r</span>`, `<td class="n">503</td>`)
	shows("/ui/state", `<td class="n">2,006</td>`, `<td class="n">7</td>`, "90 %", "70 of 77 messages", "kafka.rates, shared")
	shows("/ui/api/v1/status", `"sideInputs":{"partitions":6,"known":6,"lag":2016}`, `"inputs":{"partitions":4,"known":4,"lag":20}`,
		`"shared":[{"store":"r","system":"kafka","stream":"rates","partition":0,"next":70,"highWatermark":77,"lag":7}]`)
	shows("/ui/api/v1/stores", `"restoreDone":70,"restoreTotal":77`, `"restoreDone":0,"restoreTotal":0`, `"downloaded":0,"download":0`)
	shows("/ui/api/v1/tasks", `"sideInputs":[{"store":"u","system":"kafka","stream":"users","partition":3,"next":1000,"highWatermark":1503,"lag":503}]`)
	const job = `job_name="the_job",job_id="1"`
	got := checkExposition(t, ask(t, "GET", url+"/metrics", "").body)
	for sample, want := range map[string]string{
		`heddle_lag_messages{` + job + `}`: "20",
		`heddle_side_input_lag_messages{` + job + `,container="1",task="Partition 3",store="u",system="kafka",stream="users",partition="3"}`: "503",
		`heddle_side_input_lag_messages{` + job + `,container="0",task="",store="r",system="kafka",stream="rates",partition="0"}`:            "7",
		`heddle_side_input_lag_messages{` + job + `,container="1",task="",store="r",system="kafka",stream="rates",partition="0"}`:            "3",
	} {
		if got[sample] != want {
			t.Errorf("%s is %q, want %q", sample, got[sample], want)
		}
	}
}
