package job

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/system"
)

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
	p.stopped, p.waits = true, j.say.Release
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
