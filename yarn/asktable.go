package yarn

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
)

// anyLocation is the resource name that stands for every node.
const anyLocation = "*"

// DefaultRack is the rack of nodes for which no topology is configured.
const DefaultRack = "/default-rack"

// Request asks the scheduler for containers.
type Request struct {
	// ID names the request; containers that meet it carry it as Container.RequestID. It
	// must be 0 or above, and is best never used twice by an attempt: the scheduler
	// counts what is outstanding per ID, so that a request with an ID of its own can
	// never be given more than it asked for. (Hadoop: allocation_request_id.)
	ID int64
	// Count is how many containers; 0 is 1.
	Count int
	// Priority among the requests of the application: the smaller number goes first.
	Priority int32
	// Resource is the size of each; above the maximum of the registration the whole call is refused.
	Resource Resource
	// Nodes are host names, as nodes spell them, of which any will do. Empty: every node.
	Nodes []string
	// Racks are added to the racks of Nodes.
	Racks []string
	// Strict takes nothing but Nodes and Racks; otherwise they are a preference. (Hadoop: relaxLocality, negated.)
	Strict bool
	// Label is one node label; "" takes the application's.
	Label string
}

// askTable is the master's side of the allocate protocol, without the calls:
// what is outstanding, what the ResourceManager has not been told yet, and the
// number of the next call.
//
// The ResourceManager keeps, for each (priority, request ID, location), the
// absolute number of containers outstanding, and lowers it itself when it
// allocates; "*" bounds the others. The table mirrors this: it lowers "*" in
// silence when a container arrives. To send it again would undo allocations that
// the ResourceManager has made since and not yet delivered, and so bring more
// containers than were asked for.
type askTable struct {
	rackOf func(host string) string

	requests map[int64]*ask
	// unsent are the rows that have to be told.
	unsent map[rowKey]*pb.ResourceRequestProto
	// releases are containers given back whose end has not been reported yet; true once told.
	releases map[ContainerID]bool
	// blacklist is what is wanted, blacklisted what has been told.
	blacklist, blacklisted map[string]bool
	trackingURL            string
	tellTrackingURL        bool

	// responseID is the id of the last answer; it goes with the next call.
	responseID int32
	// inflight is a call whose answer has not been seen. It is repeated as it was: if
	// the ResourceManager did execute it, it answers again without reading it.
	inflight *call
}

type ask struct {
	Request
	// locations has the relaxation of each; "*" is among them.
	locations map[string]bool
}

// rowKey is what the ResourceManager keeps a count for.
type rowKey struct {
	id       int64
	priority int32
	location string
}

func (k rowKey) compare(o rowKey) int {
	return cmp.Or(cmp.Compare(k.id, o.id), cmp.Compare(k.priority, o.priority), cmp.Compare(k.location, o.location))
}

type call struct {
	request  *pb.AllocateRequestProto
	rows     map[rowKey]*pb.ResourceRequestProto
	releases []ContainerID
	// blacklist is the whole list as it stands after the call.
	blacklist map[string]bool
}

func newAskTable(rackOf func(host string) string) *askTable {
	return &askTable{
		rackOf:      rackOf,
		requests:    map[int64]*ask{},
		unsent:      map[rowKey]*pb.ResourceRequestProto{},
		releases:    map[ContainerID]bool{},
		blacklist:   map[string]bool{},
		blacklisted: map[string]bool{},
	}
}

// check tells what the ResourceManager would refuse, and with it the whole call.
func (r Request) check() error {
	switch {
	case r.ID < 0:
		return fmt.Errorf("request %d: the ID has to be 0 or above", r.ID)
	case r.Count < 0:
		return fmt.Errorf("request %d: %d containers: the count has to be above 0", r.ID, r.Count)
	case r.Priority < 0:
		return fmt.Errorf("request %d: priority %d: it has to be 0 or above", r.ID, r.Priority)
	case r.Resource.MemoryMiB <= 0 || r.Resource.VCores < 0:
		return fmt.Errorf("request %d: %v is no size of a container", r.ID, r.Resource)
	case r.Strict && len(r.Nodes) == 0 && len(r.Racks) == 0:
		return fmt.Errorf("request %d: it is strict about its nodes and racks but names none", r.ID)
	case strings.ContainsAny(r.Label, "&| ,"):
		return fmt.Errorf("request %d: label %q: YARN takes one label, no expression", r.ID, r.Label)
	}
	for _, l := range slices.Concat(r.Nodes, r.Racks) {
		if l == "" || l == anyLocation {
			return fmt.Errorf("request %d: %q is no node or rack", r.ID, l)
		}
	}
	return nil
}

// add asks for containers. A request of the same ID is replaced.
func (t *askTable) add(r Request) error {
	if err := r.check(); err != nil {
		return err
	}
	r.Count = max(1, r.Count)
	a := &ask{Request: r, locations: map[string]bool{anyLocation: !r.Strict}}
	for _, n := range r.Nodes {
		// A rack that only stands for its node is not an alternative to it when strict.
		a.locations[t.rackOf(n)] = !r.Strict
	}
	for _, rack := range r.Racks {
		a.locations[rack] = true
	}
	for _, n := range r.Nodes {
		a.locations[n] = true
	}
	if old := t.requests[r.ID]; old != nil {
		t.drop(old)
	}
	t.requests[r.ID] = a
	for l := range a.locations {
		t.tell(a, l)
	}
	return nil
}

// cancel takes back what is still outstanding of a request.
func (t *askTable) cancel(id int64) {
	if a := t.requests[id]; a != nil {
		t.drop(a)
	}
}

// drop sets all rows of the request to zero.
func (t *askTable) drop(a *ask) {
	delete(t.requests, a.ID)
	a.Count = 0
	for l := range a.locations {
		t.tell(a, l)
	}
}

// tell notes that the row of the request at the location has to be sent.
func (t *askTable) tell(a *ask, location string) {
	t.unsent[a.key(location)] = a.row(location)
}

// met lowers the request that the container was allocated for.
func (t *askTable) met(c Container) {
	a := t.requests[c.RequestID]
	if a == nil {
		return
	}
	a.Count--
	if a.Count <= 0 {
		delete(t.requests, a.ID)
	}
	for l := range a.locations {
		// "*" only if it was to be sent anyway; the others cannot bring too many.
		if _, unsent := t.unsent[a.key(l)]; unsent || l != anyLocation {
			t.tell(a, l)
		}
	}
}

// release gives a container back.
func (t *askTable) release(id ContainerID) {
	if _, known := t.releases[id]; !known {
		t.releases[id] = false
	}
}

// begin gives the next call, which is the last one if its answer was not seen.
func (t *askTable) begin(progress float32) *pb.AllocateRequestProto {
	if t.inflight != nil {
		return t.inflight.request
	}
	c := &call{
		request:   &pb.AllocateRequestProto{ResponseId: proto.Int32(t.responseID), Progress: proto.Float32(progress)},
		rows:      t.unsent,
		blacklist: maps.Clone(t.blacklist),
	}
	for _, k := range slices.SortedFunc(maps.Keys(t.unsent), rowKey.compare) {
		c.request.Ask = append(c.request.Ask, t.unsent[k])
	}
	t.unsent = map[rowKey]*pb.ResourceRequestProto{}
	for id, told := range t.releases {
		if !told {
			c.releases = append(c.releases, id)
		}
	}
	slices.SortFunc(c.releases, ContainerID.Compare)
	c.request.Release = containerIDProtos(c.releases)
	var add, remove []string
	for _, l := range slices.Sorted(maps.Keys(t.blacklist)) {
		if !t.blacklisted[l] {
			add = append(add, l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(t.blacklisted)) {
		if !t.blacklist[l] {
			remove = append(remove, l)
		}
	}
	if add != nil || remove != nil {
		c.request.BlacklistRequest = &pb.ResourceBlacklistRequestProto{BlacklistAdditions: add, BlacklistRemovals: remove}
	}
	if t.tellTrackingURL {
		c.request.TrackingUrl = proto.String(t.trackingURL)
	}
	t.inflight = c
	return c.request
}

func (a *ask) key(location string) rowKey {
	return rowKey{id: a.ID, priority: a.Priority, location: location}
}

// row is what the ResourceManager is told of the request at a location, with the absolute count.
func (a *ask) row(location string) *pb.ResourceRequestProto {
	e := &pb.ResourceRequestProto{
		Priority:            &pb.PriorityProto{Priority: &a.Priority},
		ResourceName:        &location,
		Capability:          a.Resource.proto(),
		NumContainers:       proto.Int32(int32(max(0, a.Count))),
		RelaxLocality:       proto.Bool(a.locations[location]),
		AllocationRequestId: &a.ID,
	}
	if a.Label != "" && location == anyLocation {
		// Labels are allowed on "*" only; the others take that one's.
		e.NodeLabelExpression = &a.Label
	}
	return e
}

// answered takes the answer to the call in flight.
func (t *askTable) answered(resp *pb.AllocateResponseProto) {
	if c := t.inflight; c != nil {
		t.inflight = nil
		for _, id := range c.releases {
			if _, ok := t.releases[id]; ok {
				t.releases[id] = true
			}
		}
		t.blacklisted = c.blacklist
		if c.request.TrackingUrl != nil && c.request.GetTrackingUrl() == t.trackingURL {
			t.tellTrackingURL = false
		}
	}
	t.responseID = resp.GetResponseId()
	for _, p := range resp.GetCompletedContainerStatuses() {
		delete(t.releases, containerIDFromProto(p.GetContainerId()))
	}
	for _, p := range resp.GetAllocatedContainers() {
		t.met(containerFromProto(p))
	}
}

// refused takes the refusal of the call in flight as a whole, which the
// ResourceManager gives if it finds one row invalid. The requests that were new
// in the call are given up and returned, as sending them again would be refused
// again; what else the call carried is sent with the next one, its releases only
// if they were not what was wrong.
func (t *askTable) refused(releasesToo bool) []Request {
	c := t.inflight
	if c == nil {
		return nil
	}
	t.inflight = nil
	var given []Request
	for _, k := range slices.SortedFunc(maps.Keys(c.rows), rowKey.compare) {
		a := t.requests[k.id]
		if k.location == anyLocation && c.rows[k].GetNumContainers() > 0 && a != nil && !releasesToo {
			given = append(given, a.Request)
			delete(t.requests, k.id)
			for l := range a.locations {
				delete(t.unsent, a.key(l))
				delete(c.rows, a.key(l))
			}
		}
	}
	t.restore(c)
	if releasesToo {
		for _, id := range c.releases {
			delete(t.releases, id)
		}
	}
	return given
}

// restore puts the rows of a call that was not executed back among the unsent,
// where nothing newer stands.
func (t *askTable) restore(c *call) {
	for k, row := range c.rows {
		if _, newer := t.unsent[k]; !newer {
			t.unsent[k] = row
		}
	}
}

// resync prepares for a ResourceManager that knows nothing: everything
// outstanding is sent again, from response id 0.
func (t *askTable) resync() {
	t.inflight = nil
	t.responseID = 0
	clear(t.unsent) // zeros, or rows that follow
	t.resend()
}

// renumber takes the response id that the ResourceManager says it expects. What
// it knows is uncertain, so everything is sent again, zeros included.
func (t *askTable) renumber(responseID int32) {
	if t.inflight != nil {
		t.restore(t.inflight)
		t.inflight = nil
	}
	t.responseID = responseID
	t.resend()
}

func (t *askTable) resend() {
	for _, a := range t.requests {
		for l := range a.locations {
			t.tell(a, l)
		}
	}
	for id := range t.releases {
		t.releases[id] = false
	}
	t.blacklisted = map[string]bool{}
	t.tellTrackingURL = t.trackingURL != ""
}

// setTrackingURL changes the tracking URL with the next call.
func (t *askTable) setTrackingURL(u string) {
	t.trackingURL, t.tellTrackingURL = u, true
}

// outstanding gives what is still asked for, in the order of the IDs, each with
// the count that is left.
func (t *askTable) outstanding() []Request {
	var out []Request
	for _, id := range slices.Sorted(maps.Keys(t.requests)) {
		out = append(out, t.requests[id].Request)
	}
	return out
}
