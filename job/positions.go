package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/yarn/hadoopconf"
)

// Position is one task's place in one partition, as `checkpoint show` prints it.
type Position struct {
	Task      string `json:"task"`
	Stream    string `json:"stream"`
	Partition int32  `json:"partition"`
	// Offset is that of the last processed message, as the checkpoint has it; nil
	// if there is none.
	Offset *string `json:"offset"`
	// End is the offset that the partition's next message gets; nil if the
	// partition could not be asked.
	End *int64 `json:"end"`
	// Lag is how many offsets the task has still to process, up to the end as the
	// system's consumers see it: 0 when no message is left that they can be given,
	// whatever lies behind the last one. Between messages it counts also what is
	// none, transactions' markers and what was aborted or compacted. Nil without
	// an Offset or an End.
	Lag *int64 `json:"lag"`
}

// Move is a change of positions, for `checkpoint set`.
type Move struct {
	// Stream is the input, "system.stream".
	Stream string
	// Partition is the only one to be moved; below 0: all.
	Partition int32
	// Task is the only one to be moved; "": all that read the stream.
	Task string
	// To is oldest, newest, or the offset of the next message to be read.
	To string
}

// Check says what is wrong with a Move, before anything is asked.
func (m Move) Check() error {
	switch m.To {
	case "oldest", "newest":
		return nil
	case "":
		return Usage("set: --to is missing; give oldest, newest, or the offset of the next message to be read")
	}
	if n, err := strconv.ParseInt(m.To, 10, 64); err != nil || n < 0 {
		return Usage("--to=%s: expected oldest, newest or an offset of 0 or above", m.To)
	}
	return nil
}

// positions is what both commands look at.
type positions struct {
	systems container.Systems
	model   jobmodel.JobModel
	last    map[string]checkpoint.Checkpoint
	ends    map[system.StreamID][]system.Ends
	// side are the streams that fill stores: no checkpoint holds them.
	side []config.SystemStream
	// settled, if not nil, is checkpoint.Options.Settled.
	settled func()
	// uncommitted are the systems whose consumers are given everything at once.
	uncommitted map[string]bool
}

// openPositions opens the systems; read fills the rest.
func (j *Job) openPositions() (p *positions, err error) {
	p = &positions{ends: map[system.StreamID][]system.Ends{}, uncommitted: map[string]bool{}}
	for _, name := range config.Systems(j.Config) {
		p.uncommitted[name] = !config.ReadsCommitted(j.Config, name)
	}
	p.systems, err = j.Systems()
	return p, err
}

func (p *positions) read(ctx context.Context, j *Job) (err error) {
	if p.side, _, err = config.SideInputs(j.Config); err != nil {
		return err
	}
	if p.model, _, err = coordinator.Plan(ctx, j.Config, p.systems); err != nil {
		return err
	}
	if p.last, err = checkpoint.ReadAll(ctx, j.Config, p.systems, checkpoint.Options{Logger: j.log, Settled: p.settled}); err != nil {
		return err
	}
	for _, t := range p.tasks() {
		for _, in := range t.Inputs {
			id := system.StreamID{System: in.System, Stream: in.Stream}
			if _, ok := p.ends[id]; ok {
				continue
			}
			sys, err := p.systems.Get(in.System)
			if err != nil {
				return usageError{err}
			}
			admin, err := sys.Admin()
			if err != nil {
				return err
			}
			if p.ends[id], err = admin.Offsets(ctx, in.Stream); err != nil {
				return err
			}
		}
	}
	return nil
}

// tasks are those of all containers, by name, without their side inputs.
func (p *positions) tasks() []jobmodel.Task {
	var all []jobmodel.Task
	for _, c := range p.model.Containers {
		for _, t := range c.Tasks {
			t.Inputs = slices.DeleteFunc(slices.Clone(t.Inputs), func(in jobmodel.Input) bool {
				return slices.Contains(p.side, config.SystemStream(in.StreamID()))
			})
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b jobmodel.Task) int { return naturally(a.Name, b.Name) })
	return all
}

// naturally orders names that end in a number by it ("Partition 10" after
// "Partition 9").
func naturally(a, b string) int {
	head := func(s string) (string, int) {
		i := len(strings.TrimRight(s, "0123456789"))
		n, _ := strconv.Atoi(s[i:])
		return s[:i], n
	}
	x, m := head(a)
	y, n := head(b)
	return cmp.Or(strings.Compare(x, y), m-n)
}

func (p *positions) list(ctx context.Context) ([]Position, error) {
	out := []Position{}
	var gaps []*gap
	for _, t := range p.tasks() {
		for _, in := range t.Inputs {
			at := system.Partition{System: in.System, Stream: in.Stream, Partition: in.Partition}
			pos := Position{Task: t.Name, Stream: in.System + "." + in.Stream, Partition: in.Partition}
			if o := p.last[t.Name].Inputs[at]; o != "" {
				pos.Offset = &o
			}
			if e := p.ends[at.StreamID()]; int(in.Partition) < len(e) {
				pos.End = &e[in.Partition].Next
				if pos.Offset != nil {
					if n, err := strconv.ParseInt(*pos.Offset, 10, 64); err == nil {
						g := gapAfter(n, at, e[in.Partition], p.uncommitted[in.System])
						gaps, pos.Lag = append(gaps, g), &g.lag
					}
				}
			}
			out = append(out, pos)
		}
	}
	return out, look(ctx, p.systems, gaps)
}

// Positions gives the checkpoints of the job's tasks; it changes nothing.
func (j *Job) Positions(ctx context.Context) ([]Position, error) {
	p, err := j.openPositions()
	if err != nil {
		return nil, err
	}
	defer p.systems.Close()
	if err := p.read(ctx, j); err != nil {
		return nil, err
	}
	return p.list(ctx)
}

// PrintPositions writes a table.
func PrintPositions(w io.Writer, all []Position) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TASK\tSTREAM\tPARTITION\tLAST PROCESSED\tEND\tLAG")
	number := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return strconv.FormatInt(*n, 10)
	}
	for _, p := range all {
		offset := "-"
		if p.Offset != nil {
			offset = *p.Offset
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", p.Task, p.Stream, p.Partition, offset, number(p.End), number(p.Lag))
	}
	return t.Flush()
}

// MovePositions writes new checkpoints for a job that does not run; it gives the
// positions after it. What the checkpoints say of changelogs and of other inputs
// stays: stores keep what they hold. So it has to begin with the newest ones,
// also behind a transaction that a killed container left open.
func (j *Job) MovePositions(ctx context.Context, m Move) ([]Position, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	at, err := config.ParseSystemStream(m.Stream)
	if err != nil {
		return nil, Usage("%v; name an input of the job as system.stream", err)
	}
	at = config.Physical(j.Config, at.System, at.Stream)
	release, err := j.notRunning(ctx, doingSet)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := j.openPositions()
	if err != nil {
		return nil, err
	}
	defer p.systems.Close()
	elsewhere, err := j.claimOn(ctx, p.systems, doingSet)
	if err != nil {
		return nil, err
	}
	if elsewhere != nil {
		defer elsewhere.Withdraw()
	}
	// Only now: a run that has ended meanwhile has written its last.
	// Whoever waits wants to be told now.
	p.settled = j.say.Release
	if err := p.read(ctx, j); err != nil {
		return nil, err
	}
	changed, err := p.moved(at, m)
	if err != nil {
		return nil, err
	}
	log, err := checkpoint.New(j.Config, p.systems, checkpoint.Options{Logger: j.log})
	if err != nil {
		return nil, err
	}
	err = log.Start(ctx)
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if err == nil {
			err = log.Write(ctx, name, changed[name])
			p.last[name] = changed[name]
		}
	}
	if err := errors.Join(err, log.Close()); err != nil {
		return nil, err
	}
	return p.list(ctx)
}

// doingSet is what has the claim while checkpoints are set.
const doingSet = "checkpoint set"

// harm is what a running job would do to what such a command changes.
func harm(doing string) string {
	if doing == doingRemove {
		return "would write new ones"
	}
	return "would write its own checkpoints over these"
}

// notRunning refuses to change the checkpoints, or the snapshots, under a job that
// runs, here or on YARN: it would undo the change. Until release is called, it
// cannot be started here.
func (j *Job) notRunning(ctx context.Context, doing string) (release func(), err error) {
	if j.onThisMachine() && len(hadoopconf.DirsFromEnvironment(os.LookupEnv)) == 0 {
		return j.claimFor(ctx, doing)
	}
	// The files may name another factory than its submit did.
	switch err := j.notOnYARN(ctx, doing); {
	case err == nil:
	case j.onThisMachine() && !errors.As(err, new(refusedError)):
		j.say.Warn("whether the job runs on YARN, too, is not known: %v", err)
	default:
		return nil, err
	}
	if j.onThisMachine() {
		return j.claimFor(ctx, doing)
	}
	h, held, err := launch.HolderOf(j.home(), j.Name())
	if err == nil && held && h.Alive() {
		err = j.claimed(ctx, h, doing)
	}
	return func() {}, err
}

// claimFor keeps starts on this machine away until release is called.
func (j *Job) claimFor(ctx context.Context, doing string) (release func(), err error) {
	c, err := j.claim(ctx, doing)
	if err != nil {
		return nil, err
	}
	return c.Withdraw, nil
}

func (j *Job) notOnYARN(ctx context.Context, doing string) error {
	c, err := OpenCluster(j.log)
	if err != nil {
		return err
	}
	defer c.Close()
	running, err := c.named(ctx, j.Name(), live...)
	if err == nil && len(running) > 0 {
		err = refusedError{fmt.Errorf("%s: the job %s runs as %s, and %s; stop it first with run-job kill %s", doing, j.Name(), running[0].ID, harm(doing), running[0].ID)}
	}
	return err
}

// moved gives the new checkpoints of the tasks that the move concerns.
func (p *positions) moved(at config.SystemStream, m Move) (map[string]checkpoint.Checkpoint, error) {
	out := map[string]checkpoint.Checkpoint{}
	stream := system.StreamID{System: at.System, Stream: at.Stream}
	var tasks []string
	read := false
	for _, t := range p.tasks() {
		tasks = append(tasks, t.Name)
		for _, in := range t.Inputs {
			part := system.Partition{System: in.System, Stream: in.Stream, Partition: in.Partition}
			if part.StreamID() != stream {
				continue
			}
			read = true
			if m.Task != "" && m.Task != t.Name || m.Partition >= 0 && m.Partition != in.Partition {
				continue
			}
			offset, err := last(m.To, part, p.ends[stream])
			if err != nil {
				return nil, err
			}
			c, ok := out[t.Name]
			if !ok {
				c = p.last[t.Name]
				c.Inputs = maps.Clone(c.Inputs)
				if c.Inputs == nil {
					c.Inputs = map[system.Partition]string{}
				}
				c.ID = checkpoint.NewID(time.Now())
			}
			c = p.ofTopic(c, stream)
			c.Inputs[part] = offset
			out[t.Name] = c
		}
	}
	switch {
	case !read:
		return nil, Usage("%s is no input of the job; checkpoint show lists them", m.Stream)
	case len(out) == 0 && m.Task != "" && !slices.Contains(tasks, m.Task):
		return nil, Usage("--task=%s: there is no such task; there are: %s", m.Task, strings.Join(tasks, ", "))
	case len(out) == 0:
		return nil, Usage("--partition=%d: no such partition of %s is read%s", m.Partition, m.Stream, by(m.Task))
	}
	return out, nil
}

// ofTopic makes the checkpoint one of the topic that the stream has now: if that
// was made anew, its partitions are read from their beginnings, as a start would
// read them.
func (p *positions) ofTopic(c checkpoint.Checkpoint, stream system.StreamID) checkpoint.Checkpoint {
	ends := p.ends[stream]
	if len(ends) == 0 || ends[0].Topic == (system.TopicID{}) || c.Topics[stream] == ends[0].Topic {
		return c
	}
	if c.Remade(stream, ends[0].Topic) {
		for part := range c.Inputs {
			if part.StreamID() == stream && int(part.Partition) < len(ends) {
				c.Inputs[part] = strconv.FormatInt(ends[part.Partition].Oldest-1, 10)
			}
		}
	}
	c.Topics = maps.Clone(c.Topics)
	if c.Topics == nil {
		c.Topics = map[system.StreamID]system.TopicID{}
	}
	c.Topics[stream] = ends[0].Topic
	return c
}

func by(task string) string {
	if task == "" {
		return ""
	}
	return " by " + task
}

// last is the offset of the last processed message for a reader that is to go
// on at to.
func last(to string, p system.Partition, ends []system.Ends) (string, error) {
	if int(p.Partition) >= len(ends) {
		return "", Usage("%s: the stream has only %d partitions", p, len(ends))
	}
	e := ends[p.Partition]
	next := e.Oldest
	switch to {
	case "oldest":
	case "newest":
		next = e.Next
	default:
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil {
			return "", Usage("--to=%s: expected oldest, newest or an offset", to)
		}
		if n < e.Oldest || n > e.Next {
			return "", Usage("--to=%s: partition %d of %s.%s holds the offsets %d to %d (its end)", to, p.Partition, p.System, p.Stream, e.Oldest, e.Next)
		}
		next = n
	}
	return strconv.FormatInt(next-1, 10), nil
}
