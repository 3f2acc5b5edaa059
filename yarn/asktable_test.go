package yarn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
)

func testTable() *askTable {
	return newAskTable(func(host string) string {
		if rest, ok := strings.CutPrefix(host, "r2"); ok && rest != "" {
			return "/rack2"
		}
		return DefaultRack
	})
}

// rows gives the asks of a call as "id priority location count relax [label]".
func rows(req *pb.AllocateRequestProto) []string {
	out := []string{}
	for _, a := range req.GetAsk() {
		s := fmt.Sprintf("%d %d %s %d %v", a.GetAllocationRequestId(), a.GetPriority().GetPriority(), a.GetResourceName(), a.GetNumContainers(), a.GetRelaxLocality())
		if a.NodeLabelExpression != nil {
			s += " " + a.GetNodeLabelExpression()
		}
		out = append(out, s)
	}
	return out
}

func wantRows(t *testing.T, req *pb.AllocateRequestProto, want ...string) {
	t.Helper()
	if got := rows(req); !slices.Equal(got, want) {
		t.Errorf("the call asks for\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func testContainer(request, n int64, host string) *pb.ContainerProto {
	return &pb.ContainerProto{
		Id:                  NewContainerID(AttemptID{ApplicationID{1, 1}, 1}, 0, n).proto(),
		NodeId:              NodeID{host, 1}.proto(),
		AllocationRequestId: &request,
	}
}

func response(id int32, containers ...*pb.ContainerProto) *pb.AllocateResponseProto {
	return &pb.AllocateResponseProto{ResponseId: &id, AllocatedContainers: containers}
}

var small = Resource{MemoryMiB: 128, VCores: 1}

func TestAskRows(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want []string
	}{
		{"any host", Request{ID: 7, Count: 3, Priority: 1, Resource: small}, []string{"7 1 * 3 true"}},
		{"count of nothing is one", Request{ID: 7, Resource: small}, []string{"7 0 * 1 true"}},
		{"label on * only", Request{ID: 7, Resource: small, Nodes: []string{"h1"}, Label: "gpu"},
			[]string{"7 0 * 1 true gpu", "7 0 /default-rack 1 true", "7 0 h1 1 true"}},
		{"preferred hosts of two racks", Request{ID: 7, Count: 2, Resource: small, Nodes: []string{"h1", "h2", "r2h"}},
			[]string{"7 0 * 2 true", "7 0 /default-rack 2 true", "7 0 /rack2 2 true", "7 0 h1 2 true", "7 0 h2 2 true", "7 0 r2h 2 true"}},
		{"that host or none", Request{ID: 7, Resource: small, Nodes: []string{"h1"}, Strict: true},
			[]string{"7 0 * 1 false", "7 0 /default-rack 1 false", "7 0 h1 1 true"}},
		{"that rack or none", Request{ID: 7, Resource: small, Racks: []string{"/rack2"}, Strict: true},
			[]string{"7 0 * 1 false", "7 0 /rack2 1 true"}},
		{"that host or its rack", Request{ID: 7, Resource: small, Nodes: []string{"r2h"}, Racks: []string{"/rack2"}, Strict: true},
			[]string{"7 0 * 1 false", "7 0 /rack2 1 true", "7 0 r2h 1 true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := testTable()
			if err := table.add(c.r); err != nil {
				t.Fatal(err)
			}
			wantRows(t, table.begin(0), c.want...)
			table.answered(response(1))
			wantRows(t, table.begin(0))
		})
	}
}

func TestBadRequests(t *testing.T) {
	for _, r := range []Request{
		{ID: -1, Resource: small},
		{Count: -1, Resource: small},
		{Priority: -1, Resource: small},
		{},
		{Resource: small, Strict: true},
		{Resource: small, Label: "a && b"},
		{Resource: small, Nodes: []string{"*"}},
		{Resource: small, Racks: []string{""}},
	} {
		if err := testTable().add(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

func TestMetRequestIsLoweredInSilence(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Count: 3, Resource: small})
	table.begin(0)
	table.answered(response(1, testContainer(1, 2, "h1")))
	wantRows(t, table.begin(0)) // the ResourceManager has lowered "*" itself
	table.answered(response(2, testContainer(1, 3, "h1"), testContainer(1, 4, "h2")))
	wantRows(t, table.begin(0))
	if len(table.outstanding()) != 0 {
		t.Errorf("still outstanding: %v", table.outstanding())
	}
	// One more than asked for, and one of a request that never was.
	table.answered(response(3, testContainer(1, 5, "h1"), testContainer(9, 6, "h1"), testContainer(-1, 7, "h1")))
	wantRows(t, table.begin(0))
}

func TestMetRequestTakesItsOtherLocationsBack(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Count: 2, Resource: small, Nodes: []string{"h1", "h2"}})
	table.begin(0)
	table.answered(response(1, testContainer(1, 2, "h1")))
	wantRows(t, table.begin(0), "1 0 /default-rack 1 true", "1 0 h1 1 true", "1 0 h2 1 true")
	table.answered(response(2, testContainer(1, 3, "elsewhere")))
	wantRows(t, table.begin(0), "1 0 /default-rack 0 true", "1 0 h1 0 true", "1 0 h2 0 true")
}

func TestCancel(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Count: 2, Resource: small, Nodes: []string{"h1"}})
	table.begin(0)
	table.answered(response(1))
	table.cancel(1)
	table.cancel(1)
	table.cancel(5)
	wantRows(t, table.begin(0), "1 0 * 0 true", "1 0 /default-rack 0 true", "1 0 h1 0 true")
	table.answered(response(2, testContainer(1, 2, "h1"))) // was on its way
	wantRows(t, table.begin(0))
}

func TestReplacedRequest(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Resource: small, Nodes: []string{"h1"}, Strict: true})
	table.begin(0)
	table.answered(response(1))
	// As Samza's expired preferred host: now anywhere, with another priority.
	table.add(Request{ID: 1, Priority: 1, Resource: small})
	wantRows(t, table.begin(0), "1 0 * 0 false", "1 0 /default-rack 0 false", "1 0 h1 0 true", "1 1 * 1 true")
	table.answered(response(2, testContainer(1, 2, "h1")))
	wantRows(t, table.begin(0))
	if len(table.outstanding()) != 0 {
		t.Errorf("still outstanding: %v", table.outstanding())
	}
}

func TestCallIsRepeatedAsItWas(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Resource: small})
	first := table.begin(0.25)
	if first.GetResponseId() != 0 {
		t.Fatalf("the first call has response id %d", first.GetResponseId())
	}
	// No answer. What comes up meanwhile must wait: a repeated call is not read.
	table.add(Request{ID: 2, Resource: small})
	table.release(NewContainerID(AttemptID{}, 0, 9))
	again := table.begin(0.5)
	if !proto.Equal(first, again) {
		t.Errorf("the repeated call is another:\n%v\n%v", first, again)
	}
	table.answered(response(1))
	next := table.begin(0.5)
	if next.GetResponseId() != 1 || len(next.GetRelease()) != 1 {
		t.Errorf("the next call is %v", next)
	}
	wantRows(t, next, "2 0 * 1 true")
}

func TestResync(t *testing.T) {
	table := testTable()
	gone, kept := NewContainerID(AttemptID{}, 0, 8), NewContainerID(AttemptID{}, 0, 9)
	table.add(Request{ID: 1, Count: 2, Resource: small})
	table.add(Request{ID: 2, Resource: small})
	table.add(Request{ID: 3, Resource: small})
	table.release(gone)
	table.release(kept)
	table.blacklist["bad"] = true
	table.setTrackingURL("http://new")
	req := table.begin(0)
	if len(req.GetRelease()) != 2 || req.GetTrackingUrl() != "http://new" || !slices.Equal(req.GetBlacklistRequest().GetBlacklistAdditions(), []string{"bad"}) {
		t.Errorf("got %v", req)
	}
	resp := response(1, testContainer(1, 2, "h1"), testContainer(3, 3, "h1"))
	resp.CompletedContainerStatuses = []*pb.ContainerStatusProto{{ContainerId: gone.proto()}}
	table.answered(resp)
	req = table.begin(0)
	if len(req.GetRelease()) != 0 || req.TrackingUrl != nil || req.BlacklistRequest != nil || len(req.GetAsk()) != 0 || req.GetResponseId() != 1 {
		t.Errorf("told again: %v", req)
	}
	table.cancel(2)
	table.resync()
	req = table.begin(0)
	wantRows(t, req, "1 0 * 1 true")
	if req.GetResponseId() != 0 || len(req.GetRelease()) != 1 || containerIDFromProto(req.GetRelease()[0]) != kept ||
		!slices.Equal(req.GetBlacklistRequest().GetBlacklistAdditions(), []string{"bad"}) || req.GetTrackingUrl() != "http://new" {
		t.Errorf("after the resync: %v", req)
	}
	table.answered(response(1))
	clear(table.blacklist)
	if req := table.begin(0); !slices.Equal(req.GetBlacklistRequest().GetBlacklistRemovals(), []string{"bad"}) {
		t.Errorf("got %v", req)
	}
}

func TestRefusedCallGivesNewRequestsUp(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Resource: small})
	table.add(Request{ID: 2, Count: 2, Resource: small, Nodes: []string{"h1"}})
	table.begin(0)
	table.answered(response(1, testContainer(2, 2, "h1")))
	table.cancel(1)
	table.add(Request{ID: 3, Resource: Resource{1 << 40, 1}})
	table.release(NewContainerID(AttemptID{}, 0, 2))
	wantRows(t, table.begin(0), "1 0 * 0 true", "2 0 /default-rack 1 true", "2 0 h1 1 true", "3 0 * 1 true")
	given := table.refused(false)
	if len(given) != 1 || given[0].ID != 3 {
		t.Errorf("given up: %v", given)
	}
	req := table.begin(0)
	wantRows(t, req, "1 0 * 0 true", "2 0 /default-rack 1 true", "2 0 h1 1 true")
	if req.GetResponseId() != 1 || len(req.GetRelease()) != 1 {
		t.Errorf("got %v", req)
	}
	if given := table.refused(true); given != nil {
		t.Errorf("given up for a bad release: %v", given)
	}
	if req := table.begin(0); len(req.GetRelease()) != 0 {
		t.Errorf("the bad release is sent again: %v", req)
	}
}

func TestRenumber(t *testing.T) {
	table := testTable()
	table.add(Request{ID: 1, Resource: small})
	table.add(Request{ID: 2, Resource: small})
	table.begin(0)
	table.answered(response(1))
	table.cancel(1)
	table.begin(0)
	table.renumber(41)
	req := table.begin(0)
	wantRows(t, req, "1 0 * 0 true", "2 0 * 1 true")
	if req.GetResponseId() != 41 {
		t.Errorf("got %v", req)
	}
}

// modelRM keeps what a ResourceManager keeps: absolute counts per row, lowered as it
// allocates, bounded by "*"; the last answer, for a call that comes again.
type modelRM struct {
	counts map[rowKey]int32
	last   *pb.AllocateResponseProto
	ready  []*pb.ContainerProto
	given  map[int64]int
	next   int64
}

func newModelRM() *modelRM {
	return &modelRM{counts: map[rowKey]int32{}, last: response(0), given: map[int64]int{}}
}

func (rm *modelRM) allocate(req *pb.AllocateRequestProto) (*pb.AllocateResponseProto, error) {
	switch req.GetResponseId() {
	case rm.last.GetResponseId() - 1:
		return rm.last, nil
	case rm.last.GetResponseId():
	default:
		return nil, fmt.Errorf("expect responseId to be %d but get %d", rm.last.GetResponseId(), req.GetResponseId())
	}
	for _, a := range req.GetAsk() {
		rm.counts[rowKey{a.GetAllocationRequestId(), a.GetPriority().GetPriority(), a.GetResourceName()}] = a.GetNumContainers()
	}
	rm.last = response(req.GetResponseId()+1, rm.ready...)
	rm.ready = nil
	return rm.last, nil
}

// schedule is a node's heartbeat: the host is given up to n containers.
func (rm *modelRM) schedule(r *rand.Rand, host string, n int) {
	for range n {
		var open []rowKey
		for k, c := range rm.counts {
			if k.location == anyLocation && c > 0 {
				open = append(open, k)
			}
		}
		if len(open) == 0 {
			return
		}
		slices.SortFunc(open, rowKey.compare)
		k := open[r.IntN(len(open))]
		rm.counts[k]--
		for _, l := range []string{host, DefaultRack} {
			if key := (rowKey{k.id, k.priority, l}); rm.counts[key] > 0 {
				rm.counts[key]--
			}
		}
		rm.next++
		rm.given[k.id]++
		rm.ready = append(rm.ready, testContainer(k.id, rm.next, host))
	}
}

// Whatever is lost on the way, a request with an ID of its own brings exactly the
// containers that it asked for.
func TestNeitherTooManyNorTooFew(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		rm, table := newModelRM(), testTable()
		wanted, got := map[int64]int{}, map[int64]int{}
		hosts := []string{"h1", "h2", "h3"}
		lossy := 200
		for step := 0; step < lossy+50; step++ {
			if step < lossy && r.IntN(3) == 0 {
				req := Request{ID: int64(len(wanted)), Count: 1 + r.IntN(4), Resource: small}
				for _, h := range hosts {
					if r.IntN(3) == 0 {
						req.Nodes = append(req.Nodes, h)
					}
				}
				wanted[req.ID] = req.Count
				if err := table.add(req); err != nil {
					t.Fatal(err)
				}
			}
			rm.schedule(r, hosts[r.IntN(3)], r.IntN(5))
			call := table.begin(0)
			if step < lossy && r.IntN(4) == 0 {
				continue // the call is lost
			}
			resp, err := rm.allocate(call)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			// More is allocated before the answer is read.
			rm.schedule(r, hosts[r.IntN(3)], r.IntN(5))
			if step < lossy && r.IntN(4) == 0 {
				continue // the answer is lost
			}
			table.answered(resp)
			for _, c := range resp.GetAllocatedContainers() {
				got[c.GetAllocationRequestId()]++
			}
			if step < lossy && r.IntN(40) == 0 {
				// A restart: what was allocated and not delivered is lost with it.
				for _, c := range rm.ready {
					rm.given[c.GetAllocationRequestId()]--
				}
				next, given := rm.next, rm.given
				rm = newModelRM()
				rm.next, rm.given = next, given
				table.resync()
			}
		}
		for id, n := range wanted {
			if got[id] != n {
				t.Fatalf("seed %d: request %d asked for %d containers and was given %d", seed, id, n, got[id])
			}
		}
		if out := table.outstanding(); len(out) != 0 {
			t.Fatalf("seed %d: still outstanding: %v", seed, out)
		}
	}
}
