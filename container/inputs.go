package container

import (
	"fmt"

	"heddle/container/events"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/task"
)

// input is one input partition of the container: where it begins, and the tasks
// that read it.
type input struct {
	source   *task.Source
	settings inputSettings
	ends     system.Ends
	// end is where the partition ends for this container.
	end int64
	// position is the earliest of the readers'.
	position position
	readers  []reader
}

type reader struct {
	task     *instance
	position position
}

// positions works out where every input partition begins.
func (c *Container) positions() ([]input, error) {
	byPartition := map[jobmodel.Input]int{}
	var inputs []input
	for _, t := range c.tasks {
		for _, in := range c.opts.Model.Tasks[t.name].Inputs {
			i, ok := byPartition[in]
			if !ok {
				src, settings, err := c.resolved.input(in)
				if err != nil {
					return nil, err
				}
				i = len(inputs)
				byPartition[in] = i
				inputs = append(inputs, input{source: src, settings: settings})
			}
			inputs[i].readers = append(inputs[i].readers, reader{task: t})
		}
	}
	ends, err := c.ends(inputs)
	if err != nil {
		return nil, err
	}
	for i := range inputs {
		if err := c.position(&inputs[i], ends); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// ends asks for the ends of all input streams, once for each.
func (c *Container) ends(inputs []input) (map[system.StreamID][]system.Ends, error) {
	ends := map[system.StreamID][]system.Ends{}
	for _, in := range inputs {
		id := system.StreamID{System: in.source.System, Stream: in.source.Stream}
		if _, ok := ends[id]; ok {
			continue
		}
		sys, err := c.opts.System(id.System)
		if err != nil {
			return nil, err
		}
		admin, err := sys.Admin()
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
		if ends[id], err = admin.Offsets(c.begun, id.Stream); err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
	}
	return ends, nil
}

func (c *Container) position(in *input, ends map[system.StreamID][]system.Ends) error {
	p := partitionOf(in.source)
	of := ends[p.StreamID()]
	if int(p.Partition) >= len(of) {
		return fmt.Errorf("input %s: the stream has %d partitions now, fewer than when the job was planned; was it deleted and made anew?: %w", p, len(of), system.ErrNoStream)
	}
	in.ends = of[p.Partition]
	in.end = in.ends.Next
	if in.settings.committed {
		in.end = in.ends.Stable
	}
	preloaded, ok := c.opts.Preloaded[p]
	if !ok {
		preloaded = -1
	}
	for i := range in.readers {
		q := startQuestion{
			partition: p, ignore: in.settings.reset, preloaded: preloaded, oldest: in.settings.oldest,
			outOfRange: in.settings.outOfRange, ends: in.ends, end: in.end,
		}
		if c.opts.Checkpoints != nil {
			if last, ok := c.opts.Checkpoints.Last(in.readers[i].task.name); ok {
				q.checkpoint, q.remade = last.Inputs[p], last.Remade(p.StreamID(), in.ends.Topic)
			}
		}
		in.readers[i].task.knowTopic(p.StreamID(), in.ends.Topic)
		var err error
		if in.readers[i].position, err = startPosition(q); err != nil {
			return err
		}
		if i == 0 || in.readers[i].position.offset < in.position.offset {
			in.position = in.readers[i].position
		}
	}
	switch in.position.origin {
	case fromRemade:
		c.log.Warn("the topic was deleted and made anew since the checkpoint, which says nothing of it", "partition", p.String(),
			"topic id", in.ends.Topic.String(), "oldest", in.ends.Oldest, "end", in.ends.Next, "reading from", in.position.offset)
	case fromReset:
		c.log.Warn("the checkpoint lies outside of what the partition holds", "partition", p.String(),
			"oldest", in.ends.Oldest, "end", in.ends.Next, "reading from", in.position.offset, "messages lost to retention", in.position.lost)
	}
	return nil
}

// announce tells who reads what from where.
func (c *Container) announce(inputs []input) {
	byTask := map[string][]events.Input{}
	for _, in := range inputs {
		for _, r := range in.readers {
			e := events.Input{
				Stream: in.source.System + "." + in.source.Stream, Partition: in.source.Partition,
				Offset: r.position.offset, Ahead: max(in.end-r.position.offset, 0),
				From: r.position.origin.String(), Lost: r.position.lost,
			}
			byTask[r.task.name] = append(byTask[r.task.name], e)
			c.log.Info("input", "task", r.task.name, "partition", in.source.String(), "offset", e.Offset, "from", e.From, "ahead", e.Ahead)
		}
	}
	e := events.Assigned{Container: c.opts.Model.ID}
	for _, t := range c.tasks {
		e.Tasks = append(e.Tasks, events.AssignedTask{Name: t.name, Inputs: byTask[t.name]})
	}
	c.events.Event(e)
}

// partitionOf is where a source's messages lie.
func partitionOf(s *task.Source) system.Partition {
	return system.Partition{System: s.System, Stream: s.Stream, Partition: s.Partition}
}

// assignLanes gives each task its lanes, and each system a fetcher with the feeds
// that fill them.
func (c *Container) assignLanes(inputs []input) {
	perSystem := map[string]int{}
	for _, in := range inputs {
		perSystem[in.source.System]++
	}
	for _, in := range inputs {
		f := c.fetchers[in.source.System]
		if f == nil {
			f = newFetcher(nil, pollInterval)
			f.limit = overFactor * c.settings.safety
			c.fetchers[in.source.System] = f
		}
		var lanes []*lane
		for _, r := range in.readers {
			l := c.newLane(in, r)
			if l.lagging {
				r.task.lagging++
			}
			if !l.ended {
				r.task.waiting++
			}
			r.task.unsealed = r.task.unsealed || r.position.unsealed()
			r.task.lanes = append(r.task.lanes, l)
			r.task.fetchers[l] = f
			lanes = append(lanes, l)
		}
		f.add(in.source, partitionBounds(in.settings.threshold, in.settings.thresholdBytes, c.settings.safety, perSystem[in.source.System]), lanes...)
	}
	for _, t := range c.tasks {
		t.nothingToRead = t.waiting == 0
		if t.order = orderOf(t.lanes); t.order == ranked {
			t.interrupts |= signalMail
		}
		t.hold()
	}
}

// newLane makes the lane of one of an input's readers.
func (c *Container) newLane(in input, r reader) *lane {
	l := &lane{
		source: in.source, inbox: &r.task.inbox, from: r.position.offset, until: noEnd, rank: in.settings.rank, head: in.end,
		flow: c.flows.in(in.source.System + "." + in.source.Stream),
	}
	l.position.Store(r.position.offset)
	l.end.Store(in.end)
	c.lags.add(partitionOf(in.source), func() int64 { return behind(l.position.Load(), l.end.Load()) })
	l.lagging = l.rank.bootstrap && l.from < l.head
	if r.position.origin == fromCheckpoint || r.position.unsealed() {
		l.last, l.known = r.position.offset-1, true
	}
	if c.settings.untilCaughtUp {
		l.until = in.end
		l.ended = l.from >= l.until
	}
	return l
}
