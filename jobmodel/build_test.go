package jobmodel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heddle/config"
)

func one(stream string, partitions int32) map[Stream]int32 {
	return map[Stream]int32{{"kafka", stream}: partitions}
}

// dealt shows who runs what: container id to task names.
func dealt(m JobModel) map[string][]string {
	out := map[string][]string{}
	for id, c := range m.Containers {
		out[id] = c.TaskNames()
	}
	return out
}

func inputsOf(m JobModel) map[string][]string {
	out := map[string][]string{}
	for _, c := range m.Containers {
		for _, t := range c.Tasks {
			for _, i := range t.Inputs {
				out[t.Name] = append(out[t.Name], fmt.Sprintf("%s.%s#%d", i.System, i.Stream, i.Partition))
			}
		}
	}
	return out
}

func changelogs(m JobModel) map[string]int32 {
	out := map[string]int32{}
	for _, c := range m.Containers {
		for _, t := range c.Tasks {
			out[t.Name] = t.ChangelogPartition
		}
	}
	return out
}

func next(a Assignment) Previous {
	return Previous{Containers: a.Containers, Inputs: a.Inputs, Changelog: a.Changelog}
}

func mustBuild(t testing.TB, in BuildInput) (JobModel, Assignment) {
	t.Helper()
	m, a, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return m, a
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestGroupByPartition(t *testing.T) {
	m, a := mustBuild(t, BuildInput{
		Streams: map[Stream]int32{{"kafka", "b"}: 3, {"kafka", "a"}: 2, {"hdfs", "z"}: 1},
	})
	equal(t, "inputs", inputsOf(m), map[string][]string{
		"Partition 0": {"hdfs.z#0", "kafka.a#0", "kafka.b#0"},
		"Partition 1": {"kafka.a#1", "kafka.b#1"},
		"Partition 2": {"kafka.b#2"},
	})
	equal(t, "containers", dealt(m), map[string][]string{"0": {"Partition 0", "Partition 1", "Partition 2"}})
	if !a.TasksChanged {
		t.Error("the first start has no tasks before it, so the tasks changed")
	}
	equal(t, "tasks of kafka.b#2", a.Inputs[Input{"kafka", "b", 2}], []string{"Partition 2"})
}

func TestGroupBySSP(t *testing.T) {
	m, a := mustBuild(t, BuildInput{
		Streams:   map[Stream]int32{{"kafka", "a"}: 2},
		Broadcast: []Input{{"kafka", "rules", 0}, {"kafka", "rules", 1}},
		Grouper:   BySSP,
	})
	equal(t, "inputs", inputsOf(m), map[string][]string{
		"SystemStreamPartition [kafka, a, 0]": {"kafka.a#0", "kafka.rules#0", "kafka.rules#1"},
		"SystemStreamPartition [kafka, a, 1]": {"kafka.a#1", "kafka.rules#0", "kafka.rules#1"},
	})
	equal(t, "tasks of the broadcast input", a.Inputs[Input{"kafka", "rules", 1}],
		[]string{"SystemStreamPartition [kafka, a, 0]", "SystemStreamPartition [kafka, a, 1]"})
}

func TestBroadcastInputIsNotGrouped(t *testing.T) {
	m, _ := mustBuild(t, BuildInput{
		Streams:   map[Stream]int32{{"kafka", "a"}: 1, {"kafka", "rules"}: 2},
		Broadcast: []Input{{"kafka", "rules", 1}},
	})
	equal(t, "inputs", inputsOf(m), map[string][]string{
		"Partition 0": {"kafka.a#0", "kafka.rules#0", "kafka.rules#1"},
	})
}

func TestAllToSingle(t *testing.T) {
	m, _ := mustBuild(t, BuildInput{Streams: one("a", 3), Grouper: AllToSingle, Containers: 2})
	equal(t, "inputs", inputsOf(m), map[string][]string{
		"Task-0": {"kafka.a#0", "kafka.a#1", "kafka.a#2"},
		"Task-1": {"kafka.a#0", "kafka.a#1", "kafka.a#2"},
	})
	equal(t, "containers", dealt(m), map[string][]string{"0": {"Task-0"}, "1": {"Task-1"}})
}

// The order of task names is that of strings: Partition 10 comes before
// Partition 2 (reference 3.3 and 3.7).
func TestOrderOfNames(t *testing.T) {
	m, _ := mustBuild(t, BuildInput{Streams: one("a", 12), Containers: 5})
	equal(t, "changelog partitions", changelogs(m), map[string]int32{
		"Partition 0": 0, "Partition 1": 1, "Partition 10": 2, "Partition 11": 3, "Partition 2": 4, "Partition 3": 5,
		"Partition 4": 6, "Partition 5": 7, "Partition 6": 8, "Partition 7": 9, "Partition 8": 10, "Partition 9": 11,
	})
	equal(t, "containers", dealt(m), map[string][]string{
		"0": {"Partition 0", "Partition 3", "Partition 8"},
		"1": {"Partition 1", "Partition 4", "Partition 9"},
		"2": {"Partition 10", "Partition 5"},
		"3": {"Partition 11", "Partition 6"},
		"4": {"Partition 2", "Partition 7"},
	})
}

func TestChangelogKeepsAndAdds(t *testing.T) {
	m, a := mustBuild(t, BuildInput{
		Streams: one("a", 4),
		Previous: Previous{Changelog: map[string]int32{
			"Partition 0": 0, "Partition 2": 1, "Partition gone": 7,
		}},
	})
	equal(t, "changelog partitions", changelogs(m), map[string]int32{
		"Partition 0": 0, "Partition 1": 8, "Partition 2": 1, "Partition 3": 9,
	})
	equal(t, "kept mapping", a.Changelog, map[string]int32{
		"Partition 0": 0, "Partition 1": 8, "Partition 2": 1, "Partition 3": 9, "Partition gone": 7,
	})
	if got := m.ChangelogPartitions(); got != 10 {
		t.Errorf("changelogs need %d partitions, want 10", got)
	}
}

func TestBalance(t *testing.T) {
	p := func(ids ...string) map[string]string { // container of task i, by its letter
		m := map[string]string{}
		for i, id := range ids {
			m["T"+string(rune('a'+i))] = id
		}
		return m
	}
	letters := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, "T"+string(rune('a'+i)))
		}
		return out
	}
	for _, c := range []struct {
		name     string
		tasks, n int
		previous map[string]string
		want     [][]string
		why      string
	}{
		{"first start", 3, 2, nil, [][]string{{"Ta", "Tc"}, {"Tb"}}, ""},
		{"same count is kept as it is, even uneven", 4, 2, p("1", "1", "1", "0"), [][]string{{"Td"}, {"Ta", "Tb", "Tc"}}, ""},
		{"from one container", 3, 2, p("0", "0", "0"), [][]string{{"Ta", "Tc"}, {"Tb"}}, ""},
		{"to one container", 3, 1, p("0", "1", "0"), [][]string{{"Ta", "Tb", "Tc"}}, ""},
		// 2 -> 4 of 8: each old one gives its last two, which fill 2 and then 3.
		{"more containers", 8, 4, p("0", "1", "0", "1", "0", "1", "0", "1"),
			[][]string{{"Ta", "Tc"}, {"Tb", "Td"}, {"Tg", "Te"}, {"Th", "Tf"}}, ""},
		// 3 -> 2 of 5: wanted 3 and 2.
		{"fewer containers", 5, 2, p("0", "1", "2", "0", "1"), [][]string{{"Ta", "Td", "Tc"}, {"Tb", "Te"}}, ""},
		{"tasks added", 3, 2, p("0", "1"), [][]string{{"Ta", "Tc"}, {"Tb"}}, "there were 2 tasks and are 3 now"},
		{"ids with a gap", 2, 2, p("0", "2"), [][]string{{"Ta"}, {"Tb"}}, "the containers' ids are not 0 to 1"},
		{"another task", 2, 2, map[string]string{"Ta": "0", "X": "1"}, [][]string{{"Ta"}, {"Tb"}}, `the task "Tb" is new`},
	} {
		got, why := balance(letters(c.tasks), c.n, c.previous)
		equal(t, c.name, got, c.want)
		if why != c.why {
			t.Errorf("%s: reason %q, want %q", c.name, why, c.why)
		}
	}
}

func TestWithoutHostAffinityTasksAreDealtAnew(t *testing.T) {
	in := BuildInput{Streams: one("a", 4), Containers: 2, Previous: Previous{Containers: map[string]string{
		"Partition 0": "1", "Partition 1": "1", "Partition 2": "0", "Partition 3": "0",
	}}}
	m, _ := mustBuild(t, in)
	equal(t, "dealt", dealt(m), map[string][]string{"0": {"Partition 0", "Partition 2"}, "1": {"Partition 1", "Partition 3"}})
	in.HostAffinity = true
	m, _ = mustBuild(t, in)
	equal(t, "kept", dealt(m), map[string][]string{"0": {"Partition 2", "Partition 3"}, "1": {"Partition 0", "Partition 1"}})
}

func TestKeepTasksWhenPartitionsGrow(t *testing.T) {
	for _, g := range []Grouper{ByPartition, BySSP} {
		t.Run(string(g), func(t *testing.T) {
			in := BuildInput{
				Streams:   map[Stream]int32{{"kafka", "a"}: 2, {"kafka", "b"}: 2},
				Broadcast: []Input{{"kafka", "rules", 0}},
				Grouper:   g, KeepTasks: true,
			}
			m0, a := mustBuild(t, in)
			for _, n := range []int32{2, 4, 4, 8} { // grown twice, restarted in between
				in.Previous = next(a)
				in.Streams[Stream{"kafka", "a"}] = n
				var m JobModel
				m, a = mustBuild(t, in)
				equal(t, fmt.Sprintf("changelogs with %d", n), changelogs(m), changelogs(m0))
				for name, task := range tasksOf(m) {
					b := 0
					for _, i := range task.Inputs {
						if i.Stream == "rules" {
							b++
							continue
						}
						was := Input{i.System, i.Stream, i.Partition % 2}
						if !slices.Contains(tasksOf(m0)[name].Inputs, was) {
							t.Errorf("with %d partitions %s is in %q, which did not have %s", n, i, name, was)
						}
					}
					if b != 1 {
						t.Errorf("%q reads the broadcast input %d times", name, b)
					}
				}
			}
		})
	}
}

func tasksOf(m JobModel) map[string]Task {
	out := map[string]Task{}
	for _, c := range m.Containers {
		maps.Copy(out, c.Tasks)
	}
	return out
}

func TestKeepTasksAddsStreams(t *testing.T) {
	_, a := mustBuild(t, BuildInput{Streams: one("a", 2), KeepTasks: true})
	m, _ := mustBuild(t, BuildInput{
		Streams:   map[Stream]int32{{"kafka", "a"}: 2, {"kafka", "b"}: 3},
		KeepTasks: true, Previous: next(a),
	})
	equal(t, "inputs", inputsOf(m), map[string][]string{
		"Partition 0": {"kafka.a#0", "kafka.b#0"}, "Partition 1": {"kafka.a#1", "kafka.b#1"}, "Partition 2": {"kafka.b#2"},
	})
}

func TestBuildErrors(t *testing.T) {
	_, had4 := mustBuild(t, BuildInput{Streams: one("a", 4)})
	_, hadSSP := mustBuild(t, BuildInput{Streams: one("a", 4), Grouper: BySSP})
	for _, c := range []struct {
		name string
		in   BuildInput
		is   error
		says []string
	}{
		{"no input", BuildInput{}, ErrNoTasks, []string{"task.inputs"}},
		{"no partitions", BuildInput{Streams: one("a", 0)}, ErrNoTasks, nil},
		{"too many containers", BuildInput{Streams: one("a", 4), Containers: 5}, ErrTooManyContainers,
			[]string{"job.container.count is 5", "only 4 tasks", "Partition 0", "..."}},
		{"negative count", BuildInput{Streams: one("a", 4), Containers: -1}, nil, []string{"job.container.count"}},
		{"unknown grouper", BuildInput{Streams: one("a", 4), Grouper: "x"}, nil, []string{"job.systemstreampartition.grouper.factory", `"x"`, "ssp"}},
		{"broadcast and single task", BuildInput{Streams: one("a", 4), Grouper: AllToSingle, Broadcast: []Input{{"kafka", "b", 0}}}, nil, []string{"task.broadcast.inputs"}},
		{"bad broadcast partition", BuildInput{Streams: one("a", 4), Broadcast: []Input{{"kafka", "b", -1}}}, nil, []string{"task.broadcast.inputs", "-1"}},
		{"negative partitions", BuildInput{Streams: one("a", -4)}, nil, []string{"kafka.a", "-4"}},
		{"grown by no multiple", BuildInput{Streams: one("a", 6), KeepTasks: true, Previous: next(had4)}, ErrInputChanged, []string{"kafka.a had 4 partitions and has 6"}},
		{"shrunk", BuildInput{Streams: one("a", 2), KeepTasks: true, Previous: next(had4)}, ErrInputChanged, []string{"had 4 partitions and has 2"}},
		{"another grouper", BuildInput{Streams: one("a", 4), KeepTasks: true, Previous: next(hadSSP)}, ErrInputChanged, []string{"SystemStreamPartition [kafka, a, 0]", "job.systemstreampartition.grouper.factory"}},
		{"changelog twice", BuildInput{Streams: one("a", 4), Previous: Previous{Changelog: map[string]int32{"Partition 0": 1, "Partition 1": 1}}}, nil, []string{"set-changelog", "Partition 0", "Partition 1"}},
		{"changelog negative", BuildInput{Streams: one("a", 4), Previous: Previous{Changelog: map[string]int32{"Partition 0": -1}}}, nil, []string{"set-changelog"}},
	} {
		_, _, err := Build(c.in)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.name, err, c.is)
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.name, err, s)
			}
		}
	}
}

func drawInput(t *rapid.T) BuildInput {
	in := BuildInput{
		Config:       config.New(map[string]string{"job.name": "x"}),
		Streams:      map[Stream]int32{},
		Grouper:      rapid.SampledFrom([]Grouper{ByPartition, BySSP}).Draw(t, "grouper"),
		HostAffinity: rapid.Bool().Draw(t, "affinity"),
		KeepTasks:    rapid.Bool().Draw(t, "keep"),
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "streams") {
		in.Streams[Stream{"kafka", fmt.Sprint("s", i)}] = rapid.Int32Range(1, 25).Draw(t, "partitions")
	}
	for i := range rapid.Int32Range(0, 2).Draw(t, "broadcast") {
		in.Broadcast = append(in.Broadcast, Input{"kafka", "b", i})
	}
	return in
}

func taskCount(in BuildInput) int {
	sum, most := int32(0), int32(0)
	for _, n := range in.Streams {
		sum, most = sum+n, max(most, n)
	}
	if in.Grouper == BySSP {
		return int(sum)
	}
	return int(most)
}

// Through a series of starts with changing container counts: every partition is
// read by exactly one task, every task is in one container, no container is
// empty, changelog partitions are kept and never shared, and tasks move only
// when they have to.
func TestBuildProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		tasks := taskCount(in)
		numbers := map[string]int32{}
		var before map[string]string
		for range rapid.IntRange(1, 5).Draw(t, "starts") {
			in.Containers = rapid.IntRange(1, tasks).Draw(t, "containers")
			m, a, err := Build(in)
			if err != nil {
				t.Fatal(err)
			}
			if again, _, _ := Build(in); cmp.Diff(Encode(m), Encode(again)) != "" {
				t.Fatal("two builds of the same input differ")
			}
			if len(m.Containers) != in.Containers {
				t.Fatalf("%d containers, want %d", len(m.Containers), in.Containers)
			}
			seen, owners := map[Input]int{}, map[int32]string{}
			least, most := tasks, 0
			for id, c := range m.Containers {
				if id != c.ID || len(c.Tasks) == 0 {
					t.Fatalf("container %q has the id %q and %d tasks", id, c.ID, len(c.Tasks))
				}
				least, most = min(least, len(c.Tasks)), max(most, len(c.Tasks))
				for name, task := range c.Tasks {
					if other, ok := owners[task.ChangelogPartition]; ok {
						t.Fatalf("%q and %q share changelog partition %d", name, other, task.ChangelogPartition)
					}
					owners[task.ChangelogPartition] = name
					if p, ok := numbers[name]; ok && p != task.ChangelogPartition {
						t.Fatalf("%q had changelog partition %d and has %d", name, p, task.ChangelogPartition)
					}
					numbers[name] = task.ChangelogPartition
					if a.Containers[name] != id || a.Changelog[name] != task.ChangelogPartition {
						t.Fatalf("the assignment to keep differs from the model at %q", name)
					}
					for _, i := range task.Inputs {
						seen[i]++
						if !slices.Contains(a.Inputs[i], name) {
							t.Fatalf("%s is not said to be %q's", i, name)
						}
					}
				}
			}
			if m.TaskCount() != tasks {
				t.Fatalf("%d tasks, want %d", m.TaskCount(), tasks)
			}
			for s, n := range in.Streams {
				for p := range n {
					if got := seen[Input{s.System, s.Stream, p}]; got != 1 {
						t.Fatalf("%s partition %d is read %d times", s, p, got)
					}
				}
			}
			for _, b := range in.Broadcast {
				if seen[b] != tasks {
					t.Fatalf("%s is read by %d of %d tasks", b, seen[b], tasks)
				}
			}
			if most-least > 1 {
				t.Fatalf("containers have from %d to %d tasks", least, most)
			}
			if in.HostAffinity && before != nil {
				oldCount := len(slices.Compact(slices.Sorted(maps.Values(before))))
				moved := 0
				for name, id := range before {
					if a.Containers[name] != id {
						moved++
					}
				}
				if allowed := mustMove(before, in.Containers, tasks); oldCount > 1 && in.Containers > 1 && moved != allowed {
					t.Fatalf("%d tasks moved from %d to %d containers, %d had to", moved, oldCount, in.Containers, allowed)
				}
			}
			before = a.Containers
			in.Previous = next(a)
		}
	})
}

// mustMove counts the tasks above the share that their container keeps.
func mustMove(before map[string]string, n, tasks int) int {
	size := map[string]int{}
	for _, id := range before {
		size[id]++
	}
	if len(size) == n {
		return 0
	}
	moves := 0
	for i := range len(size) {
		want := 0
		if i < n {
			want = tasks / n
			if i < tasks%n {
				want++
			}
		}
		moves += max(0, size[containerID(i)]-want)
	}
	return moves
}

func BenchmarkBuildAndEncode10000Partitions(b *testing.B) {
	cfg := map[string]string{}
	for i := range 60 {
		cfg[fmt.Sprint("some.key.of.the.job.", i)] = "some value of the job"
	}
	in := BuildInput{Config: config.New(cfg), Streams: one("clicks", 10_000), Containers: 100}
	b.ReportAllocs()
	for b.Loop() {
		m, a, err := Build(in)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(Encode(m))))
		if len(a.Inputs) != 10_000 {
			b.Fatal(len(a.Inputs))
		}
	}
}

func BenchmarkDecode10000Partitions(b *testing.B) {
	m, _, err := Build(BuildInput{Streams: one("clicks", 10_000), Containers: 100})
	if err != nil {
		b.Fatal(err)
	}
	doc := Encode(m)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(doc); err != nil {
			b.Fatal(err)
		}
	}
}
