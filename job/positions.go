package job

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/system"
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

// positions is what both commands look at.
type positions struct {
	systems container.Systems
	model   jobmodel.JobModel
	last    map[string]checkpoint.Checkpoint
	ends    map[system.StreamID][]system.Ends
	// side are the streams that fill stores: no checkpoint holds them.
	side []config.SystemStream
	// stopped: the job does not run; waits is checkpoint.Options.Waits.
	stopped bool
	waits   func()
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
	o := checkpoint.Options{Logger: j.log, Waits: p.waits}
	if p.stopped {
		o.Tasks = []string{}
		for _, t := range p.tasks() {
			o.Tasks = append(o.Tasks, t.Name)
		}
	}
	if p.last, err = checkpoint.ReadAll(ctx, j.Config, p.systems, o); err != nil {
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
	slices.SortFunc(all, func(a, b jobmodel.Task) int { return coordinator.CompareTasks(a.Name, b.Name) })
	return all
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
