//go:build grid

package endtoend

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// oddUsers have names that URLs, JSON, tables and YARN's proxy may trip over.
var oddUsers = []string{"a b", "a/b", "a//b", "../b", "ä/ö€😀", "%41%2F", "a+b", "a&task=x", "a;b", "a?b#c", `a"b'c\`, "a\tb", "<b>&amp;", "null", "17", " ", "=", "{x}", "{"}

// TestQuestionsThroughTheProxy: a job on YARN, in two containers, is asked for keys with all kinds of
// signs in them, live and as of the last commit, while a container is frozen, dead, and restoring. Each
// answer is the true one or says in one line why there is none.
func TestQuestionsThroughTheProxy(t *testing.T) {
	g := grid.Use(t)
	t.Setenv("LOGGED_STORE_BASE_DIR", t.TempDir())
	b := newGroupBy(t, g, "yarn")
	j := b.count
	j.set("job.container.count", "2")
	j.set("task.window.ms", "1000000") // nothing is committed but at a stop
	j.set("task.commit.ms", "-1")
	// A store of numbers that nobody writes to.
	spare := j.name + "-spare"
	t.Cleanup(func() { g.DeleteTopics(t, spare) })
	j.set("stores.spare.factory", "memory")
	j.set("stores.spare.key.serde", "integer")
	j.set("stores.spare.msg.serde", "string")
	j.set("stores.spare.changelog", "kafka."+spare)
	want := map[string]int64{}
	views := func(of int, each func(i int) string) {
		t.Helper()
		var now []*kgo.Record
		for i := range of {
			user := each(i)
			value, err := json.Marshal(map[string]string{"user_id": user, "page": "/"})
			if err != nil {
				t.Fatal(err)
			}
			want[user]++
			now = append(now, &kgo.Record{Topic: b.byUser, Partition: int32(len(user) % 4), Key: []byte(user), Value: value})
		}
		g.Produce(t, now...)
	}
	odd := func(i int) string { return oddUsers[i%len(oddUsers)] }
	views(3*len(oddUsers), odd)
	id := j.submit()
	j.awaitRead(id, b.byUser)

	asked := func(key string, flags ...string) result {
		return try(t, append([]string{"state", "get", "counts", key, "--application=" + id, "--json"}, flags...)...)
	}
	for i, user := range oddUsers {
		if i%4 != 1 { // all of them are asked for below, in less time
			continue
		}
		if got := totalsOf(t, asked(user, "--live").stdout); len(got) != 1 || got[user] != 3 {
			t.Errorf("live, %q: %v, want 3", user, got)
		}
	}
	if r := asked(oddUsers[0]); r.code != 0 || r.stdout != "" || !strings.Contains(r.stderr, "no task has the key") {
		t.Errorf("before the first commit: %s", r)
	}
	// As run-job and the page ask where only YARN's proxy leads to the job, which changes some signs.
	for _, user := range oddUsers {
		ways := []url.Values{{"key64": {base64.RawURLEncoding.EncodeToString([]byte(user))}}}
		if !strings.ContainsAny(user, "%{}") {
			ways = append(ways, url.Values{"key": {user}})
		}
		for _, q := range ways {
			q.Set("mode", "live")
			code, _, body, err := get(t, g.RMWeb+"/proxy/"+id+"/api/v1/state/counts?"+q.Encode(), "", true)
			var page struct{ Entries []struct{ Key string } }
			if e := json.Unmarshal(body, &page); err != nil || code != http.StatusOK || e != nil || len(page.Entries) != 1 || page.Entries[0].Key != user {
				t.Errorf("through the proxy, %q as %v: %d %s %v", user, q, code, body, err)
			}
		}
	}
	j.kill(id) // which commits
	id = j.submit()
	j.awaitRead(id, b.byUser)
	committed := maps.Clone(want)
	views(len(oddUsers), odd)
	j.awaitRead(id, b.byUser)
	dump := func(flags ...string) result {
		return try(t, append([]string{"state", "dump", "counts", "--application=" + id}, flags...)...)
	}
	if got := totalsOf(t, dump().stdout); !maps.Equal(got, committed) {
		t.Errorf("as of the last commit: %s", difference(committed, got))
	}
	if got := totalsOf(t, dump("--live").stdout); !maps.Equal(got, want) {
		t.Errorf("live: %s", difference(want, got))
	}

	// Wrong questions.
	for _, w := range []struct {
		args []string
		says string
	}{
		{[]string{"get", "nothing", "x"}, "there are counts, spare"},
		{[]string{"get", "spare", "seven"}, "seven"},
		{[]string{"get", "spare", "7000000000"}, "7000000000"},
		{[]string{"range", "spare", "--from=1.5"}, "1.5"},
		{[]string{"range", "counts", "--task=Partition 9"}, "Partition 3"},
		{[]string{"range", "counts", "--prefix=a", "--from=b"}, "--prefix excludes"},
		{[]string{"get", "counts"}, "a store and a key"},
		{[]string{"get", "counts", "a", "--live", "--committed"}, "contradict"},
		{[]string{"count", "counts", "--task=Partition 9", "--json"}, "Partition 3"},
	} {
		refused(t, try(t, append([]string{"state", w.args[0]}, append(w.args[1:], "--application="+id)...)...), 2, w.says)
	}

	// One container is frozen: who asks for what it has is told so.
	running := j.awaitRunning(id)
	victim := running.ContainerList[0]
	found := g.Processes(t, "run-container", id)
	at := slices.IndexFunc(found, func(p grid.Process) bool { return p.Container == victim.ExecutionID })
	if at < 0 {
		t.Fatalf("no process of %+v: %v", victim, found)
	}
	tasks := tasksOf(t, g, id, victim.ID)
	if soaking { // it takes the 15 s that a container may take to answer
		halt(t, found[at], syscall.SIGSTOP)
		r := try(t, "state", "count", "counts", "--application="+id, "--task="+tasks[0])
		halt(t, found[at], syscall.SIGCONT)
		refused(t, r, 3, tasks[0], "it may be frozen")
		t.Logf("a frozen container: %s after %.1f s", strings.TrimSpace(r.stderr), r.took.Seconds())
	}

	// One container dies, without its state on disk: dumps are whole, or say why they are not.
	views(20_000, func(i int) string { return fmt.Sprint("user-", i) })
	j.awaitRead(id, b.byUser)
	g.KillProcess(t, found[at])
	answers := map[string]int{}
	grid.Eventually(t, soon, "the killed container is asked while it is dead, and answers again", func() (bool, string) {
		r := dump("--task=" + tasks[0])
		if r.code == 0 {
			answers["whole"]++
			for user, n := range totalsOf(t, r.stdout) {
				if n != committed[user] {
					t.Errorf("%q: %d, committed are %d", user, n, committed[user])
				}
			}
			return true, ""
		}
		refused(t, r, 3)
		answers[strings.TrimSpace(r.stderr)]++
		return false, r.stderr
	})
	for what, n := range answers {
		t.Logf("%d times: %s", n, what)
	}
	j.awaitRead(id, b.byUser)
	if got := totalsOf(t, dump("--live").stdout); !maps.Equal(got, want) {
		t.Errorf("live, after the kill: %s", difference(want, got))
	}
	if got := totalsOf(t, try(t, "state", "range", "counts", "--application="+id, "--live", "--json", "--from=user-1", "--to=user-2", "--limit=11000").stdout); len(got) != 11_000 {
		t.Errorf("a range over two pages has %d entries, want 11000", len(got))
	}
	j.kill(id)
	b.checkTotals(t, g, want)
}

// halt sends a container SIGSTOP or SIGCONT; one that is left halted goes on at the test's end.
func halt(t testing.TB, p grid.Process, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.PID, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(p.PID, syscall.SIGCONT) })
}

// tasksOf are the names of a container's tasks.
func tasksOf(t testing.TB, g *grid.Grid, application, container string) []string {
	t.Helper()
	var answer struct {
		Tasks []struct{ Name, Container string }
	}
	if err := ask(t, g, application, "tasks", &answer); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, task := range answer.Tasks {
		if task.Container == container {
			names = append(names, task.Name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("container %s has no tasks: %+v", container, answer)
	}
	return names
}
