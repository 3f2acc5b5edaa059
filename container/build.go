package container

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"heddle/config"
	"heddle/container/events"
	"heddle/jobmodel"
	"heddle/serde"
	"heddle/system"
	"heddle/task"
)

// start is one input partition of the container and where it begins.
type start struct {
	source *task.Source
	in     inputSettings
	ends   system.Ends
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

// buildTasks makes the instances, in the order of their names.
func (c *Container) buildTasks() error {
	for _, name := range c.opts.Model.TaskNames() {
		made := c.opts.NewTask()
		if made == nil {
			return fmt.Errorf("task %q: its factory (task.class) gave nil", name)
		}
		t := &instance{
			name: name, task: made, settings: c.settings,
			fetchers: map[*lane]*fetcher{}, checkpoints: c.opts.Checkpoints,
			log: c.log.With("task", name), events: c.events, home: c, now: c.now, hard: c.hard,
			flows: &c.flows, container: &c.counts, failpoint: c.opts.Failpoint,
			sig: newSignals(), interrupts: urgent,
		}
		t.inbox.sig = &t.sig
		t.registry = c.opts.Metrics(name)
		t.counts = newTaskCounts(t.registry)
		t.out = outputs{
			open:    func(sys string) (system.Outbox, error) { return c.outbox(t, name, sys) },
			resolve: c.resolved.output,
			flows:   &c.flows,
			arena:   arena{limit: c.settings.arenaChunk},
		}
		t.changelogs = outputs{
			open: func(sys string) (system.Outbox, error) { return c.outbox(t, name+" (changelogs)", sys) },
		}
		c.tasks = append(c.tasks, t)
	}
	return nil
}

// positions works out where every input partition begins.
func (c *Container) positions() ([]start, error) {
	byPartition := map[jobmodel.Input]int{}
	var starts []start
	for _, t := range c.tasks {
		for _, in := range c.opts.Model.Tasks[t.name].Inputs {
			i, ok := byPartition[in]
			if !ok {
				src, settings, err := c.resolved.input(in)
				if err != nil {
					return nil, err
				}
				i = len(starts)
				byPartition[in] = i
				starts = append(starts, start{source: src, in: settings})
			}
			starts[i].readers = append(starts[i].readers, reader{task: t})
		}
	}
	ends, err := c.ends(starts)
	if err != nil {
		return nil, err
	}
	for i := range starts {
		if err := c.position(&starts[i], ends); err != nil {
			return nil, err
		}
	}
	return starts, nil
}

// ends asks for the ends of all input streams, once for each.
func (c *Container) ends(starts []start) (map[system.StreamID][]system.Ends, error) {
	ends := map[system.StreamID][]system.Ends{}
	for _, s := range starts {
		id := system.StreamID{System: s.source.System, Stream: s.source.Stream}
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

func (c *Container) position(s *start, ends map[system.StreamID][]system.Ends) error {
	p := system.Partition{System: s.source.System, Stream: s.source.Stream, Partition: s.source.Partition}
	of := ends[p.StreamID()]
	if int(p.Partition) >= len(of) {
		return fmt.Errorf("input %s: the stream has %d partitions now, fewer than when the job was planned; was it deleted and made anew?: %w", p, len(of), system.ErrNoStream)
	}
	s.ends = of[p.Partition]
	s.end = s.ends.Next
	if s.in.committed {
		s.end = s.ends.Stable
	}
	preloaded, ok := c.opts.Preloaded[p]
	if !ok {
		preloaded = -1
	}
	for i := range s.readers {
		q := startQuestion{
			partition: p, ignore: s.in.reset, preloaded: preloaded, oldest: s.in.oldest,
			outOfRange: s.in.outOfRange, ends: s.ends, end: s.end,
		}
		if c.opts.Checkpoints != nil {
			if last, ok := c.opts.Checkpoints.Last(s.readers[i].task.name); ok {
				q.checkpoint, q.remade = last.Inputs[p], last.Remade(p.StreamID(), s.ends.Topic)
			}
		}
		s.readers[i].task.knowTopic(p.StreamID(), s.ends.Topic)
		var err error
		if s.readers[i].position, err = startPosition(q); err != nil {
			return err
		}
		if i == 0 || s.readers[i].position.offset < s.position.offset {
			s.position = s.readers[i].position
		}
	}
	switch s.position.origin {
	case fromRemade:
		c.log.Warn("the topic was deleted and made anew since the checkpoint, which says nothing of it", "partition", p.String(),
			"topic id", s.ends.Topic.String(), "oldest", s.ends.Oldest, "end", s.ends.Next, "reading from", s.position.offset)
	case fromReset:
		c.log.Warn("the checkpoint lies outside of what the partition holds", "partition", p.String(),
			"oldest", s.ends.Oldest, "end", s.ends.Next, "reading from", s.position.offset, "messages lost to retention", s.position.lost)
	}
	return nil
}

// announce tells who reads what from where.
func (c *Container) announce(starts []start) {
	inputs := map[string][]events.Input{}
	for _, s := range starts {
		for _, r := range s.readers {
			in := events.Input{
				Stream: s.source.System + "." + s.source.Stream, Partition: s.source.Partition,
				Offset: r.position.offset, Ahead: max(s.end-r.position.offset, 0),
				From: r.position.origin.String(), Lost: r.position.lost,
			}
			inputs[r.task.name] = append(inputs[r.task.name], in)
			c.log.Info("input", "task", r.task.name, "partition", s.source.String(), "offset", in.Offset, "from", in.From, "ahead", in.Ahead)
		}
	}
	e := events.Assigned{Container: c.opts.Model.ID}
	for _, t := range c.tasks {
		e.Tasks = append(e.Tasks, events.AssignedTask{Name: t.name, Inputs: inputs[t.name]})
	}
	c.events.Event(e)
}

// assignLanes makes lanes, feeds and fetchers.
func (c *Container) assignLanes(starts []start) error {
	perSystem := map[string]int{}
	for _, s := range starts {
		perSystem[s.source.System]++
	}
	for _, s := range starts {
		f := c.fetchers[s.source.System]
		if f == nil {
			f = newFetcher(nil, pollInterval)
			f.limit = overFactor * c.settings.safety
			c.fetchers[s.source.System] = f
		}
		var lanes []*lane
		for _, r := range s.readers {
			l := &lane{source: s.source, inbox: &r.task.inbox, from: r.position.offset, until: noEnd, rank: s.in.rank, head: s.end}
			if l.rank.bootstrap && l.from < l.head {
				l.lagging = true
				r.task.lagging++
			}
			l.flow = c.flows.in(s.source.System + "." + s.source.Stream)
			l.position.Store(r.position.offset)
			l.end.Store(s.end)
			switch {
			case r.position.origin == fromCheckpoint:
				l.last, l.known = r.position.offset-1, true
			case r.position.unsealed():
				l.last, l.known = r.position.offset-1, true
				r.task.unsealed = true
			}
			if c.settings.untilCaughtUp {
				l.until = s.end
				l.ended = l.from >= l.until
			}
			if !l.ended {
				r.task.waiting++
			}
			r.task.lanes = append(r.task.lanes, l)
			r.task.fetchers[l] = f
			lanes = append(lanes, l)
		}
		f.add(s.source, partitionBounds(s.in.threshold, s.in.thresholdLen, c.settings.safety, perSystem[s.source.System]), lanes...)
	}
	for _, t := range c.tasks {
		t.nothingToRead = t.waiting == 0
		if t.order = orderOf(t.lanes); t.order == ranked {
			t.interrupts |= signalMail
		}
		t.hold()
	}
	return nil
}

// resolver turns names of streams into what the configuration says of them,
// once for each.
type resolver struct {
	config config.Config

	mu      sync.Mutex
	outputs map[system.StreamID]outStream
	inputs  map[system.StreamID]resolvedInput
}

type resolvedInput struct {
	settings   inputSettings
	key, value task.Serde
}

// output gives an output stream, named by its id or its topic, without outbox.
func (r *resolver) output(id system.StreamID) (outStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.outputs[id]; ok {
		return s, nil
	}
	if all := config.Systems(r.config); !slices.Contains(all, id.System) {
		return outStream{}, fmt.Errorf("the system %q is not configured; there are %s", id.System, strings.Join(all, ", "))
	}
	topic := config.Physical(r.config, id.System, id.Stream).Stream
	if err := r.isChangelog(id.System, topic); err != nil {
		return outStream{}, err
	}
	key, value, err := r.serdes(id.System, topic)
	if err != nil {
		return outStream{}, err
	}
	s := outStream{topic: topic, system: id.System, key: key, value: value}
	if r.outputs == nil {
		r.outputs = map[system.StreamID]outStream{}
	}
	r.outputs[id] = s
	return s, nil
}

// isChangelog refuses an output that is the changelog of one of the job's stores:
// the next restore would make state of the messages.
func (r *resolver) isChangelog(sys, topic string) error {
	stores, err := config.Stores(r.config)
	if err != nil {
		return err
	}
	for _, s := range stores {
		if s.Changelog == (config.SystemStream{System: sys, Stream: topic}) {
			key := config.StoreChangelog.Name(s.Name)
			return &config.Error{Key: key, Origin: r.config.Origin(key), Hint: "name a topic that nobody else writes to",
				Problem: fmt.Sprintf("%s is the changelog of the store %q, whose state these messages would become", s.Changelog, s.Name)}
		}
	}
	return nil
}

// input gives the source and the settings of an input partition.
func (r *resolver) input(in jobmodel.Input) (*task.Source, inputSettings, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := system.StreamID{System: in.System, Stream: in.Stream}
	found, ok := r.inputs[id]
	if !ok {
		var err error
		if found.settings, err = readInput(r.config, id); err != nil {
			return nil, inputSettings{}, fmt.Errorf("input %s: %w", id, err)
		}
		if found.key, found.value, err = r.serdes(id.System, id.Stream); err != nil {
			return nil, inputSettings{}, fmt.Errorf("input %s: %w", id, err)
		}
		if r.inputs == nil {
			r.inputs = map[system.StreamID]resolvedInput{}
		}
		r.inputs[id] = found
	}
	return &task.Source{
		System: in.System, Stream: in.Stream, Partition: in.Partition,
		KeySerde: found.key, ValueSerde: found.value,
	}, found.settings, nil
}

func (r *resolver) serdes(sys, topic string) (key, value task.Serde, err error) {
	sc, err := config.Stream(r.config, sys, topic)
	if err != nil {
		return nil, nil, err
	}
	if key, err = namedSerde(r.config, sc.KeySerde, sc.KeySerdeKey); err != nil {
		return nil, nil, err
	}
	value, err = namedSerde(r.config, sc.MsgSerde, sc.MsgSerdeKey)
	return key, value, err
}

// namedSerde gives the serde that a configuration names; nil for none.
func namedSerde(c config.Config, name, key string) (task.Serde, error) {
	if name == "" {
		return nil, nil
	}
	alias, err := config.Serde(c, name, key)
	if err != nil {
		return nil, err
	}
	s, err := serde.New(alias.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return s, nil
}

// sealAtStart says whether the task commits before its first message: after a
// transactional restore (Samza: TaskInstance.init), so that what was undone is
// not undone again; and where an input begins at an offset that another
// start would not choose again.
func (t *instance) sealAtStart() bool {
	if t.checkpoints == nil {
		return false
	}
	return t.unsealed || t.settings.transactionalRestore && len(t.logged) > 0
}
