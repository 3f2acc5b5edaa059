package am

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Unix(1_700_000_000, 0)

func plan(n int) Plan {
	p := Plan{
		Retry:          RetryPolicy{Count: 8, Window: 5 * time.Minute, FailJob: true},
		RequestTimeout: 5 * time.Second,
		Silence:        40 * time.Second,
		StartSilence:   5 * time.Minute,
		StopTimeout:    30 * time.Second,
	}
	for i := range n {
		p.Processors = append(p.Processors, fmt.Sprint(i))
	}
	return p
}

// script drives a machine in the words of a story, and prints its actions, so
// that a table entry reads as one.
type script struct {
	m   *Machine
	now time.Time
	out []string
	n   int
}

func (s *script) step(e Event) {
	for _, a := range s.m.Step(s.now, e) {
		switch a := a.(type) {
		case Request:
			s.out = append(s.out, strings.TrimSpace("request "+a.Processor+" "+a.Host))
		case Withdraw:
			s.out = append(s.out, strings.TrimSpace("withdraw "+a.Processor+" "+a.Host))
		case Launch:
			s.out = append(s.out, fmt.Sprintf("launch %s in %s #%d", a.Processor, a.In.ID, a.Attempt))
		case Release:
			s.out = append(s.out, "release "+a.ContainerID)
		case Kill:
			s.out = append(s.out, "kill "+a.ContainerID)
		case AskStop:
			s.out = append(s.out, "stop "+a.Processor)
		case Exclude:
			s.out = append(s.out, strings.TrimSpace("exclude "+strings.Join(a.Hosts, " ")))
		case Confirm:
			s.out = append(s.out, "confirm "+a.ContainerID)
		case Settle:
			s.out = append(s.out, "settle "+a.Processor+" "+a.Host)
		case Finish:
			s.out = append(s.out, fmt.Sprintf("finish %s unregister=%v %s", a.Status, a.Unregister, a.Diagnostics))
		}
	}
}

func (s *script) allocate(host string) string {
	s.n++
	id := fmt.Sprintf("c%d", s.n)
	s.step(Allocated{[]Allocation{{ID: id, Host: host, Node: host + ":1"}}})
	return id
}

// run allocates, launches, and lets the process be heard of.
func (s *script) run(processor, host string) string {
	id := s.allocate(host)
	s.step(Launched{id})
	s.step(Reported{Processor: processor, ContainerID: id, Processing: true})
	return id
}

func (s *script) exit(id string, status int) {
	s.step(Completed{[]Exit{{ContainerID: id, Status: status}}})
}

// unseen is an end that only the ResourceManager tells of.
func (s *script) unseen(id string, status int) {
	s.step(Completed{[]Exit{{ContainerID: id, Status: status, Unseen: true}}})
}

func (s *script) take() string {
	out := strings.Join(s.out, "\n")
	s.out = nil
	return out
}

func TestStories(t *testing.T) {
	tests := []struct {
		name  string
		plan  func(*Plan)
		n     int
		story func(s *script)
		want  string
	}{
		{"all end by themselves", nil, 2, func(s *script) {
			s.step(Started{})
			a, b := s.run("0", "h1"), s.run("1", "h2")
			s.exit(a, 0)
			s.exit(b, 0)
		}, `request 0
request 1
withdraw 0
launch 0 in c1 #1
withdraw 1
launch 1 in c2 #1
finish SUCCEEDED unregister=true `},
		{"a surplus container goes back", nil, 1, func(s *script) {
			s.step(Started{})
			s.run("0", "h1")
			s.allocate("h1")
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nrelease c2"},
		{"a failure is answered by a restart", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.exit(a, 137)
			s.run("0", "h2")
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nrequest 0\nwithdraw 0\nlaunch 0 in c2 #2"},
		{"host affinity asks for the last host, then for any", func(p *Plan) { p.HostAffinity = true }, 1, func(s *script) {
			s.step(Started{Preferred: map[string]string{"0": "h1"}})
			s.allocate("h2") // not the host: goes back
			s.now = s.now.Add(5 * time.Second)
			s.step(Tick{})
			s.allocate("h2")
		}, "request 0 h1\nrelease c1\nwithdraw 0 h1\nrequest 0\nwithdraw 0\nlaunch 0 in c2 #1"},
		{"stopping asks each and ends when all have", nil, 2, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.exit(a, 0)
		}, `request 0
request 1
withdraw 0
launch 0 in c1 #1
stop 0
withdraw 1
finish KILLED unregister=true run-job kill`},
		{"what fails at its stop is told", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.step(Reported{Processor: "0", ContainerID: a, Error: "the last window was not sent"})
			s.exit(a, 1)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nfinish KILLED unregister=true run-job kill; not in order: container 0: the last window was not sent"},
		{"what does not stop in time is killed", nil, 1, func(s *script) {
			s.step(Started{})
			s.run("0", "h1")
			s.step(StopRequested{Reason: "bye"})
			s.now = s.now.Add(30 * time.Second)
			s.step(Tick{})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nkill c1\nfinish SUCCEEDED unregister=true bye; not in order: container 0: did not stop within 30s and was killed"},
		{"what is killed at its stop is told", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.exit(a, 137)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nfinish KILLED unregister=true run-job kill; not in order: container 0: killed by signal 9 (exit code 137)"},
		{"what ends at its stop by a signal, in order, is not", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.exit(a, 143)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nfinish KILLED unregister=true run-job kill"},
		{"what said that it has ended in order did, whoever ends its process", nil, 2, func(s *script) {
			s.step(Started{})
			a, b := s.run("0", "h1"), s.run("1", "h2")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.step(Reported{Processor: "0", ContainerID: a, Ended: true})
			s.step(Reported{Processor: "1", ContainerID: b, Ended: true})
			s.unseen(a, ExitAborted)
			s.now = s.now.Add(30 * time.Second)
			s.step(Tick{})
		}, "request 0\nrequest 1\nwithdraw 0\nlaunch 0 in c1 #1\nwithdraw 1\nlaunch 1 in c2 #1\nstop 0\nstop 1\nkill c2\nfinish KILLED unregister=true run-job kill"},
		{"whether what was lost at its stop had ended is not known", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(StopRequested{Reason: "run-job kill", Killed: true})
			s.unseen(a, ExitAborted)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nfinish KILLED unregister=true run-job kill; not in order: container 0: its node was lost or released it"},
		{"stop while launching reaches the process after its start", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.allocate("h1")
			s.step(StopRequested{Reason: "bye", Killed: true})
			s.step(Launched{a})
			s.exit(a, 0)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nfinish KILLED unregister=true bye"},
		{"a configuration error is not retried and its cause is told", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(Reported{Processor: "0", ContainerID: a, Error: "serde jsno: unknown"})
			s.exit(a, ExitConfig)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nfinish FAILED unregister=true container 0: serde jsno: unknown"},
		{"an end of Go's runtime is a failure as others are", nil, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 2)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nrequest 0"},
		{"a refused attempt kills and does not unregister", nil, 1, func(s *script) {
			s.step(Started{})
			s.run("0", "h1")
			s.step(Refused{Reason: "attempt unknown"})
			s.allocate("h1")
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nkill c1\nfinish FAILED unregister=false attempt unknown\nrelease c2"},
		{"a silent process is killed and replaced", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.now = s.now.Add(39 * time.Second)
			s.step(Tick{})
			s.now = s.now.Add(time.Second)
			s.step(Tick{})
			s.exit(a, -105) // the cluster's late news change nothing
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nkill c1\nrequest 0"},
		{"a process that takes long to start is left alone", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.allocate("h1")
			s.step(Launched{a})
			s.now = s.now.Add(4 * time.Minute)
			s.step(Tick{})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1"},
		{"nodes that refuse the launch are counted from the third on", func(p *Plan) { p.Retry.Count = 1 }, 1, func(s *script) {
			s.step(Started{})
			for range 4 {
				s.step(LaunchFailed{s.allocate("h1"), "no"})
			}
		}, `request 0
withdraw 0
launch 0 in c1 #1
release c1
request 0
withdraw 0
launch 0 in c2 #2
release c2
request 0
withdraw 0
launch 0 in c3 #3
release c3
request 0
withdraw 0
launch 0 in c4 #4
release c4
finish FAILED unregister=true container 0 failed 2 times within 5m0s, which is more than cluster-manager.container.retry.count=1 allows; the last time: start of c4 on h1: no`},
		{"the last restart on a preferred host waits", func(p *Plan) {
			p.HostAffinity, p.LastRetryDelay, p.Retry.Count = true, 6*time.Minute, 2
		}, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 1)
			s.exit(s.run("0", "h1"), 1)
			s.allocate("h1") // asked for by nobody yet
			s.now = s.now.Add(6*time.Minute - time.Second)
			s.step(Tick{})
			s.now = s.now.Add(time.Second)
			s.step(Tick{})
			s.run("0", "h1")
		}, `request 0
withdraw 0
launch 0 in c1 #1
settle 0 h1
request 0 h1
withdraw 0 h1
launch 0 in c2 #2
settle 0 h1
release c3
request 0 h1
withdraw 0 h1
launch 0 in c4 #3
settle 0 h1`},
		{"the failure after the last restart ends the job, however long that waited", func(p *Plan) {
			p.HostAffinity, p.LastRetryDelay, p.Retry.Count = true, 6*time.Minute, 1
		}, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 1)
			s.now = s.now.Add(6 * time.Minute)
			s.step(Tick{})
			s.now = s.now.Add(5*time.Minute - time.Second)
			s.exit(s.run("0", "h1"), 1)
		}, `request 0
withdraw 0
launch 0 in c1 #1
settle 0 h1
request 0 h1
withdraw 0 h1
launch 0 in c2 #2
settle 0 h1
finish FAILED unregister=true container 0 failed 2 times within 5m0s, which is more than cluster-manager.container.retry.count=1 allows; the last time: c2 on h1: exit code 1`},
		{"a failure long after the last restart counts as the first", func(p *Plan) {
			p.HostAffinity, p.LastRetryDelay, p.Retry.Count = true, 6*time.Minute, 2
		}, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 1)
			s.exit(s.run("0", "h1"), 1)
			s.now = s.now.Add(6 * time.Minute)
			s.step(Tick{})
			s.now = s.now.Add(5 * time.Minute)
			s.exit(s.run("0", "h1"), 1)
		}, `request 0
withdraw 0
launch 0 in c1 #1
settle 0 h1
request 0 h1
withdraw 0 h1
launch 0 in c2 #2
settle 0 h1
request 0 h1
withdraw 0 h1
launch 0 in c3 #3
settle 0 h1
request 0 h1`},
		{"a stop while the last restart waits", func(p *Plan) {
			p.HostAffinity, p.LastRetryDelay, p.Retry.Count = true, 6*time.Minute, 1
		}, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 1)
			s.step(StopRequested{Reason: "bye", Killed: true})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nsettle 0 h1\nfinish KILLED unregister=true bye"},
		{"a killed container is asked for on its host, and settles again", func(p *Plan) { p.HostAffinity = true }, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(Reported{Processor: "0", ContainerID: a, Processing: true})
			s.exit(a, 137)
			s.run("0", "h1")
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nsettle 0 h1\nrequest 0 h1\nwithdraw 0 h1\nlaunch 0 in c2 #2\nsettle 0 h1"},
		{"a container whose local disk failed is asked for on no host, and at once", func(p *Plan) {
			p.HostAffinity, p.LastRetryDelay, p.Retry.Count = true, 6*time.Minute, 1
		}, 1, func(s *script) {
			s.step(Started{Preferred: map[string]string{"0": "h1"}})
			a := s.run("0", "h1")
			s.exit(a, ExitDisk)
			b := s.run("0", "h2") // where its state is from now on
			s.now = s.now.Add(time.Hour)
			s.exit(b, 137)
		}, "request 0 h1\nwithdraw 0 h1\nlaunch 0 in c1 #1\nsettle 0 h1\nexclude h1\nrequest 0\nwithdraw 0\nexclude\nlaunch 0 in c2 #2\nsettle 0 h2"},
		{"the host of a failed local disk will do again when no other has room", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.exit(a, ExitDisk)
			s.now = s.now.Add(5*time.Second - 1)
			s.step(Tick{})
			s.now = s.now.Add(1)
			s.step(Tick{})
			s.now = s.now.Add(time.Hour)
			s.step(Tick{}) // once
			b := s.run("0", "h1")
			s.exit(b, 137) // a failure of another kind
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nexclude h1\nrequest 0\nexclude\nwithdraw 0\nlaunch 0 in c2 #2\nrequest 0"},
		{"a host is avoided until the last that avoids it has another", nil, 3, func(s *script) {
			s.step(Started{})
			a, b, c := s.run("0", "h1"), s.run("1", "h1"), s.run("2", "h2")
			s.exit(a, ExitDisk)
			s.exit(b, ExitDisk)
			s.exit(c, ExitDisk)
			s.step(Allocated{[]Allocation{{ID: "d1", Host: "h3", For: "1"}}})
			s.step(Allocated{[]Allocation{{ID: "d2", Host: "h3", For: "0"}}})
			s.step(Allocated{[]Allocation{{ID: "d3", Host: "h1", For: "2"}}})
		}, `request 0
request 1
request 2
withdraw 0
launch 0 in c1 #1
withdraw 1
launch 1 in c2 #1
withdraw 2
launch 2 in c3 #1
exclude h1
request 0
exclude h1
request 1
exclude h1 h2
request 2
withdraw 1
exclude h1 h2
launch 1 in d1 #2
withdraw 0
exclude h2
launch 0 in d2 #2
withdraw 2
exclude
launch 2 in d3 #2`},
		{"a host is not avoided for one that is given up", func(p *Plan) { p.Retry.Count, p.Retry.FailJob = 0, false }, 2, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.run("1", "h1")
			s.exit(a, ExitDisk)
		}, "request 0\nrequest 1\nwithdraw 0\nlaunch 0 in c1 #1\nwithdraw 1\nlaunch 1 in c2 #1\nexclude h1\nexclude"},
		{"a broken link is looked into at the node", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(LinkBroken{"0", "c0"}) // an execution before this one
			s.step(LinkBroken{"0", a})
			s.exit(a, 137)
			s.step(LinkBroken{"0", a})
			s.exit(a, 137) // the ResourceManager tells it, too
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nconfirm c1\nrequest 0"},
		{"a quiet process is looked into at the node, not more often than it takes to be quiet", func(p *Plan) { p.Quiet = 5 * time.Second }, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			for range 12 { // after 5 and 10 s
				s.now = s.now.Add(time.Second)
				s.step(Tick{})
			}
			s.step(Reported{Processor: "0", ContainerID: a, Processing: true})
			s.now = s.now.Add(4 * time.Second)
			s.step(Tick{})
			s.exit(a, 137) // as its node tells
			s.now = s.now.Add(6 * time.Second)
			s.step(Tick{})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nconfirm c1\nconfirm c1\nrequest 0"},
		{"a quiet process whose node does not answer is replaced after its silence", func(p *Plan) { p.Quiet = 15 * time.Second }, 1, func(s *script) {
			s.step(Started{})
			s.run("0", "h1")
			for range 4 {
				s.now = s.now.Add(10 * time.Second)
				s.step(Tick{})
			}
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nconfirm c1\nkill c1\nrequest 0"},
		{"a lost node's process is replaced once its tasks have ended", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.unseen(a, ExitAborted)
			s.unseen(a, ExitAborted)
			s.now = s.now.Add(2 * time.Second)
			s.step(Reported{Processor: "0", ContainerID: a})
			s.step(Reported{Processor: "0", ContainerID: a, Ended: true})
			s.exit(a, 0)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nconfirm c1\nrequest 0"},
		{"a lost node's process is replaced once it must have stopped itself", func(p *Plan) { p.HostAffinity = true }, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.now = s.now.Add(30 * time.Second)
			s.unseen(a, ExitAborted)
			s.now = s.now.Add(9 * time.Second)
			s.step(Tick{})
			s.now = s.now.Add(time.Second)
			s.step(Tick{})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nsettle 0 h1\nstop 0\nconfirm c1\nconfirm c1\nrequest 0"},
		{"a preempted process is replaced once its node saw its end, whatever code it had", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.unseen(a, ExitPreempted)
			s.now = s.now.Add(time.Second)
			s.step(Tick{})
			s.exit(a, 0) // it stopped in order, as it was asked to
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nconfirm c1\nconfirm c1\nrequest 0"},
		{"a node that has forgotten a container saw its end", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.step(Forgotten{a}) // the ResourceManager will tell how
			s.unseen(a, ExitPreempted)
			s.step(Forgotten{a})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nconfirm c1\nrequest 0"},
		{"a process that was silent too long already is replaced at once", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.now = s.now.Add(40 * time.Second)
			s.unseen(a, ExitAborted)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nrequest 0"},
		{"a process that was never heard of is replaced at once", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.allocate("h1")
			s.step(Launched{a})
			s.unseen(a, ExitAborted)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nrequest 0"},
		{"a stop waits for what YARN gave up, within its time", nil, 1, func(s *script) {
			s.step(Started{})
			a := s.run("0", "h1")
			s.unseen(a, ExitAborted)
			s.step(StopRequested{Reason: "bye"})
			s.now = s.now.Add(30 * time.Second)
			s.step(Tick{})
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nstop 0\nconfirm c1\nkill c1\nfinish SUCCEEDED unregister=true bye; not in order: container 0: did not stop within 30s and was killed"},
		{"retry count 0 fails the job at once", func(p *Plan) { p.Retry.Count = 0 }, 1, func(s *script) {
			s.step(Started{})
			s.exit(s.run("0", "h1"), 1)
		}, "request 0\nwithdraw 0\nlaunch 0 in c1 #1\nfinish FAILED unregister=true container 0 failed and cluster-manager.container.retry.count=0 allows no restart: c1 on h1: exit code 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(tt.n)
			if tt.plan != nil {
				tt.plan(&p)
			}
			s := &script{m: NewMachine(p), now: epoch}
			tt.story(s)
			if got := s.take(); got != tt.want {
				t.Errorf("actions:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// What ends a container is told in one line: why, and where the next one is to be.
func TestFailureIsToldInOneLine(t *testing.T) {
	for _, tt := range []struct {
		name     string
		affinity bool
		status   int
		reported string
		want     string
	}{
		{"a kill", true, 137, "", "container 0 failed (c1 on h1: killed by signal 9 (exit code 137)); restart 1 of 8"},
		{"a local disk", true, ExitDisk, "", "container 0 failed (c1 on h1: its local state could not be opened, read or written (exit code 74)); restart 1 of 8, not on h1 if another host has room within 5s"},
		{"a local disk, and the container said what", true, ExitDisk, "the disk is full", "container 0 failed (c1 on h1: the disk is full); restart 1 of 8, not on h1 if another host has room within 5s"},
		{"a local disk without host affinity", false, ExitDisk, "the disk is full", "container 0 failed (c1 on h1: the disk is full); restart 1 of 8, not on h1 if another host has room within 5s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(1)
			p.HostAffinity = tt.affinity
			s := &script{m: NewMachine(p), now: epoch}
			s.step(Started{})
			id := s.run("0", "h1")
			if tt.reported != "" {
				s.step(Reported{Processor: "0", ContainerID: id, Error: tt.reported})
			}
			var warnings []string
			for _, a := range s.m.Step(s.now, Completed{[]Exit{{ContainerID: id, Status: tt.status}}}) {
				if n, ok := a.(Note); ok && n.Level >= 4 {
					warnings = append(warnings, n.Text)
				}
			}
			if len(warnings) != 1 || warnings[0] != tt.want {
				t.Errorf("warnings %q, want %q", warnings, tt.want)
			}
		})
	}
}

// Samza's counting (reference: ContainerProcessManager): with retry.count=8 the
// ninth quick failure ends the job; a failure a whole window after the last
// counts as the first.
func TestRetryCounting(t *testing.T) {
	tests := []struct {
		name    string
		policy  RetryPolicy
		gaps    []time.Duration // before each failure
		giveUps int             // index of the failure that ends it, -1 for none
	}{
		{"nine quick ones", RetryPolicy{8, 5 * time.Minute, true}, quick(9), 8},
		{"eight quick ones", RetryPolicy{8, 5 * time.Minute, true}, quick(8), -1},
		{"a pause of a window starts over", RetryPolicy{2, time.Minute, true},
			[]time.Duration{0, time.Second, time.Minute, time.Second, time.Second}, 4},
		{"just under a window does not", RetryPolicy{2, time.Minute, true},
			[]time.Duration{0, time.Second, time.Minute - 1}, 2},
		{"never", RetryPolicy{-1, time.Minute, true}, quick(1000), -1},
		{"at once", RetryPolicy{0, time.Minute, true}, quick(1), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, f := epoch, failures{}
			for i, gap := range tt.gaps {
				now = now.Add(gap)
				var v verdict
				f, v = tt.policy.record(f, now)
				if (v == giveUp) != (i == tt.giveUps) {
					t.Fatalf("failure %d (count %d): give up = %v", i, f.count, v == giveUp)
				}
			}
		})
	}
}

func quick(n int) []time.Duration {
	g := make([]time.Duration, n)
	for i := range g {
		g[i] = time.Second
	}
	return g
}

// Taken away by the cluster is nobody's fault: never counted.
func TestPreemptionIsNotCounted(t *testing.T) {
	p := plan(1)
	p.Retry.Count = 1
	s := &script{m: NewMachine(p), now: epoch}
	s.step(Started{})
	for range 50 {
		for _, status := range []int{ExitAborted, ExitDisksFailed, ExitPreempted} {
			s.exit(s.run("0", "h1"), status)
		}
	}
	if got := s.m.Processors()[0]; got.Failures != 0 || got.Phase != Waiting {
		t.Fatalf("after 150 preemptions: %+v", got)
	}
}

func TestGoingOnWithoutAProcessor(t *testing.T) {
	p := plan(2)
	p.Retry = RetryPolicy{Count: 1, Window: time.Minute, FailJob: false}
	s := &script{m: NewMachine(p), now: epoch}
	s.step(Started{})
	a, b := s.run("0", "h1"), s.run("1", "h1")
	s.exit(a, 1)
	s.exit(s.run("0", "h1"), 1)
	if s.m.Stopping() {
		t.Fatal("the job stopped with container.fail.job.after.retries=false")
	}
	s.take()
	s.exit(b, 0)
	if got := s.take(); !strings.HasPrefix(got, "finish FAILED") {
		t.Fatalf("a job that lost a container must not end as a success: %s", got)
	}
}

// cluster is a model of what surrounds the machine, for the property test.
type cluster struct {
	asked   map[string]int // processor -> outstanding requests
	given   map[string]bool
	running map[string]string // container -> processor
	ended   bool
	// excluded are the hosts that the last Exclude named.
	excluded []string

	// unseen are containers that were given up while their process may run; heard
	// is when each process was heard of last.
	unseen  map[string]bool
	heard   map[string]time.Time
	now     time.Time
	silence time.Duration
}

// gone says that a process whose end nobody saw has none the less: it was never
// heard of, and so gets no JobModel, or it has been silent for so long that it
// has stopped itself.
func (c *cluster) gone(id string) bool {
	at, heard := c.heard[id]
	return c.unseen[id] && (!heard || c.now.Sub(at) >= c.silence)
}

func (c *cluster) apply(t *rapid.T, do []Action) {
	for _, a := range do {
		if c.ended {
			if _, ok := a.(Release); !ok {
				t.Fatalf("%T after Finish", a)
			}
		}
		switch a := a.(type) {
		case Request:
			c.asked[a.Processor]++
			if c.asked[a.Processor] > 1 {
				t.Fatalf("processor %s asks twice", a.Processor)
			}
		case Withdraw:
			c.asked[a.Processor]--
			if c.asked[a.Processor] < 0 {
				t.Fatalf("processor %s withdraws what it never asked for", a.Processor)
			}
		case Exclude:
			c.excluded = a.Hosts
		case Launch:
			if !c.given[a.In.ID] {
				t.Fatalf("launch in %s, which was not given or was used", a.In.ID)
			}
			delete(c.given, a.In.ID)
			for id, p := range c.running {
				if p == a.Processor && !c.gone(id) {
					t.Fatalf("processor %s runs in %s and is launched in %s", p, id, a.In.ID)
				}
			}
			c.running[a.In.ID] = a.Processor
		case Release:
			delete(c.given, a.ContainerID)
			delete(c.running, a.ContainerID)
		case Kill:
			delete(c.running, a.ContainerID)
		case Finish:
			c.ended = true
			for p, n := range c.asked {
				if n != 0 {
					t.Fatalf("finished with %d requests of processor %s outstanding", n, p)
				}
			}
			for id := range c.running {
				// What was given up is YARN's to end with the application.
				if !c.unseen[id] {
					t.Fatalf("finished while %v run", c.running)
				}
			}
		}
	}
}

// Whatever happens in whatever order: no processor runs twice, no container is
// used twice, every request is met or withdrawn, no host is excluded for nobody,
// and a stop ends.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan(rapid.IntRange(1, 5).Draw(t, "containers"))
		p.Retry.Count = rapid.IntRange(-1, 3).Draw(t, "retries")
		p.Retry.FailJob = rapid.Bool().Draw(t, "failJob")
		p.HostAffinity = rapid.Bool().Draw(t, "affinity")
		m, now := NewMachine(p), epoch
		c := &cluster{asked: map[string]int{}, given: map[string]bool{}, running: map[string]string{}, unseen: map[string]bool{}, heard: map[string]time.Time{}, silence: p.Silence}
		c.apply(t, m.Step(now, Started{Preferred: map[string]string{"0": "h1"}}))
		n := 0
		pick := func() string {
			if len(c.running) == 0 || rapid.IntRange(0, 9).Draw(t, "stranger") == 0 {
				return fmt.Sprintf("c%d", rapid.IntRange(0, n+1).Draw(t, "any"))
			}
			ids := []string{}
			for i := range n + 1 {
				if id := fmt.Sprintf("c%d", i); c.running[id] != "" {
					ids = append(ids, id)
				}
			}
			return rapid.SampledFrom(ids).Draw(t, "container")
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			c.now = now
			now = now.Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, "ms")) * time.Millisecond)
			var e Event
			switch rapid.IntRange(0, 11).Draw(t, "event") {
			case 0, 1, 2:
				n++
				id := fmt.Sprintf("c%d", n)
				c.given[id] = true
				e = Allocated{[]Allocation{{ID: id, Host: fmt.Sprintf("h%d", rapid.IntRange(1, 2).Draw(t, "host"))}}}
			case 3, 4:
				e = Launched{pick()}
			case 5:
				id := pick()
				e = LaunchFailed{id, "refused"}
			case 6, 7:
				id := pick()
				delete(c.running, id)
				e = Completed{[]Exit{{ContainerID: id, Status: rapid.SampledFrom([]int{0, 1, 2, ExitDisk, 137, -100, -102, -104}).Draw(t, "status")}}}
			case 8:
				id := pick()
				if c.running[id] != "" && !c.gone(id) {
					c.heard[id] = now
				}
				e = Reported{Processor: c.running[id], ContainerID: id, Processing: true}
			case 9:
				// The ResourceManager gives up what may run still.
				id := pick()
				e = Completed{[]Exit{{ContainerID: id, Status: rapid.SampledFrom([]int{-100, -102, -106}).Draw(t, "status"), Unseen: true}}}
				c.unseen[id] = true
			case 10:
				id := pick()
				e = Reported{Processor: c.running[id], ContainerID: id, Ended: true}
				if c.unseen[id] {
					delete(c.running, id)
				}
			default:
				e = Tick{}
			}
			c.now = now
			c.apply(t, m.Step(now, e))
			outstanding := 0
			for _, n := range c.asked {
				outstanding += n
			}
			if len(c.excluded) > outstanding && !m.Stopping() {
				t.Fatalf("%v are excluded with %d requests outstanding", c.excluded, outstanding)
			}
		}
		c.apply(t, m.Step(now, StopRequested{Reason: "end", Killed: true}))
		c.apply(t, m.Step(now.Add(p.StopTimeout), Tick{}))
		if !c.ended {
			t.Fatalf("a stop did not end: %+v", m.Processors())
		}
	})
}

// A cluster of 10,000 containers, each of which fails once.
func TestTenThousandContainers(t *testing.T) {
	const n = 10_000
	m := NewMachine(plan(n))
	m.Step(epoch, Started{})
	give := func(from int) {
		var cs []Allocation
		for i := range n {
			cs = append(cs, Allocation{ID: fmt.Sprintf("c%d", from+i), Host: fmt.Sprintf("h%d", i%100)})
		}
		m.Step(epoch, Allocated{cs})
		for _, c := range cs {
			m.Step(epoch, Launched{c.ID})
		}
	}
	give(0)
	var exits []Exit
	for i := range n {
		exits = append(exits, Exit{ContainerID: fmt.Sprintf("c%d", i), Status: 1})
	}
	m.Step(epoch, Completed{exits})
	give(n)
	if m.Needed() != 0 {
		t.Fatalf("%d containers are missing", m.Needed())
	}
	for _, p := range m.Processors() {
		if p.Attempts != 2 || p.Phase != Running {
			t.Fatalf("%+v", p)
		}
	}
}
