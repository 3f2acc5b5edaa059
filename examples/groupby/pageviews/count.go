package pageviews

import (
	"fmt"
	"maps"
	"slices"

	"heddle/task"
)

// NewCount makes the second task, registered as "groupby.Count".
func NewCount() task.Task { return &count{changed: map[string]struct{}{}} }

// userCount is what is sent for each user whose total changed.
type userCount struct {
	UserID string `json:"user_id"`
	Count  int64  `json:"count"`
}

type count struct {
	counts task.Store
	// changed holds the users whose totals were not sent since they changed.
	changed map[string]struct{}
}

// Init opens the store. Its totals were restored by then to what the last
// commit covers. In the file of this example a commit follows a window and
// nothing else, so those totals have been sent; where commits come by time as
// well, nobody knows which have, and all are sent once more.
func (t *count) Init(ctx task.Context) error {
	var err error
	if t.counts, err = ctx.Store("counts"); err != nil {
		return err
	}
	if ms, ok := ctx.Setting("task.commit.ms"); ok && len(ms) > 0 && (ms[0] == '-' || ms == "0") {
		return nil
	}
	for e := range t.counts.All() {
		if e.Err != nil {
			return e.Err
		}
		user, ok := e.Key.(string)
		if !ok {
			return fmt.Errorf("store counts: a key is %T; stores.counts.key.serde has to be string", e.Key)
		}
		t.changed[user] = struct{}{}
	}
	return nil
}

// Process adds one to the user's total.
func (t *count) Process(_ task.Context, m *task.Message) error {
	user, err := decode(m)
	if err != nil {
		return err
	}
	n, err := t.total(user)
	if err != nil {
		return err
	}
	t.changed[user] = struct{}{}
	return t.counts.Put(user, n+1)
}

// Window sends the totals that changed, and commits: what a checkpoint covers
// has been sent.
func (t *count) Window(ctx task.Context) error {
	if err := t.Stop(ctx); err != nil {
		return err
	}
	ctx.Commit(task.ThisTask)
	return nil
}

// Stop sends what has changed since the last window.
func (t *count) Stop(ctx task.Context) error {
	for _, user := range slices.Sorted(maps.Keys(t.changed)) {
		n, err := t.total(user)
		if err != nil {
			return err
		}
		if err := ctx.Send(task.Output{Stream: Counts, Key: user, Value: userCount{user, n}}); err != nil {
			return err
		}
	}
	clear(t.changed)
	return nil
}

func (t *count) total(user string) (int64, error) {
	v, err := t.counts.Get(user)
	if err != nil || v == nil {
		return 0, err
	}
	switch n := v.(type) {
	case int64: // serdes long and json
		return n, nil
	case int32: // serde integer
		return int64(n), nil
	}
	return 0, fmt.Errorf("store counts: the total of %q is %T; stores.counts.msg.serde has to be long, integer or json", user, v)
}
