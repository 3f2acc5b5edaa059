//go:build grid

package endtoend

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// enrich is examples/enrich with topics of its own.
type enrich struct {
	*job
	orders, users, rates, out string
}

func newEnrich(t testing.TB, g *grid.Grid) *enrich {
	t.Helper()
	e := &enrich{
		job: newJob(t, g, grid.Name("enrich"), example("enrich/enrich.properties")), orders: g.Topic(t, "orders", 4), out: g.Topic(t, "enriched", 4),
		users: g.Topic(t, "users", 4, "cleanup.policy=compact"), rates: g.Topic(t, "rates", 2, "cleanup.policy=compact"),
	}
	e.set("job.factory.class", "yarn")
	e.set("yarn.package.path", sharedPackage(t, g, example("enrich/enrich.properties")))
	for id, topic := range map[string]string{"Orders": e.orders, "Users": e.users, "Rates": e.rates, "EnrichedOrders": e.out} {
		e.set("streams."+id+".samza.system", "kafka")
		e.set("streams."+id+".samza.physical.name", topic)
		e.set("heddle.preload.kafka."+id, "")
	}
	return e
}

const enrichUsers = 20

// user is the i-th user, in the partition of its orders; without a name the
// account is closed.
func (e *enrich) user(i int, name string) *kgo.Record {
	i %= enrichUsers
	value := fmt.Sprintf(`{"user":"u%d","name":"%s","country":"NO"}`, i, name)
	if name == "" {
		value = fmt.Sprintf(`{"user":"u%d","closed":true}`, i)
	}
	return &kgo.Record{Topic: e.users, Partition: int32(i % 4), Key: fmt.Appendf(nil, "u%d", i), Value: []byte(value)}
}

func (e *enrich) rate(partition int32, currency string, euros float64) *kgo.Record {
	return &kgo.Record{Topic: e.rates, Partition: partition, Key: []byte(currency), Value: fmt.Appendf(nil, `{"currency":"%s","euros":%g}`, currency, euros)}
}

// order is the i-th order: of 100 x 2 in one of two currencies.
func (e *enrich) order(i int) *kgo.Record {
	return &kgo.Record{Topic: e.orders, Partition: int32(i % enrichUsers % 4), Key: fmt.Appendf(nil, "u%d", i%enrichUsers),
		Value: fmt.Appendf(nil, `{"order":"o%d","user":"u%d","amount":200,"currency":"%s"}`, i, i%enrichUsers, currencyOf(i))}
}

func currencyOf(i int) string { return []string{"AAA", "BBB"}[i/enrichUsers%2] }

// wanted is what has to come out of the i-th order.
func wanted(i int, names map[int]string, rates map[string]float64) string {
	name := names[i%enrichUsers]
	if name == "" {
		return fmt.Sprintf(`{"order":"o%d","user":"u%d","problem":"no such user"}`, i, i%enrichUsers)
	}
	return fmt.Sprintf(`{"order":"o%d","user":"u%d","name":"%s","country":"NO","euroCents":%d}`, i, i%enrichUsers, name, int(200*rates[currencyOf(i)]))
}

// sideInput is how far a store is in a partition, as the application master tells.
type sideInput struct {
	Store     string `json:"store"`
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"`
	Lag       int64  `json:"lag"`
}

// sideStatus is what `status` and the list of tasks say of side inputs.
type sideStatus struct {
	SideInputs    struct{ Partitions, Known, Lag int64 } `json:"sideInputs"`
	ContainerList []struct {
		Shared []sideInput `json:"shared"`
	} `json:"containerList"`
}

// awaitFilled waits until every task has its part of the users, and every
// container all of the rates, up to the ends that the topics have now.
func (e *enrich) awaitFilled(application string, containers int) {
	e.t.Helper()
	users, rates := e.g.EndOffsets(e.t, e.users), e.g.EndOffsets(e.t, e.rates)
	grid.Eventually(e.t, soon, "the stores are where their side inputs end", func() (bool, string) {
		var s sideStatus
		var tasks struct {
			Tasks []struct {
				SideInputs []sideInput `json:"sideInputs"`
			} `json:"tasks"`
		}
		if err := ask(e.t, e.g, application, "status", &s); err != nil {
			return false, err.Error()
		}
		if err := ask(e.t, e.g, application, "tasks", &tasks); err != nil {
			return false, err.Error()
		}
		state := fmt.Sprintf("%+v, %+v; the users end at %v, the rates at %v", s, tasks, users, rates)
		full := 0
		for _, t := range tasks.Tasks {
			for _, in := range t.SideInputs {
				if in.Store == "users" && in.Lag == 0 && in.Next == users[in.Partition] {
					full++
				}
			}
		}
		for _, c := range s.ContainerList {
			for _, in := range c.Shared {
				if in.Store == "rates" && in.Lag == 0 && in.Next == rates[in.Partition] {
					full++
				}
			}
		}
		want := len(users) + containers*len(rates)
		return full == want && s.SideInputs.Partitions == int64(want) && s.SideInputs.Known == int64(want) && s.SideInputs.Lag == 0, state
	})
}

// On YARN, exactly-once, in two containers: every order comes out once, with the
// user and the rate of its time, through the kill of a container and changes of
// both tables.
func TestEnrichedOnYARN(t *testing.T) {
	g := grid.Use(t)
	e := newEnrich(t, g)
	e.set("job.container.count", "2")
	e.set("heddle.processing.guarantee", "exactly-once")
	e.set("task.commit.ms", "300")
	names, rates := map[int]string{}, map[string]float64{"AAA": 0.5, "BBB": 2}
	tables := []*kgo.Record{e.rate(0, "AAA", 9), e.rate(0, "AAA", rates["AAA"]), e.rate(1, "BBB", rates["BBB"])}
	for i := range enrichUsers {
		names[i] = fmt.Sprint("first ", i)
		tables = append(tables, e.user(i, "old"), e.user(i, names[i]))
	}
	g.Produce(t, tables...)
	var want []string
	var sent []*kgo.Record
	const first = 2000
	for i := range first {
		sent = append(sent, e.order(i))
		want = append(want, wanted(i, names, rates))
	}
	g.Produce(t, sent...)
	id := e.submit()
	e.awaitRead(id, e.orders)
	e.awaitFilled(id, 2)

	// Changed while it runs.
	tables = []*kgo.Record{e.user(7, ""), e.rate(1, "BBB", 3)}
	delete(names, 7)
	rates["BBB"] = 3
	for i := range 5 {
		names[i] = fmt.Sprint("second ", i)
		tables = append(tables, e.user(i, names[i]))
	}
	g.Produce(t, tables...)
	e.awaitFilled(id, 2)
	live := produceLive(t, g, func(i int) *kgo.Record { return e.order(first + i) }, 40, 20*time.Millisecond)
	live.awaitMore(1000)
	killContainer(t, g, e.job, id, 0)
	e.awaitFilled(id, 2)
	live.awaitMore(200)
	sent = append(sent, live.finish()...)
	for i := first; i < len(sent); i++ {
		want = append(want, wanted(i, names, rates))
	}
	e.awaitRead(id, e.orders)
	stores := e.run(0, "state", "list", "--json").stdout
	if strings.Count(stores, `"behind":0,`) != 2+2*4 || !strings.Contains(stores, `"shared":true`) { // each store, and each of the tasks'
		t.Errorf("state list: %s", stores)
	}
	e.kill(id)
	t.Log("1 kill, 7 changes of the tables")
	exactly(t, grid.Tally(want, grid.Values(g.ReadAll(t, e.out))))
}
