package console

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heddle/container/events"
)

func show(d *digest, at time.Duration) string {
	var b strings.Builder
	for _, l := range d.lines(time.Unix(0, 0).Add(at), false) {
		fmt.Fprintf(&b, "%s: %s", l.label, l.text)
		if l.hint != "" {
			fmt.Fprintf(&b, " (%s)", l.hint)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%swant:\n%s", what, got, want)
	}
}

func TestDigestOfAStart(t *testing.T) {
	d := newDigest()
	a := events.Assigned{Container: "0"}
	for i := range 12 {
		a.Tasks = append(a.Tasks, events.AssignedTask{Name: fmt.Sprintf("Partition %d", i), Inputs: []events.Input{
			{Stream: "kafka.clicks", Partition: int32(i), Ahead: 100, From: "the oldest message"},
		}})
	}
	d.add(a)
	d.add(events.Restored{Task: "Partition 0", Stores: []string{"counts"}, Records: 1000, Took: 1500 * time.Millisecond})
	d.add(events.Restored{Task: "Partition 1", Stores: []string{"counts"}, Records: 234, Took: 20 * time.Millisecond})
	d.add(events.Filled{Container: "0", Store: "rates", Streams: []string{"kafka.rates"}, Messages: 7, Took: time.Millisecond})
	users := events.Filled{Container: "0", Task: "Partition 0", Store: "users", Streams: []string{"kafka.users", "kafka.more"}, Messages: 900, Took: 2 * time.Millisecond}
	d.add(users)
	expect(t, "while others may be filled", show(d, 0), `input: kafka.clicks, 12 partitions, 1,200 messages to read, from the oldest message (the topic that task.inputs names)
tasks: 12 tasks: Partition 0, Partition 1 ... Partition 11 (each has its own share of the partitions)
state: counts restored for 2 tasks from 1,234 changes in 1.5 s (as the last commit left it)
`)
	d.add(users)
	d.add(events.Running{Container: "0"})
	expect(t, "start", show(d, 0), `state: rates filled for all tasks of 1 container from 7 messages of kafka.rates in 1 ms
state: users filled for 2 tasks from 1,800 messages of kafka.users, kafka.more in 2 ms
running: the tasks are ready and wait for messages
`)
	expect(t, "nothing new", show(d, time.Second), "")
}

func TestDigestOfWindows(t *testing.T) {
	d := newDigest()
	window := func(tasks int, sent int64) {
		for range tasks {
			d.add(events.Windowed{Sent: sent})
		}
		if sent > 0 {
			for i := range 5 {
				d.add(events.Sent{Stream: "kafka.out", Key: fmt.Sprint("u", i), Value: "v\n", HasKey: true})
			}
		}
	}
	window(3, 2)
	expect(t, "while more may come", show(d, 0), "")
	window(1, 2)
	expect(t, "while more may come", show(d, 200*time.Millisecond), "")
	expect(t, "settled", show(d, 400*time.Millisecond), `window: 4 tasks sent 8 messages (each task's Window is called every task.window.ms)
out: kafka.out  u0 → v  (a sample of what the tasks sent)
out: kafka.out  u1 → v 
out: kafka.out  u2 → v 
`)
	window(4, 0)
	show(d, time.Second)
	expect(t, "a window without output", show(d, 1200*time.Millisecond), "")
}

// With a short task.window.ms there is always one more.
func TestDigestOfShortWindows(t *testing.T) {
	d := newDigest()
	for i := range patience {
		d.add(events.Windowed{Sent: 1})
		expect(t, "while more may come", show(d, time.Duration(i)*200*time.Millisecond), "")
	}
	d.add(events.Windowed{Sent: 1})
	d.add(events.Committed{Task: "Partition 0", Messages: 7, Sent: 3})
	expect(t, "enough", show(d, time.Second), `window: 3 tasks sent 3 messages (each task's Window is called every task.window.ms)
commit: 1 task: 7 messages read and 3 sent are safe (a restart goes on from here)
`)
}

func TestDigestGrowsQuiet(t *testing.T) {
	d := newDigest()
	lines := 0
	for i := range 600 { // a minute, ten commits a second
		d.add(events.Received{Stream: "kafka.in", Value: "x"})
		d.add(events.Committed{Task: "Partition 0", Messages: 10})
		lines += strings.Count(show(d, time.Duration(i)*100*time.Millisecond), "\n")
	}
	if lines > 20 {
		t.Errorf("%d lines in a minute of nothing new", lines)
	}
}

func TestStatus(t *testing.T) {
	d := newDigest()
	at := time.Unix(0, 0)
	expect(t, "before the start", d.status(at), "starting")
	d.add(events.Running{})
	d.lines(at, false)
	d.add(events.Progress{Container: "0", At: at, In: map[string]events.Flow{"kafka.in": {Messages: 1000}}})
	d.add(events.Progress{Container: "0", At: at.Add(time.Second), In: map[string]events.Flow{"kafka.in": {Messages: 3500}},
		Out: map[string]events.Flow{"kafka.out": {Messages: 4}}, Windows: 2, Commits: 3, Lag: 12000})
	expect(t, "running", d.status(at.Add(65*time.Second)), "running 1:05 · in 3,500 (2,500/s) · out 4 (4.0/s) · 12,000 waiting · 2 windows · 3 commits")
}

// Elsewhere than on a terminal there are plain lines, without codes, and
// messages cannot forge any.
func TestPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := Open(&out, Options{Job: "j"})
		log := slog.New(c.Handler())
		log.With("container", "0").Info("hidden", "tasks", 4)
		log.With("system", "kafka").Info("shown", "tasks", 4)
		log.Warn("odd", "why", "two words", "stack", "a\nb")
		c.Event(events.Running{})
		c.Event(events.Sent{Stream: "kafka.out", Value: "evil\x1b[2J\r\nline"})
		<-time.After(11 * time.Second) // of the bubble's time
		synctest.Wait()
		c.End(nil)
		c.End(errors.New("a second end is none"))
		got := out.String()
		for _, want := range []string{" INFO  shown system=kafka tasks=4\n", ` WARN  odd why="two words"` + "\na\nb\n", "out: kafka.out  evil [2J", "INFO  progress: running", "INFO  done: "} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "hidden") {
			t.Errorf("what containers tell of themselves came twice:\n%s", got)
		}
		if strings.ContainsAny(got, "\x1b\r") {
			t.Errorf("control characters in %q", got)
		}
	})
}

func TestQuietShowsNoMessages(t *testing.T) {
	var out bytes.Buffer
	c := Open(&out, Options{Plain: true})
	c.Event(events.Sent{Stream: "kafka.out", Value: "private"})
	c.End(errors.New("broken"))
	if got := out.String(); strings.Contains(got, "private") || !strings.Contains(got, "ERROR failed") {
		t.Error(got)
	}
}

func TestRenderKeepsToTheWidth(t *testing.T) {
	s := style{}
	got := s.render("12:00:00", line{label: "out", text: strings.Repeat("é", 100), hint: "why this is shown"}, 40)
	lines := strings.Split(got, "\n")
	if len(lines) != linesMost+1 || !strings.HasSuffix(lines[linesMost-1], "...") || strings.TrimSpace(lines[linesMost]) != "why this is shown" {
		t.Errorf("%d lines:\n%s", len(lines), got)
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > 40 {
			t.Errorf("%d characters: %s", n, l)
		}
	}
	if got, want := s.render("12:00:00", line{label: "in", text: "some words", hint: "a hint"}, 80), "12:00:00  in       some words   a hint"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = s.render("12:00:00", line{label: "error", kind: bad, text: strings.Repeat("x", 100)}, 40)
	if !strings.HasSuffix(got, strings.Repeat("x", 100)) {
		t.Errorf("an error was cut: %s", got)
	}
	painted := style{color: true}.render("12:00:00", line{label: "in", text: "a\x1b[31mb"}, 40)
	if strings.Contains(painted, "\x1b[31m") {
		t.Errorf("a message's colours got through: %q", painted)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"short", []string{"short"}},
		{"one two three", []string{"one two", "three"}},
		{"aaaaaaaaaaaaaaaa", []string{"aaaaaaaaaa", "aaaaaa"}},
		{"a bbbbbbbbbbbbb", []string{"a bbbbbbbb", "bbbbb"}},
		{"0123456789 123456789 and more", []string{"0123456789", "1234567..."}},
	} {
		if got := wrap(c.text, 10, 2); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// The stop stands before the last windows, whose cause it is.
func TestDigestOfAStop(t *testing.T) {
	d := newDigest()
	d.add(events.Stopping{Why: "signal: interrupt"})
	d.add(events.Sent{Stream: "kafka.out", Value: "v"})
	expect(t, "stop", show(d, 0), "stop: Ctrl-C (what is begun is finished, sent and committed)\nout: kafka.out  v (a sample of what the tasks sent)\n")
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		number(1234567):     "1,234,567",
		number(-1234):       "-1,234",
		number(999):         "999",
		count(1, "task"):    "1 task",
		count(1000, "task"): "1,000 tasks",
		clock(3723 * 1e9):   "1:02:03",
		clock(67 * 1e9):     "1:07",
		rate(0.5):           "0.5",
		rate(12345.6):       "12,346",
		seconds(250 * 1e6):  "250 ms",
		seconds(2500 * 1e6): "2.5 s",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
