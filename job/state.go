package job

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
)

// StateQuery says what `run-job state get|range|count|dump` is to show of a
// running job.
type StateQuery struct {
	Store string
	// Task is the only one to be asked; "": all, but for a key those first that
	// are likely to have it. AllTasks asks all for a key, too.
	Task     string
	AllTasks bool
	// Live shows what the tasks see now, else it is as of their last commits.
	Live bool
	// Key, Prefix, From and To are what was typed; nil: not given.
	Key, Prefix, From, To *string
	// Limit bounds the entries; 0: no bound.
	Limit int64
}

// maxStatePage is the most that is asked for at once.
const maxStatePage = 10_000

// values are the parameters of the first page.
func (q StateQuery) values() url.Values {
	v := url.Values{}
	if q.Task != "" {
		v.Set("task", q.Task)
	}
	if q.AllTasks {
		v.Set("all", "true")
	}
	if q.Live {
		v.Set("mode", coordinator.ModeLive)
	}
	for name, text := range map[string]*string{"key": q.Key, "prefix": q.Prefix, "from": q.From, "to": q.To} {
		if text != nil {
			v.Set(name, *text)
		}
	}
	return v
}

// Running is a job that can be asked for its state.
type Running struct {
	operator coordinator.Operator
	// name is for messages.
	name string
}

// RunningJob finds a job that runs where its factory says: on YARN, or on this
// machine.
func (j *Job) RunningJob(ctx context.Context) (*Running, error) {
	factory, err := config.Factory(j.Config)
	if err != nil {
		return nil, err
	}
	if factory == config.YARN {
		c, err := OpenCluster(j.log)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return c.RunningJob(ctx, Which{Name: j.Name()})
	}
	a, err := launch.AddressOf(j.home(), j.Name())
	if errors.Is(err, launch.ErrNoAddress) {
		return nil, j.notHere(factory)
	}
	if err != nil {
		return nil, err
	}
	r := &Running{operator: coordinator.Operator{UI: a.URL + "ui/"}, name: "job " + j.Name()}
	if _, _, err := r.operator.Stores(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, refusedError{fmt.Errorf("%w (it was found at %s: %w)", j.notHere(factory), a.URL, err)}
	}
	return r, nil
}

// notHere is the error for a local job that does not run.
func (j *Job) notHere(factory config.JobFactory) error {
	return refusedError{fmt.Errorf("the job %s (factory %s) does not run here, with heddle.home=%s; start it, or read its stores from their changelogs with run-job state restore", j.Name(), factory, j.home())}
}

// RunningJob finds an application that can be asked for its state.
func (c *Cluster) RunningJob(ctx context.Context, w Which) (*Running, error) {
	r, err := c.find(ctx, w)
	if err != nil {
		return nil, err
	}
	if r.State.Done() {
		return nil, refusedError{fmt.Errorf("%s has ended (%s), so there is no state to be asked for; run-job state restore STORE --all --dir=DIR --config-path=... reads it from the changelogs", r.ID, r.FinalStatus)}
	}
	out := &Running{name: r.ID.String()}
	if err := c.ask(ctx, r, func(o coordinator.Operator) error {
		out.operator = o
		_, _, err := o.Stores(ctx)
		return err
	}); err != nil {
		return nil, refusedError{err}
	}
	return out, nil
}

// asked turns what the application master said into an error with an exit code.
func (r *Running) asked(err error) error {
	var no *coordinator.Refusal
	if !errors.As(err, &no) {
		return refusedError{err}
	}
	switch no.Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return usageError{fmt.Errorf("%s: %w", r.name, no)}
	}
	return refusedError{fmt.Errorf("%s: %w", r.name, no)}
}

// Stores lists the job's stores.
func (r *Running) Stores(ctx context.Context) ([]coordinator.StoreStatus, error) {
	stores, _, err := r.operator.Stores(ctx)
	if err != nil {
		return nil, r.asked(err)
	}
	return stores, nil
}

// Entries reads entries page by page and gives them to each; it stops at the
// query's limit.
func (r *Running) Entries(ctx context.Context, q StateQuery, each func(coordinator.StatePage) error) (n int64, err error) {
	v := q.values()
	for {
		limit := int64(maxStatePage)
		if q.Limit > 0 {
			limit = min(limit, q.Limit-n)
		}
		v.Set("limit", strconv.FormatInt(limit, 10))
		page, err := r.operator.State(ctx, q.Store, v)
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if err != nil {
			if n > 0 {
				err = fmt.Errorf("after %d entries: %w", n, err)
			}
			return n, r.asked(err)
		}
		n += int64(len(page.Entries))
		if err := each(page); err != nil {
			return n, err
		}
		if page.Cursor == "" || q.Limit > 0 && n >= q.Limit {
			return n, nil
		}
		v.Set("cursor", page.Cursor)
	}
}

// StateCount is what `state count --json` prints.
type StateCount struct {
	Store string      `json:"store"`
	Mode  string      `json:"mode"`
	Count int64       `json:"count"`
	Tasks []TaskCount `json:"tasks"`
}

// TaskCount is one task's part of a StateCount.
type TaskCount struct {
	Task string `json:"task"`
	// Container is "" for a folder.
	Container string `json:"container"`
	// CommittedAt is when the commit, or the checkpoint, was done as of which it is,
	// in ms; 0 for the state that was restored, or that of no checkpoint.
	CommittedAt int64 `json:"committedAt,omitzero"`
	Count       int64 `json:"count"`
}

// Count counts the entries of a range; so far is told of each page.
func (r *Running) Count(ctx context.Context, q StateQuery, soFar func(int64)) (StateCount, error) {
	v := q.values()
	v.Set("count", "true")
	out := StateCount{Store: q.Store, Tasks: []TaskCount{}}
	for {
		page, err := r.operator.State(ctx, q.Store, v)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err != nil {
			return out, r.asked(err)
		}
		out.Mode = page.Mode
		for _, t := range page.Tasks {
			if last := len(out.Tasks) - 1; last < 0 || out.Tasks[last].Task != t.Task {
				out.Tasks = append(out.Tasks, TaskCount{t.Task, t.Container, t.CommittedAt, 0})
			}
			if t.Count != nil {
				out.Tasks[len(out.Tasks)-1].Count += *t.Count
				out.Count += *t.Count
			}
		}
		soFar(out.Count)
		if page.Cursor == "" {
			return out, nil
		}
		v.Set("cursor", page.Cursor)
	}
}
