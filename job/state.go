package job

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

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
	Store string                  `json:"store"`
	Mode  string                  `json:"mode"`
	Count int64                   `json:"count"`
	Tasks []coordinator.StateTask `json:"tasks"`
}

// Count counts the entries of a range; so far is told of each page.
func (r *Running) Count(ctx context.Context, q StateQuery, soFar func(int64)) (StateCount, error) {
	v := q.values()
	v.Set("count", "true")
	out := StateCount{Store: q.Store, Tasks: []coordinator.StateTask{}}
	for {
		page, err := r.operator.State(ctx, q.Store, v)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err != nil {
			return out, r.asked(err)
		}
		out.Mode = page.Mode
		out.Count += page.Count
		for _, t := range page.Tasks {
			if last := len(out.Tasks) - 1; last >= 0 && out.Tasks[last].Task == t.Task {
				out.Tasks[last].Count += t.Count
				continue
			}
			out.Tasks = append(out.Tasks, t)
		}
		soFar(out.Count)
		if page.Cursor == "" {
			return out, nil
		}
		v.Set("cursor", page.Cursor)
	}
}

// Print writes the count for people.
func (c StateCount) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TASK\tENTRIES")
	for _, task := range c.Tasks {
		fmt.Fprintf(t, "%s\t%d\n", task.Task, task.Count)
	}
	fmt.Fprintf(t, "all\t%d\n", c.Count)
	return t.Flush()
}

// PrintStores writes a table of stores. What a store on disk does not know, how
// many entries it has, is no column if no store knows it.
func PrintStores(w io.Writer, all []coordinator.StoreStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	counted := slices.ContainsFunc(all, func(s coordinator.StoreStatus) bool { return s.Entries >= 0 })
	row := func(cells ...string) {
		if !counted {
			cells = slices.Delete(cells, 6, 7)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("STORE", "ENGINE", "KEYS", "VALUES", "FROM", "TASKS", "ENTRIES", "SIZE", "BEHIND", "SNAPSHOT", "RESTORED")
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	for _, s := range all {
		entries, size := "-", "?"
		if s.Entries >= 0 {
			entries = strconv.FormatInt(s.Entries, 10)
		}
		if s.Bytes >= 0 {
			size = Bytes(s.Bytes)
		}
		from := s.Changelog
		if len(s.SideInputs) > 0 {
			from = strings.Join(s.SideInputs, ",")
		}
		snapshot := "-"
		if at := s.OldestSnapshot(); at > 0 {
			snapshot = time.UnixMilli(at).UTC().Format(time.RFC3339)
		}
		restored := "-"
		if r := s.Restore(); r.Total > 0 {
			restored = fmt.Sprintf("%d of %d", r.Done, r.Total)
		}
		behind := "-"
		if len(s.SideInputs) > 0 {
			behind = "?"
			if s.Behind >= 0 {
				behind = strconv.FormatInt(s.Behind, 10)
			}
		}
		row(s.Name, s.Engine, dash(s.KeySerde), dash(s.MsgSerde), dash(from), strconv.Itoa(len(s.Tasks)), entries, size, behind, snapshot, restored)
	}
	return t.Flush()
}

// EntryPrinter writes entries as they come, with no more than a page in memory.
type EntryPrinter struct {
	w      *bufio.Writer
	json   bool
	header bool
}

// NewEntryPrinter prints one JSON object a line, or a table.
func NewEntryPrinter(w io.Writer, asJSON bool) *EntryPrinter {
	return &EntryPrinter{w: bufio.NewWriterSize(w, 64<<10), json: asJSON}
}

// Print writes some entries.
func (p *EntryPrinter) Print(entries []coordinator.StateEntry) error {
	if p.json {
		for _, e := range entries {
			if err := p.object(e); err != nil {
				return err
			}
		}
		return p.w.Flush()
	}
	if len(entries) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	if !p.header {
		p.header = true
		fmt.Fprintln(t, "TASK\tKEY\tVALUE")
	}
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Task, plain(e.Key), plain(e.Value))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return p.w.Flush()
}

// object writes {"task":...,"key":...,"value":...}; key and value are JSON
// already.
func (p *EntryPrinter) object(e coordinator.StateEntry) error {
	name, err := json.Marshal(e.Task)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte(`{"task":`), name, []byte(`,"key":`), e.Key, []byte(`,"value":`), e.Value, []byte("}\n")} {
		if _, err := p.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// plain is JSON for people: a text without its quotation marks, if nothing in it
// would break the table.
func plain(v []byte) string {
	var s string
	if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil && s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
		return s
	}
	return string(v)
}

// OutFile is a file that is there as a whole or not at all.
type OutFile struct {
	*os.File
	path string
}

// CreateOut begins a file.
func CreateOut(path string) (*OutFile, error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, Usage("--out: %w", err)
	}
	return &OutFile{f, path}, nil
}

// Done ends the file: with an error what was written is removed.
func (f *OutFile) Done(err error) error {
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
