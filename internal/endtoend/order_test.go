//go:build grid

package endtoend

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// bootstrapAndBroadcast: on a real Kafka a bootstrap stream is read first at
// every start, and a broadcast one by every task, each from its own checkpoint.
func bootstrapAndBroadcast(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t, grid.Kafka)
	const rules, clicks, tasks = 3000, 4000, 4
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			first, second := g.Topic(t, "first", 1), g.Topic(t, "second", 1)
			all, in := g.Topic(t, "rules", 2), g.Topic(t, "clicks", tasks)
			one, out := g.Topic(t, "in-order", 1), g.Topic(t, "from-all", 1)
			fill := func(topic string, partitions int32, from, n int) (values []string) {
				records := make([]*kgo.Record, n)
				for i := range records {
					records[i] = &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: fmt.Appendf(nil, `{"user_id":"%s","page":"/%d"}`, topic, from+i)}
				}
				g.Produce(t, records...)
				return grid.Values(records)
			}
			newJob := func(output, inputs string) *job {
				j := newJob(t, g, grid.Name("order"), example("groupby/repartition.properties"))
				j.set("job.factory.class", factory)
				j.set("task.inputs", inputs)
				j.set("streams.PageViewByUser.samza.physical.name", output)
				j.set("heddle.preload.kafka.PageViewEvent", "")
				return j
			}

			// One task, one partition to write to: the output has the order in which
			// the task worked.
			j := newJob(one, "kafka."+second+",kafka."+first)
			j.set("streams."+first+".samza.bootstrap", "true")
			var want []string
			next := 0
			for start := range 3 {
				want = append(want, fill(second, 1, start*clicks, clicks)...)
				want = append(want, fill(first, 1, start*rules, rules)...)
				j.run(0, "--until-caught-up")
				records := g.ReadAll(t, one)
				for i, r := range records[min(next, len(records)):] {
					if isRule := string(r.Key) == first; isRule != (i < rules) {
						t.Fatalf("start %d: message %d is of %s; the bootstrap stream has %d", start, i, r.Key, rules)
					}
				}
				exactly(t, grid.Tally(want, grid.Values(records)))
				next = len(records)
			}

			// Four tasks in two containers, each with all rules.
			j = newJob(out, "kafka."+in+",kafka."+all)
			j.set("streams."+all+".samza.broadcast", "true")
			j.set("streams."+all+".samza.bootstrap", "true")
			if factory == "process" {
				j.set("job.container.count", "2")
			}
			want = fill(in, tasks, 0, clicks)
			for start := range 2 {
				for _, rule := range fill(all, 2, start*rules, rules) {
					for range tasks {
						want = append(want, rule)
					}
				}
				j.run(0, "--until-caught-up")
				exactly(t, grid.Tally(want, grid.Values(g.ReadAll(t, out))))
			}
		})
	}
}

// On YARN, in two containers: each task has all of the broadcast rules, and all of
// its own part of a bootstrap stream, before the first message of the other input.
func TestBootstrapOnYARN(t *testing.T) {
	g := grid.Use(t)
	const rules, accounts, clicks, tasks = 1000, 2000, 4000, 4
	j := newJob(t, g, grid.Name("bootstrap"), example("groupby/repartition.properties"))
	topics := map[string]string{"rules": g.Topic(t, "rules", 2), "accounts": g.Topic(t, "accounts", tasks), "clicks": g.Topic(t, "clicks", tasks)}
	out := g.Topic(t, "in-order", 1) // one partition: each task's messages lie in the order in which it worked
	j.set("job.factory.class", "yarn")
	j.set("yarn.package.path", sharedPackage(t, g, example("groupby/count.properties")))
	j.set("job.container.count", "2")
	j.set("task.inputs", "kafka."+topics["clicks"]+",kafka."+topics["accounts"]+",kafka."+topics["rules"])
	j.set("streams."+topics["rules"]+".samza.broadcast", "true")
	j.set("streams."+topics["rules"]+".samza.bootstrap", "true")
	j.set("streams."+topics["accounts"]+".samza.bootstrap", "true")
	j.set("streams.PageViewByUser.samza.physical.name", out)
	j.set("heddle.preload.kafka.PageViewEvent", "")
	var records []*kgo.Record
	var want []string
	add := func(kind string, n, partitions, times int) {
		for i := range n {
			r := &kgo.Record{Topic: topics[kind], Partition: int32(i % partitions), Value: fmt.Appendf(nil, `{"user_id":"%s","page":"/%d"}`, kind, i)}
			records = append(records, r)
			for range times {
				want = append(want, string(r.Value))
			}
		}
	}
	add("clicks", clicks, tasks, 1)
	add("accounts", accounts, tasks, 1)
	add("rules", rules, 2, tasks)
	g.Produce(t, records...)
	j.run(0, "--until-caught-up")
	got := g.ReadAll(t, out)
	exactly(t, grid.Tally(want, grid.Values(got)))
	// Which task sent a click or an account is told by its number. Nothing tells of a
	// rule, but before the first click of any task all its accounts have to be there,
	// and before the first click at all one task's rules.
	seen := map[string]int{}
	begun := map[int]bool{}
	for n, r := range got {
		kind := string(r.Key)
		seen[kind]++
		var page int
		if _, err := fmt.Sscanf(string(r.Value), `{"user_id":"`+kind+`","page":"/%d"}`, &page); err != nil {
			t.Fatalf("%s: %v", r.Value, err)
		}
		at := page % tasks
		switch {
		case kind == "clicks" && !begun[at]:
			begun[at] = true
			if seen["rules"] < rules*len(begun) {
				t.Errorf("message %d: %d tasks have begun with clicks, after %d rules; each has %d", n, len(begun), seen["rules"], rules)
			}
		case kind == "accounts" && begun[at]:
			t.Fatalf("message %d: an account of task %d after its first click", n, at)
		}
	}
}
