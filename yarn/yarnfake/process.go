package yarnfake

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/security"
)

// process is the group of processes of a container.
type process struct {
	pid     int
	signal  func(syscall.Signal)
	stopped bool
}

// terminate ends the processes of the container: SIGTERM, after the delay
// SIGKILL; with no delay SIGKILL at once.
func (k *container) terminate(delay time.Duration) {
	p := k.process
	if p == nil {
		return
	}
	if delay == 0 {
		p.stopped = true
		p.signal(syscall.SIGKILL)
		return
	}
	if p.stopped {
		return
	}
	p.stopped = true
	p.signal(syscall.SIGTERM)
	time.AfterFunc(delay, func() { p.signal(syscall.SIGKILL) })
}

// masterLaunch is the launch context of a master, with its token and what YARN tells it.
func (c *Cluster) masterLaunch(t *attempt) *pb.ContainerLaunchContextProto {
	l := t.app.submission.GetAmContainerSpec()
	creds := &security.Credentials{}
	if b := l.GetTokens(); len(b) > 0 {
		if given, err := security.DecodeCredentials(b); err == nil {
			creds = given
		}
	}
	creds.AddToken("", security.TokenFromProto(c.masterToken(t)))
	out := &pb.ContainerLaunchContextProto{
		LocalResources: l.GetLocalResources(), ServiceData: l.GetServiceData(), Command: l.GetCommand(), Tokens: creds.Encode(),
	}
	out.Environment = append(out.Environment, l.GetEnvironment()...)
	for _, kv := range [][2]string{
		{"APPLICATION_WEB_PROXY_BASE", "/proxy/" + t.app.id.String()},
		{"APP_SUBMIT_TIME_ENV", fmt.Sprint(t.app.submitted.UnixMilli())},
	} {
		out.Environment = append(out.Environment, &pb.StringStringMapProto{Key: &kv[0], Value: &kv[1]})
	}
	return out
}

// launch starts a container. What goes wrong is told as its end, as YARN does.
func (c *Cluster) launch(k *container, l *pb.ContainerLaunchContextProto) {
	k.state = started
	if c.o.NoProcesses {
		k.running = true
		return
	}
	c.wg.Go(func() {
		if err := c.prepare(k, l); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ended(k, yarn.ExitInvalid, err.Error())
			return
		}
		c.run(k)
	})
}

// prepare fills the working folder of a container.
func (c *Cluster) prepare(k *container, l *pb.ContainerLaunchContextProto) error {
	work, logs := k.node.workDir(k), k.node.logDir(k)
	for _, dir := range []string{work, filepath.Join(work, "tmp"), logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, r := range l.GetLocalResources() {
		if err := c.localize(k, work, r.GetKey(), r.GetValue()); err != nil {
			return err
		}
	}
	tokens := l.GetTokens()
	if len(tokens) == 0 {
		tokens = (&security.Credentials{}).Encode()
	}
	if err := os.WriteFile(filepath.Join(work, "container_tokens"), tokens, 0o600); err != nil {
		return err
	}
	script := launchScript(k, l)
	// YARN leaves a copy among the logs: what is secret in it leaks.
	if err := os.WriteFile(filepath.Join(logs, "launch_container.sh"), []byte(script), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "launch_container.sh"), []byte(script), 0o700) //nolint:gosec // a script
}

// run starts the process of a container and waits for its end.
func (c *Cluster) run(k *container) {
	work, logs := k.node.workDir(k), k.node.logDir(k)
	cmd := exec.Command("bash", filepath.Join(work, "launch_container.sh"))
	cmd.Dir = work
	// A NodeManager passes little of its own environment on.
	for _, name := range []string{"PATH", "LANG", "TZ", "JAVA_HOME"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// Pipes would keep Wait waiting for grandchildren: files do not.
	var files []*os.File
	for _, name := range []string{"prelaunch.out", "prelaunch.err"} {
		f, err := os.Create(filepath.Join(logs, name))
		if err != nil {
			break
		}
		defer f.Close()
		files = append(files, f)
	}
	if len(files) == 2 {
		cmd.Stdout, cmd.Stderr = files[0], files[1]
	}
	ownGroup(cmd)
	c.mu.Lock()
	if k.state == complete || c.closed {
		c.mu.Unlock()
		return
	}
	if err := cmd.Start(); err != nil {
		c.ended(k, yarn.ExitInvalid, err.Error())
		c.mu.Unlock()
		return
	}
	var gone atomic.Bool // then its number may be another's
	k.process = &process{pid: cmd.Process.Pid, signal: func(s syscall.Signal) {
		if !gone.Load() {
			signalGroup(cmd.Process, s)
		}
	}}
	k.running = true
	c.mu.Unlock()

	err := cmd.Wait()
	// What the process left behind in its group goes with it.
	signalGroup(cmd.Process, syscall.SIGKILL)
	gone.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	k.running = false
	exit := exitCode(cmd, err)
	c.ended(k, exit, strings.TrimSpace(k.killReason+"\n"+exitDiagnostics(k.id, logs, exit)))
}

// exitCode is the exit code as bash gives it: 128+n after signal n.
func exitCode(cmd *exec.Cmd, err error) yarn.ExitStatus {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return yarn.ExitInvalid
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return yarn.ExitStatus(128 + int(status.Signal()))
	}
	return yarn.ExitStatus(cmd.ProcessState.ExitCode())
}

// exitDiagnostics are a NodeManager's words, with the end of the error output.
func exitDiagnostics(id yarn.ContainerID, logs string, exit yarn.ExitStatus) string {
	switch exit {
	case 0:
		return ""
	case 128 + 9, 128 + 15:
		return fmt.Sprintf("Container killed on request. Exit code is %d\nContainer exited with a non-zero exit code %d. \nKilled by external signal", exit, exit)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Exception from container-launch.\nContainer id: %s\nExit code: %d\n", id, exit)
	for _, name := range []string{"prelaunch.err", "stderr"} {
		if tail, err := os.ReadFile(filepath.Join(logs, name)); err == nil && len(tail) > 0 {
			if len(tail) > 4096 {
				tail = tail[len(tail)-4096:]
			}
			fmt.Fprintf(&b, "\nLast 4096 bytes of %s :\n%s", name, tail)
		}
	}
	return b.String()
}
