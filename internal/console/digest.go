package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"heddle/container/events"
)

// line is one line for a person: what it is about, and what happened.
type line struct {
	label string
	text  string
	// hint explains the label's word, when it comes for the first time.
	hint string
	kind kind
	// logged: it is a logger's, and its label the word of its level.
	logged bool
}

type kind uint8

const (
	plain kind = iota
	good
	bad
	careful
)

// digest collects events and turns them into few lines: what many tasks do at
// the same moment is one line, what comes every second is left out after a
// while. It belongs to one goroutine.
type digest struct {
	hinted map[string]bool
	shown  map[string]pace

	services []events.Service
	assigned []events.Assigned
	restored []events.Restored
	filled   []events.Filled
	running  int
	received map[string]events.Received
	windows  struct {
		tasks int
		sent  int64
		// seen is tasks at the last call: more may be coming. That was waited for
		// at so many calls.
		seen, waited int
	}
	sent      map[string][]events.Sent
	sentOrder []string
	committed commits
	other     []line

	// last is the newest progress of each container, and before the one that
	// rates are counted from.
	last, before map[string]events.Progress
	running0     time.Time
}

// commits are those since the last lines.
type commits struct {
	tasks          map[string]bool
	messages, sent int64
	final          bool
}

// pace is how often lines of a label came.
type pace struct {
	count int
	last  time.Time
}

func newDigest() *digest {
	return &digest{
		hinted: map[string]bool{}, shown: map[string]pace{},
		received: map[string]events.Received{}, sent: map[string][]events.Sent{},
		last: map[string]events.Progress{}, before: map[string]events.Progress{},
	}
}

// samplesShown is how many messages out are shown of one stream in one digest.
const samplesShown = 3

// add takes an event in.
func (d *digest) add(e events.Event) {
	switch e := e.(type) {
	case events.Service:
		d.services = append(d.services, e)
	case events.Assigned:
		d.assigned = append(d.assigned, e)
	case events.Restored:
		d.restored = append(d.restored, e)
	case events.Filled:
		d.filled = append(d.filled, e)
	case events.Running:
		d.running++
	case events.Received:
		if _, ok := d.received[e.Stream]; !ok {
			d.received[e.Stream] = e
		}
	case events.Windowed:
		d.windows.tasks++
		d.windows.sent += e.Sent
	case events.Sent:
		of := d.sent[e.Stream]
		if of == nil {
			d.sentOrder = append(d.sentOrder, e.Stream)
		}
		if len(of) < samplesShown {
			d.sent[e.Stream] = append(of, e)
		}
	case events.Committed:
		if d.committed.tasks == nil {
			d.committed.tasks = map[string]bool{}
		}
		// A task may have committed more than once since.
		d.committed.tasks[e.Task] = true
		d.committed.messages += e.Messages
		d.committed.sent += e.Sent
		d.committed.final = d.committed.final || e.Final
	case events.Dropped:
		d.other = append(d.other, line{label: "dropped", kind: careful, text: fmt.Sprintf("%s: %s (%s so far)", e.Task, e.Cause, count(e.Total, "message"))})
	case events.Stopping:
		if len(d.last) == 0 || !d.hinted["stop"] {
			d.other = append(d.other, line{label: "stop", text: cause(e.Why), hint: "what is begun is finished, sent and committed"})
			d.hinted["stop"] = true
		}
	case events.Stopped:
	case events.Progress:
		if old, ok := d.last[e.Container]; ok {
			d.before[e.Container] = old
		}
		d.last[e.Container] = e
	}
}

// lines gives what there is to say since the last call; final says that it is
// the last.
func (d *digest) lines(now time.Time, final bool) []line {
	var out []line
	for _, s := range d.services {
		if s.Folder == "" {
			out = append(out, line{label: s.Name, text: s.Address})
			continue
		}
		out = append(out, line{label: "kafka", text: fmt.Sprintf("%s at %s, its topics are kept in %s", s.Name, s.Address, s.Folder)})
	}
	d.services = nil
	out = append(out, d.assignments()...)
	out = append(out, d.restores()...)
	if d.running > 0 || final {
		out = append(out, d.fills()...) // of all tasks at once
	}
	if d.running > 0 {
		if d.running0.IsZero() {
			d.running0 = now
		}
		out = append(out, line{label: "running", kind: good, text: "the tasks are ready and wait for messages"})
		d.running = 0
	}
	for _, stream := range sorted(d.received) {
		e := d.received[stream]
		if d.allow("in "+stream, now, 3, 10*time.Second) {
			out = append(out, line{label: "in", text: sample(stream, e.HasKey, e.Key, e.Value), hint: "one of the messages read, as a sample"})
		}
	}
	clear(d.received)
	// Before the work: a stop is why the last windows are due.
	out = append(out, d.other...)
	d.other = nil
	if d.settled(final) {
		out = append(out, d.work(now)...)
	}
	for i := range out {
		if d.hinted[out[i].label] && out[i].label != "stop" {
			out[i].hint = ""
		}
		if out[i].hint != "" {
			d.hinted[out[i].label] = true
		}
	}
	return out
}

// patience is how many calls wait for further windows: those of a short
// task.window.ms never end to come.
const patience = 2

// settled says whether the tasks whose windows are due at the same moment are
// through: none came since the last call.
func (d *digest) settled(final bool) bool {
	w := &d.windows
	if w.tasks != w.seen && w.waited < patience && !final {
		w.seen = w.tasks
		w.waited++
		return false
	}
	return true
}

// work is what was sent, at windows and between them, and committed.
func (d *digest) work(now time.Time) []line {
	var out []line
	// A window without output is worth a line only until one is known.
	windowed := d.windows.tasks > 0 && (d.windows.sent > 0 || d.shown["window"].count == 0) && d.allow("window", now, 5, time.Second)
	if windowed {
		out = append(out, line{label: "window", text: fmt.Sprintf("%s sent %s", count(d.windows.tasks, "task"), count(d.windows.sent, "message")),
			hint: "each task's Window is called every task.window.ms"})
	}
	d.windows.tasks, d.windows.sent, d.windows.seen, d.windows.waited = 0, 0, 0, 0
	for _, stream := range d.sentOrder {
		if windowed || d.allow("out "+stream, now, 3, 5*time.Second) {
			for _, e := range d.sent[stream] {
				out = append(out, line{label: "out", text: sample(stream, e.HasKey, e.Key, e.Value), hint: "a sample of what the tasks sent"})
			}
		}
	}
	clear(d.sent)
	d.sentOrder = d.sentOrder[:0]
	if c := &d.committed; len(c.tasks) > 0 {
		if c.messages+c.sent > 0 && (c.final || d.allow("commit", now, 3, 10*time.Second)) {
			out = append(out, line{label: "commit", text: fmt.Sprintf("%s: %s read and %s sent are safe", count(len(c.tasks), "task"), count(c.messages, "message"), number(c.sent)),
				hint: "a restart goes on from here"})
		}
		*c = commits{}
	}
	return out
}

// allow lets the first lines of a label through, then one each while.
func (d *digest) allow(label string, now time.Time, first int, each time.Duration) bool {
	p := d.shown[label]
	if p.count >= first && now.Sub(p.last) < each {
		return false
	}
	d.shown[label] = pace{p.count + 1, now}
	return true
}

// assignments says where the input comes from, and who reads it.
func (d *digest) assignments() []line {
	if len(d.assigned) == 0 {
		return nil
	}
	type input struct {
		partitions  int
		ahead, lost int64
		from        map[string]int
	}
	inputs := map[string]*input{}
	var names []string
	for _, a := range d.assigned {
		for _, t := range a.Tasks {
			names = append(names, t.Name)
			for _, in := range t.Inputs {
				i := inputs[in.Stream]
				if i == nil {
					i = &input{from: map[string]int{}}
					inputs[in.Stream] = i
				}
				i.partitions++
				i.ahead += in.Ahead
				i.lost += in.Lost
				i.from[in.From]++
			}
		}
	}
	var out []line
	for _, stream := range sorted(inputs) {
		i := inputs[stream]
		text := fmt.Sprintf("%s, %s, %s to read, from %s", stream, count(i.partitions, "partition"), count(i.ahead, "message"), strings.Join(sorted(i.from), " or "))
		l := line{label: "input", text: text, hint: "the topic that task.inputs names"}
		if i.lost > 0 {
			l.kind, l.text = careful, fmt.Sprintf("%s; %s were gone before they were read (retention)", text, count(i.lost, "message"))
		}
		out = append(out, l)
	}
	where := ""
	if n := len(d.assigned); n > 1 {
		where = fmt.Sprintf(" in %d containers", n)
	}
	out = append(out, line{label: "tasks", text: fmt.Sprintf("%s%s: %s", count(len(names), "task"), where, list(names)), hint: "each has its own share of the partitions"})
	d.assigned = nil
	return out
}

func (d *digest) restores() []line {
	if len(d.restored) == 0 {
		return nil
	}
	stores := map[string]bool{}
	var records int64
	var took time.Duration
	for _, r := range d.restored {
		records += r.Records
		took = max(took, r.Took)
		for _, s := range r.Stores {
			stores[s] = true
		}
	}
	text := fmt.Sprintf("%s restored for %s from %s in %s", strings.Join(sorted(stores), ", "), count(len(d.restored), "task"), count(records, "change"), seconds(took))
	d.restored = nil
	return []line{{label: "state", text: text, hint: "as the last commit left it"}}
}

// fills tells what each store was filled with.
func (d *digest) fills() []line {
	type fill struct {
		events.Filled
		tasks, copies int
	}
	byStore := map[string]*fill{}
	for _, f := range d.filled {
		all := byStore[f.Store]
		if all == nil {
			all = &fill{}
			byStore[f.Store] = all
		}
		all.Streams = f.Streams
		all.Messages += f.Messages
		all.Took = max(all.Took, f.Took)
		if f.Task == "" {
			all.copies++
		} else {
			all.tasks++
		}
	}
	d.filled = nil
	var out []line
	for _, name := range sorted(byStore) {
		f := byStore[name]
		l := line{label: "state", hint: "kept up to date from now on"}
		who := count(f.tasks, "task")
		if f.copies > 0 {
			who = "all tasks of " + count(f.copies, "container")
			l.hint = "one copy that they share, " + l.hint
		}
		l.text = fmt.Sprintf("%s filled for %s from %s of %s in %s", name, who, count(f.Messages, "message"), strings.Join(f.Streams, ", "), seconds(f.Took))
		out = append(out, l)
	}
	return out
}

// status is the one line that is always there: what has been done so far.
func (d *digest) status(now time.Time) string {
	if d.running0.IsZero() {
		return "starting"
	}
	var in, out, lag, windows, commits int64
	var inRate, outRate float64
	for c, p := range d.last {
		b, ok := d.before[c]
		span := p.At.Sub(b.At).Seconds()
		for s, f := range p.In {
			in += f.Messages
			if ok && span > 0 {
				inRate += float64(f.Messages-b.In[s].Messages) / span
			}
		}
		for s, f := range p.Out {
			out += f.Messages
			if ok && span > 0 {
				outRate += float64(f.Messages-b.Out[s].Messages) / span
			}
		}
		lag += p.Lag
		windows += p.Windows
		commits += p.Commits
	}
	parts := []string{
		"running " + clock(now.Sub(d.running0)),
		fmt.Sprintf("in %s (%s/s)", number(in), rate(inRate)),
		fmt.Sprintf("out %s (%s/s)", number(out), rate(outRate)),
	}
	// What a narrow terminal cuts off comes last.
	if lag > 0 {
		parts = append(parts, number(lag)+" waiting")
	} else {
		parts = append(parts, "all read")
	}
	if windows > 0 {
		parts = append(parts, count(windows, "window"))
	}
	parts = append(parts, count(commits, "commit"))
	return strings.Join(parts, " · ")
}

// cause says in a person's words why a run stops.
func cause(why string) string {
	switch why {
	case "signal: interrupt":
		return "Ctrl-C"
	case "signal: terminated":
		return "told to by a signal (SIGTERM)"
	}
	return why
}

func sample(stream string, hasKey bool, key, value string) string {
	value = strings.ReplaceAll(value, "\n", " ")
	if hasKey {
		return fmt.Sprintf("%s  %s → %s", stream, key, value)
	}
	return fmt.Sprintf("%s  %s", stream, value)
}

func list(names []string) string {
	slices.SortFunc(names, natural)
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:2], ", ") + " ... " + names[len(names)-1]
}

// natural orders names of the same beginning by the numbers in them.
func natural(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// summary is what a run that ended in order has done.
func (d *digest) summary() string {
	var in, out int64
	for _, p := range d.last {
		for _, f := range p.In {
			in += f.Messages
		}
		for _, f := range p.Out {
			out += f.Messages
		}
	}
	return fmt.Sprintf("%s read, %s sent, all committed; the next start goes on from here", count(in, "message"), number(out))
}
