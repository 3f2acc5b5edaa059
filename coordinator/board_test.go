package coordinator

import (
	"strings"
	"testing"
	"time"

	"heddle/jobmodel"
)

func testBoard(t *testing.T) *board {
	t.Helper()
	m, _, err := jobmodel.Build(jobmodel.BuildInput{Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 4}, Containers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return newBoard(m)
}

func report(execution, state string, processed int64, positions ...int64) Report {
	r := Report{ExecutionID: execution, State: state, Counters: Counters{Processed: processed, Sent: processed / 2, Commits: 1}, MemoryBytes: 1 << 20}
	for i := 0; i < len(positions); i += 2 {
		p := int32(i)
		r.Tasks = append(r.Tasks, TaskReport{Name: "Partition " + string(rune('0'+p)), State: state,
			Inputs: []InputReport{{"kafka", "a", p, positions[i], positions[i+1]}}})
	}
	return r
}

func TestBoard(t *testing.T) {
	b := testBoard(t)
	start := time.UnixMilli(1_000_000)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	running := []Container{{ID: "0", ExecutionID: "e0", State: ContainerRunning}, {ID: "1", State: ContainerWaiting}}
	job := Job{Name: "j", ID: "1", State: JobStarting}

	s := b.status(job, nil, at(0))
	equal(t, "nothing asked for", s.Containers, ContainerCounts{Wanted: 2})
	equal(t, "partitions", s.Inputs, InputCounts{Partitions: 4})
	s = b.status(job, running, at(0))
	equal(t, "nothing reported", s.Containers, ContainerCounts{Wanted: 2})
	equal(t, "tasks", s.Tasks, TaskCounts{Total: 4})
	equal(t, "inputs", s.Inputs, InputCounts{Partitions: 4})
	equal(t, "state of one that has not reported", s.ContainerList[0].State, ContainerStarting)
	equal(t, "final status", s.FinalStatus, "UNDEFINED")

	b.apply("0", report("e0", ContainerRestoring, 0, -1, -1, -1, -1), at(0))
	s = b.status(job, running, at(0))
	equal(t, "restoring is not running", s.Containers.Running, 0)
	equal(t, "its state", s.ContainerList[0].State, ContainerRestoring)

	b.apply("0", report("e0", ContainerRunning, 100, 10, 50, 20, 20), at(1))
	b.apply("0", report("e0", ContainerRunning, 1100, 30, 50, 25, 20), at(11))
	s = b.status(job, running, at(11))
	equal(t, "running", s.Containers, ContainerCounts{Wanted: 2, Running: 1})
	equal(t, "tasks", s.Tasks, TaskCounts{Total: 4, Running: 2})
	equal(t, "lag", s.Inputs, InputCounts{Partitions: 4, Known: 2, Lag: 20})
	if s.ProcessedPerSecond < 90 || s.ProcessedPerSecond > 110 {
		t.Errorf("rate %v, want about 100", s.ProcessedPerSecond)
	}
	equal(t, "the other one waits", s.ContainerList[1].State, ContainerWaiting)

	// It dies. Its positions are still the newest known, its rate is not.
	died := []Container{{ID: "0", ExecutionID: "e0", State: ContainerFailed, Failures: 1, Starts: 1}, running[1]}
	s = b.status(job, died, at(12))
	equal(t, "state", s.ContainerList[0].State, ContainerFailed)
	equal(t, "counts", s.Containers, ContainerCounts{Wanted: 2, Failures: 1})
	equal(t, "lag", s.Inputs.Lag, int64(20))
	equal(t, "rate", s.ProcessedPerSecond, 0.0)
	equal(t, "memory", s.ContainerList[0].MemoryBytes, int64(0))

	// Its replacement has not reported, then has.
	again := []Container{{ID: "0", ExecutionID: "e1", State: ContainerRunning, Failures: 1, Starts: 2}, running[1]}
	equal(t, "state of the replacement", b.status(job, again, at(13)).ContainerList[0].State, ContainerStarting)
	b.apply("0", report("e1", ContainerRunning, 7, 40, 50), at(14))
	s = b.status(job, again, at(14))
	equal(t, "totals go on", s.Totals.Processed, int64(1107))
	equal(t, "rate begins anew", s.ProcessedPerSecond, 0.0)
	equal(t, "running", s.Containers.Running, 1)

	tasks := b.tasks("0")
	equal(t, "tasks of 0", len(tasks), 2)
	equal(t, "a task", tasks[0], TaskStatus{Name: "Partition 0", Container: "0", State: ContainerRunning,
		Inputs: []InputStatus{{"kafka", "a", 0, 40, 50, 10}}, Lag: 10})
	equal(t, "one that did not report", tasks[1], TaskStatus{Name: "Partition 2", Container: "0", State: ContainerWaiting, ChangelogPartition: 2,
		Inputs: []InputStatus{{"kafka", "a", 2, -1, -1, -1}}})
	equal(t, "all tasks", len(b.tasks("")), 4)
}

// TestSilent: a container that was not heard of for ten seconds is told of, unless
// it is known to have ended, or there are so many that reports are rarer.
func TestSilent(t *testing.T) {
	c := ContainerStatus{ID: "0", State: ContainerRunning, LastReport: 1_000_000}
	with := func(c ContainerStatus, state string) ContainerStatus { c.State = state; return c }
	for _, tt := range []struct {
		name string
		c    ContainerStatus
		now  int64
		of   int
		want bool
	}{
		{"late", c, 1_010_000, 1, false},
		{"silent", c, 1_010_001, 1, true},
		{"silent while it restores", with(c, ContainerRestoring), 1_010_001, 1, true},
		{"ended", with(c, ContainerFailed), 1_010_001, 1, false},
		{"never heard of", ContainerStatus{State: ContainerRunning}, 1_010_001, 1, false},
		{"one of many, late", c, 1_020_000, 2000, false},
		{"one of many, silent", c, 1_020_001, 2000, true},
	} {
		s := Status{Now: tt.now, ContainerList: make([]ContainerStatus, tt.of)}
		equal(t, tt.name, s.Silent(tt.c), tt.want)
	}
	var page strings.Builder
	late := c
	late.ID, late.LastReport = "1", 1_040_000
	if err := pages.ExecuteTemplate(&page, "live.html", pageData{Status: Status{Now: 1_045_000, ContainerList: []ContainerStatus{c, late}}}); err != nil {
		t.Fatal(err)
	}
	if got := page.String(); strings.Count(got, "not heard of for") != 1 || !strings.Contains(got, "not heard of for 45s") {
		t.Errorf("the page:\n%s", got)
	}
}

func TestBoardRestore(t *testing.T) {
	b := testBoard(t)
	b.apply("0", Report{ExecutionID: "e", State: ContainerRestoring, Tasks: []TaskReport{
		{Name: "Partition 0", State: ContainerRestoring, Restores: []RestoreReport{{Store: "s", Done: 30, Total: 100}, {Store: "u", Done: 10, Total: 100}}},
		{Name: "Partition 2", State: ContainerRunning, Restores: []RestoreReport{{Store: "s", Done: 100, Total: 100}}},
	}}, time.UnixMilli(1))
	s := b.status(Job{}, []Container{{ID: "0", ExecutionID: "e", State: ContainerRunning}}, time.UnixMilli(1))
	equal(t, "restored", []int64{s.ContainerList[0].RestoreDone, s.ContainerList[0].RestoreTotal}, []int64{40, 200})
}

// Few tasks are restored at a time: those that wait are expected to be as the
// others, so that what is shown does not fall back when their turn comes.
func TestRestoreOfTasksThatWait(t *testing.T) {
	b := testBoard(t)
	b.apply("0", Report{ExecutionID: "e", State: ContainerRestoring, Tasks: []TaskReport{
		{Name: "Partition 0", State: ContainerRestoring, Restores: []RestoreReport{{Store: "s", Done: 40, Total: 100, LeftMs: 600, Source: "changelog"}}},
		{Name: "Partition 2", State: ContainerRestoring},
	}}, time.UnixMilli(1))
	s := b.status(Job{}, []Container{{ID: "0", ExecutionID: "e", State: ContainerRunning}}, time.UnixMilli(1))
	equal(t, "restored", []int64{s.ContainerList[0].RestoreDone, s.ContainerList[0].RestoreTotal, s.ContainerList[0].RestoreLeftMs}, []int64{40, 200, 1600})
	// Also while those that had their turn are done and the next have not begun.
	b.apply("0", Report{ExecutionID: "e", State: ContainerRestoring, Tasks: []TaskReport{
		{Name: "Partition 0", State: ContainerRestoring, Restores: []RestoreReport{{Store: "s", Done: 100, Total: 100, Source: "changelog"}}},
		{Name: "Partition 2", State: ContainerRestoring},
	}}, time.UnixMilli(1))
	s = b.status(Job{}, []Container{{ID: "0", ExecutionID: "e", State: ContainerRunning}}, time.UnixMilli(1))
	equal(t, "half of them restored", []int64{s.ContainerList[0].RestoreDone, s.ContainerList[0].RestoreTotal, s.ContainerList[0].RestoreLeftMs}, []int64{100, 200, 0})
	st := StoreStatus{Name: "s", Changelog: "kafka.s", Tasks: []StoreTask{
		{State: ContainerRestoring, RestoreDone: 40, RestoreTotal: 100, RestoreLeftMs: 600, Source: "changelog"},
		{State: ContainerRestoring, RestoreDone: 100, RestoreTotal: 100, Source: "changelog"},
		{State: ContainerRestoring, Source: "local state"}, // nothing to read
		{State: ContainerRestoring}, {State: ContainerStarting},
	}}
	equal(t, "a store", st.Restore(), RestoreReport{Store: "s", Done: 140, Total: 300, LeftMs: 1600, Waiting: 1})
}

// What fills stores is no input, and a store that a container's tasks share is
// counted once.
func TestBoardOfSideInputs(t *testing.T) {
	users, rates := jobmodel.Stream{System: "kafka", Stream: "users"}, jobmodel.Stream{System: "kafka", Stream: "rates"}
	m, _, err := jobmodel.Build(jobmodel.BuildInput{Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 2, users: 2}, Containers: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := newBoard(m, users, rates)
	side := func(store, stream string, partition int32, next, end int64) SideInputReport {
		return SideInputReport{store, InputReport{"kafka", stream, partition, next, end}}
	}
	r := Report{ExecutionID: "e", State: ContainerRestoring, SideInputs: []SideInputReport{side("rates", "rates", 0, 5, 7)},
		Restores: []RestoreReport{{Store: "rates", Done: 5, Total: 7}}}
	for p := range int32(2) {
		r.Tasks = append(r.Tasks, TaskReport{Name: "Partition " + string('0'+p), State: ContainerRestoring, Inputs: []InputReport{{"kafka", "a", p, 0, 10}},
			SideInputs: []SideInputReport{side("users", "users", p, 40, 50+int64(p)), side("more", "users", p, -1, -1)}})
	}
	b.apply("0", r, time.UnixMilli(1))
	s := b.status(Job{}, []Container{{ID: "0", ExecutionID: "e", State: ContainerRunning}}, time.UnixMilli(1))
	equal(t, "inputs", s.Inputs, InputCounts{Partitions: 2, Known: 2, Lag: 20})
	equal(t, "side inputs", s.SideInputs, InputCounts{Partitions: 5, Known: 3, Lag: 2 + 10 + 11})
	equal(t, "those of the container", s.ContainerList[0].SideInputs, s.SideInputs)
	equal(t, "of shared stores", s.ContainerList[0].Shared, []SideInputStatus{{"rates", InputStatus{"kafka", "rates", 0, 5, 7, 2}}})
	equal(t, "filled", []int64{s.ContainerList[0].RestoreDone, s.ContainerList[0].RestoreTotal}, []int64{5, 7})
	equal(t, "a task", b.tasks("0")[1], TaskStatus{Name: "Partition 1", Container: "0", State: ContainerRestoring, ChangelogPartition: 1,
		Inputs:     []InputStatus{{"kafka", "a", 1, 0, 10, 10}},
		SideInputs: []SideInputStatus{{"users", InputStatus{"kafka", "users", 1, 40, 51, 11}}, {"more", InputStatus{"kafka", "users", 1, -1, -1, -1}}}, Lag: 10})
}

// Rates come from the last seconds, however often a container reports.
func TestRates(t *testing.T) {
	b := testBoard(t)
	now := time.UnixMilli(0)
	var processed int64
	rate := func() float64 { p, _, _ := b.rows["0"].rates(); return p }
	for range 100 { // 20 s at 50/s
		processed += 10
		now = now.Add(200 * time.Millisecond)
		b.apply("0", report("e", ContainerRunning, processed), now)
	}
	if r := rate(); r < 49 || r > 51 {
		t.Errorf("rate %v, want 50", r)
	}
	for range 60 { // 12 s at nothing
		now = now.Add(200 * time.Millisecond)
		b.apply("0", report("e", ContainerRunning, processed), now)
	}
	if r := rate(); r != 0 {
		t.Errorf("rate %v after 12 s of nothing", r)
	}
}

func TestLag(t *testing.T) {
	for _, c := range []struct {
		next, high, lag int64
		ok              bool
	}{{0, 0, 0, true}, {3, 10, 7, true}, {11, 10, 0, true}, {-1, 10, 0, false}, {5, -1, 0, false}} {
		if lag, ok := (InputReport{Next: c.next, HighWatermark: c.high}).Lag(); lag != c.lag || ok != c.ok {
			t.Errorf("%+v: %d, %v", c, lag, ok)
		}
	}
}

func TestPage(t *testing.T) {
	s, f := newServer(t, nil)
	f.job.Diagnostics = `<script>alert(1)</script>`
	f.containers[1].LastExit = `exit "1" & <b>`
	f.containers[0].LogURL = "javascript:alert(1)"
	s.Report("0", Report{ExecutionID: "container_1_0001_01_000002", State: ContainerRunning, LastError: "<img src=x onerror=alert(1)>",
		Counters: Counters{Processed: 1234567}, StartedAt: 1, MemoryBytes: 30 << 20,
		Tasks: []TaskReport{{Name: "Partition 0", State: ContainerRunning, LastCommit: 1_990_000,
			Inputs: []InputReport{{"kafka", "a", 0, 1000, 3500}}}}})
	url := serve(t, s)
	for _, path := range []string{"/ui/", "/ui/live"} {
		a := ask(t, "GET", url+path, "")
		if a.code != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Fatalf("%s: %d %s", path, a.code, a.body)
		}
		for _, want := range []string{"the_job", "1 of 2", "1 of 4", "≥ 2,500", "application_1_0001", "node1", "kafka.a", "2,500", "10s ago", "1,234,567", "30.0 MiB",
			"&lt;script&gt;alert(1)", "&lt;img src=x", "exit &#34;1&#34; &amp; &lt;b&gt;", "16m 40s"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s does not show %q", path, want)
			}
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "javascript:", `href="/`, `src="/`, "ZgotmplZ\"><script"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

// A job of many tasks is shown by those that are furthest behind.
func TestPageOfManyTasks(t *testing.T) {
	s, _ := newServer(t, func(o *Options) {
		m, _, err := jobmodel.Build(jobmodel.BuildInput{Config: jobCfg(), Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 1000}, Containers: 2})
		if err != nil {
			t.Fatal(err)
		}
		o.Model = m
	})
	r := Report{ExecutionID: "container_1_0001_01_000003", State: ContainerRunning}
	if _, ok := s.opt.Model.Containers["1"].Tasks["Partition 995"]; !ok {
		t.Fatal("the task is in the other container")
	}
	r.Tasks = append(r.Tasks, TaskReport{Name: "Partition 995", State: ContainerRunning, Inputs: []InputReport{{"kafka", "a", 995, 0, 77}}})
	s.Report("1", r)
	d := s.pageData()
	if len(d.TaskList) != maxShown || d.Hidden != 1000-maxShown || d.TaskList[0].Name != "Partition 995" {
		t.Errorf("%d tasks, %d hidden, first %q", len(d.TaskList), d.Hidden, d.TaskList[0].Name)
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(int64(1000)): "1,000", count(int64(-1234567)): "-1,234,567",
		rate(0): "0/s", rate(3.14159): "3.1/s", rate(12345.6): "12,345/s",
		ago(5000, 0): "", ago(5000, 4000): "1s", ago(4000, 5000): "0s", ago(3_600_000*50, 1): "2d 1h", ago(3_700_000, 1): "1h 1m",
		percent(1, 0): "", percent(1, 3): "33 %", percent(5, 3): "100 %",
		byteSize(0): "", byteSize(1 << 20): "1.0 MiB", byteSize(900): "900 B", byteSize(16896): "16.5 KiB", byteSize(3 << 30): "3.0 GiB", lagText(-1): "?", offsetText(-1): "?", offsetText(1234): "1234",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
