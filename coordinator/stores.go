package coordinator

import (
	"fmt"
	"net/http"
	"slices"
)

// StoreStatus is one store in the answer of GET /ui/api/v1/stores.
type StoreStatus struct {
	Name      string `json:"name"`
	Engine    string `json:"engine"`
	Changelog string `json:"changelog,omitzero"`
	KeySerde  string `json:"keySerde"`
	MsgSerde  string `json:"msgSerde"`
	// SideInputs are the streams, "system.stream", that fill the store instead of
	// a task; with Shared the tasks of a container have one copy.
	SideInputs []string `json:"sideInputs,omitzero"`
	Shared     bool     `json:"shared,omitzero"`
	// Entries and Bytes are sums over the tasks that tell them, of a shared store
	// those of one copy; -1: no task tells. Behind counts the messages of the side
	// inputs that are not in the store yet, of a shared one in the copy that is
	// furthest behind; -1: not known, or the store has none.
	Entries int64       `json:"entries"`
	Bytes   int64       `json:"bytes"`
	Behind  int64       `json:"behind"`
	Tasks   []StoreTask `json:"tasks"`
}

// StoreTask is a task's part of a store.
type StoreTask struct {
	Task       string `json:"task"`
	Container  string `json:"container"`
	State      string `json:"state"`
	Entries    int64  `json:"entries"`
	Bytes      int64  `json:"bytes"`
	Behind     int64  `json:"behind"`
	LastCommit int64  `json:"lastCommit,omitzero"`
	// RestoreDone of RestoreTotal changelog records, or messages of side inputs,
	// are restored; LeftMs is about how long the rest takes. Of a shared store all
	// tasks of a container tell the same. 0 of 0: it is not restored now.
	RestoreDone   int64 `json:"restoreDone"`
	RestoreTotal  int64 `json:"restoreTotal"`
	RestoreLeftMs int64 `json:"restoreLeftMs,omitzero"`
	// Downloaded of Download bytes of a snapshot have come; 0 of 0: none is fetched.
	Downloaded int64 `json:"downloaded"`
	Download   int64 `json:"download"`
	// Source and SnapshotAt are as in StoreReport.
	Source     string `json:"source,omitzero"`
	SnapshotAt int64  `json:"snapshotAt,omitzero"`
}

// OldestSnapshot is when the task's snapshot was taken whose newest is the
// oldest, in ms; 0: a task has none, or it is not known.
func (s StoreStatus) OldestSnapshot() int64 {
	var oldest int64
	for i, t := range s.Tasks {
		if i == 0 || t.SnapshotAt < oldest {
			oldest = t.SnapshotAt
		}
	}
	return oldest
}

// restoring says how far the restore of a task has come, behind a sentence.
func (s *Server) restoring(t taskPlace) string {
	var done, total int64
	for _, ts := range s.Tasks(t.container) {
		if ts.Name != t.name {
			continue
		}
		for _, r := range ts.Restores {
			done, total = done+r.Done, total+r.Total
		}
	}
	s.mu.Lock()
	if row := s.board.rows[t.container]; row != nil {
		for _, r := range row.report.Restores {
			done, total = done+r.Done, total+r.Total
		}
	}
	s.mu.Unlock()
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s restored)", percent(done, total))
}

// Stores is what GET /ui/api/v1/stores answers.
func (s *Server) Stores() ([]StoreStatus, error) {
	if s.states.problem != nil {
		return nil, s.states.problem
	}
	tasks := map[string]TaskStatus{}
	for _, t := range s.Tasks("") {
		tasks[t.Name] = t
	}
	shared := map[string]Report{} // what containers say of shared stores
	s.mu.Lock()
	for id, row := range s.board.rows {
		shared[id] = Report{SideInputs: row.report.SideInputs, Restores: row.report.Restores}
	}
	s.mu.Unlock()
	out := []StoreStatus{}
	for _, c := range s.states.stores {
		st := StoreStatus{Name: c.Name, Engine: c.Engine, KeySerde: c.KeySerde, MsgSerde: c.MsgSerde, Entries: -1, Bytes: -1, Behind: -1, Tasks: []StoreTask{}}
		if c.Logged() {
			st.Changelog = c.Changelog.System + "." + c.Changelog.Stream
		}
		st.Shared = c.Shared
		for _, in := range c.SideInputs {
			st.SideInputs = append(st.SideInputs, in.String())
		}
		for _, place := range s.states.tasks {
			t := storeTask(c.Name, place, tasks[place.name], shared[place.container])
			st.Tasks = append(st.Tasks, t)
			if c.Shared {
				st.Entries, st.Bytes, st.Behind = max(st.Entries, t.Entries), max(st.Bytes, t.Bytes), max(st.Behind, t.Behind)
				continue
			}
			st.Entries, st.Bytes, st.Behind = sum(st.Entries, t.Entries), sum(st.Bytes, t.Bytes), sum(st.Behind, t.Behind)
		}
		out = append(out, st)
	}
	return out, nil
}

// sum adds where at least one is known.
func sum(a, b int64) int64 {
	if a < 0 || b < 0 {
		return max(a, b)
	}
	return a + b
}

func storeTask(store string, place taskPlace, t TaskStatus, shared Report) StoreTask {
	st := StoreTask{Task: place.name, Container: place.container, State: t.State, Entries: -1, Bytes: -1, LastCommit: t.LastCommit}
	st.Behind = behind(store, slices.Concat(t.SideInputs, sideStatus(shared.SideInputs)))
	for _, r := range t.Stores {
		if r.Store == store {
			st.Entries, st.Bytes, st.Source, st.SnapshotAt = r.Entries, r.Bytes, r.Source, r.SnapshotAt
		}
	}
	for _, r := range slices.Concat(t.Restores, shared.Restores) {
		if r.Store == store {
			st.RestoreDone, st.RestoreTotal, st.RestoreLeftMs = r.Done, r.Total, r.LeftMs
			st.Source, st.Downloaded, st.Download = r.Source, r.Downloaded, r.Download
		}
	}
	return st
}

// behind adds up what is missing in a store; -1: not known.
func behind(store string, positions []SideInputStatus) int64 {
	n := int64(-1)
	for _, i := range positions {
		if i.Store == store {
			n = sum(n, i.Lag)
		}
	}
	return n
}

// Restore adds up how far the store's restore is in all tasks, a shared store's
// in all containers; what is left is what the slowest has left. Few tasks of a
// container are restored at a time: of those that wait the mean is expected.
func (s StoreStatus) Restore() RestoreReport {
	r := RestoreReport{Store: s.Name}
	seen := map[string]bool{}
	begun, waiting := 0, 0
	for _, t := range s.Tasks {
		switch {
		case t.RestoreTotal > 0:
			begun++
		case s.Changelog != "" && t.State == ContainerRestoring && t.Source == "" && t.Download == 0:
			waiting++
		}
		if s.Shared && seen[t.Container] {
			continue
		}
		seen[t.Container] = true
		r.Done += t.RestoreDone
		r.Total += t.RestoreTotal
		r.LeftMs = max(r.LeftMs, t.RestoreLeftMs)
		r.Downloaded += t.Downloaded
		r.Download += t.Download
	}
	return r.expecting(begun, waiting)
}

type storesJSON struct {
	Stores []StoreStatus `json:"stores"`
	// Queries is false when heddle.state.queries switches them off.
	Queries bool `json:"queries"`
}

func (s *Server) stores(w http.ResponseWriter, r *http.Request) {
	all, err := s.Stores()
	if err != nil {
		s.fail(w, r, http.StatusInternalServerError, s.clean(err.Error()))
		return
	}
	s.json(w, r, http.StatusOK, storesJSON{all, s.states.on})
}
