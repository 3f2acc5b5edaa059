//go:build grid

package endtoend

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
	"heddle/system/files"
)

// hdfs is the grid's.
func hdfs(t testing.TB) files.FileSystem {
	t.Helper()
	o, err := files.FromEnvironment(os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := files.Open(t.Context(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func list(t testing.TB, fs files.FileSystem, folder string) []string {
	t.Helper()
	entries, err := fs.List(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, path.Join(folder, e.Name))
	}
	slices.Sort(names)
	return names
}

func content(t testing.TB, fs files.FileSystem, name string) []byte {
	t.Helper()
	r, err := fs.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	offsetInManifest = regexp.MustCompile(`"changelog\.offset":(\d+)`)
	restoredStore    = regexp.MustCompile(`store restored.* records=(\d+).* source=(changelog|snapshot|"local state").* took=(\S+)`)
)

// restores is what a log says of how stores came back.
func restores(log string) (records int, sources map[string]int, took string) {
	sources = map[string]int{}
	for _, m := range restoredStore.FindAllStringSubmatch(log, -1) {
		n, _ := strconv.Atoi(m[1])
		records += n
		sources[m[2]]++
		took += m[3] + " "
	}
	return records, sources, took
}

// TestStoresComeBackFromSnapshots: with no state on the machine a store takes its snapshot from HDFS
// and reads of its changelog, which has ten records for each key, only what came after it. Once the
// snapshots are cut off on HDFS it reads all of it. The totals are the true ones each time.
func TestStoresComeBackFromSnapshots(t *testing.T) {
	g := grid.Use(t)
	const keys, perKey, tail = 5000, 10, 400
	for _, factory := range []string{"process", "yarn"} {
		t.Run(factory, func(t *testing.T) {
			b := newGroupBy(t, g, factory)
			fs := hdfs(t)
			root := "/heddle-test/" + b.count.name
			t.Cleanup(func() { _ = fs.RemoveAll(t.Context(), root) })
			t.Setenv("LOGGED_STORE_BASE_DIR", t.TempDir())
			c := b.count
			c.set("stores.counts.object.cache.size", "0") // each change is a record
			c.set("task.commit.ms", "500")
			c.set("heddle.snapshot.uri", root)
			c.set("heddle.snapshot.interval.ms", "1000")
			var all []*kgo.Record
			views := func(from, to int) {
				var now []*kgo.Record
				for i := from; i < to; i++ {
					user := i % keys
					now = append(now, &kgo.Record{Topic: b.byUser, Partition: int32(user % 4), Key: fmt.Appendf(nil, "u%d", user),
						Value: fmt.Appendf(nil, `{"user_id":"u%d","page":"/%d"}`, user, i)})
				}
				g.Produce(t, now...)
				all = append(all, now...)
			}
			c.run(0, "--until-caught-up") // which makes the topics
			views(0, keys*perKey)

			run := func(until func()) (log string) {
				if factory == "yarn" {
					id := c.submit()
					c.awaitRunning(id)
					until()
					log = c.run(0, "logs").stdout
					c.kill(id)
					return log
				}
				p := c.start("--quiet")
				grid.Eventually(t, commandLimit, "all stores are restored", func() (bool, string) {
					log := p.stdout.String()
					return strings.Count(log, "store restored") == 4, tailOf(log)
				})
				until()
				p.signal(syscall.SIGINT)
				r := p.wait(soon)
				if r.code != 0 {
					t.Fatalf("%s", r)
				}
				return r.stdout + r.stderr
			}
			caughtUp := func(n int) func() {
				return func() {
					grid.Eventually(t, commandLimit, "all of it is counted", func() (bool, string) {
						sum := 0
						for _, end := range g.EndOffsets(t, b.counts) {
							sum += int(end)
						}
						return sum >= n, fmt.Sprint(sum, " of ", n)
					})
				}
			}
			tasks := func() []string { return list(t, fs, root+"/heddle-v1/"+c.name+"-1/counts") }
			run(func() {
				caughtUp(keys * perKey)()
				ends := g.EndOffsets(t, b.counts)
				grid.Eventually(t, commandLimit, "snapshots of all of it", func() (bool, string) {
					var state string
					whole := 0
					for _, task := range tasks() {
						manifests := list(t, fs, task+"/manifests")
						if len(manifests) == 0 || !strings.HasSuffix(manifests[len(manifests)-1], ".json") {
							continue
						}
						m := offsetInManifest.FindSubmatch(content(t, fs, manifests[len(manifests)-1]))
						offset, _ := strconv.ParseInt(string(m[1]), 10, 64)
						state += fmt.Sprint(" ", path.Base(task), " ", offset)
						for _, end := range ends {
							if offset == end-1 {
								whole++
								break
							}
						}
					}
					return whole == 4, state
				})
			})

			// A tail that no snapshot has, with the state on this machine.
			views(keys*perKey, keys*perKey+tail)
			c.set("heddle.snapshot.interval.ms", "3600000")
			log := run(caughtUp(keys*perKey + tail))
			if n, sources, _ := restores(log); n != 0 || sources[`"local state"`] != 4 {
				t.Errorf("with the state on the machine %d records were read, from %v", n, sources)
			}

			t.Setenv("LOGGED_STORE_BASE_DIR", t.TempDir()) // another machine
			c.run(0, "validate")
			began := time.Now()
			log = run(func() {})
			n, sources, took := restores(log)
			t.Logf("from snapshots: %d of %d records were read, stores took %s(all in all %v)", n, len(all), took, time.Since(began).Round(time.Millisecond))
			if n != tail || sources["snapshot"] != 4 {
				t.Errorf("%d records were read, want %d; from %v\n%s", n, tail, sources, tailOf(log))
			}
			b.checkTotals(t, g, viewsPerUser(t, all))

			// Cut off what lies on HDFS.
			spoilt := 0
			for _, task := range tasks() {
				for _, name := range list(t, fs, task+"/files") {
					half := content(t, fs, name)
					if _, err := fs.Put(t.Context(), name, bytes.NewReader(half[:len(half)/2]), 0o600); err != nil {
						t.Fatal(err)
					}
					spoilt++
				}
			}
			if spoilt < 4 {
				t.Fatalf("only %d files lie on HDFS", spoilt)
			}
			t.Setenv("LOGGED_STORE_BASE_DIR", t.TempDir())
			views(keys*perKey+tail, keys*perKey+2*tail)
			log = run(caughtUp(keys*perKey + 2*tail))
			n, sources, took = restores(log)
			t.Logf("from the changelog: %d records were read, stores took %s", n, took)
			if n != keys*perKey+tail || sources["changelog"] != 4 || !strings.Contains(log, "a snapshot is not whole") {
				t.Errorf("%d records were read, from %v\n%s", n, sources, tailOf(log))
			}
			b.checkTotals(t, g, viewsPerUser(t, all))
		})
	}
}

func tailOf(log string) string {
	if len(log) > 6000 {
		return log[len(log)-6000:]
	}
	return log
}
