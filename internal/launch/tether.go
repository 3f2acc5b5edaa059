package launch

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// EnvParent lists the file descriptors that a process got from the run-job that
// it must not outlive: first the reading end of a pipe that ends with run-job,
// then what is to stay open as long as the process lives.
const EnvParent = "HEDDLE_PARENT"

// Tether ties processes to this one: they notice when it is gone, however it
// ended, since the kernel then closes the pipe's other end.
type Tether struct {
	ours, theirs *os.File
	held         []*os.File
}

// NewTether makes a tether. The processes also hold the files open, and with
// them a lock on one.
func NewTether(held ...*os.File) (*Tether, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the job's processes: %w", err)
	}
	return &Tether{ours, theirs, held}, nil
}

// Hold adds a file that the processes hold open which are tied from now on.
func (t *Tether) Hold(f *os.File) { t.held = append(t.held, f) }

// Tie ties the process of a command that was not started yet.
func (t *Tether) Tie(cmd *exec.Cmd) {
	var numbers []string
	for _, f := range append([]*os.File{t.theirs}, t.held...) {
		numbers = append(numbers, strconv.Itoa(3+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, EnvParent+"="+strings.Join(numbers, ","))
}

// Close lets go: what is still tied takes it for the end of this process.
func (t *Tether) Close() {
	_ = t.ours.Close()
	_ = t.theirs.Close()
}

// Parent gives a channel that is closed when the process that this one is tied
// to is gone; nil if it is tied to none. It is called once, at the start: what
// this process starts itself inherits nothing of it.
func Parent() <-chan struct{} {
	value, ok := os.LookupEnv(EnvParent)
	if !ok {
		return nil
	}
	_ = os.Unsetenv(EnvParent)
	var fds []int
	for _, n := range strings.Split(value, ",") {
		fd, err := strconv.Atoi(n)
		if err != nil || fd < 3 {
			return nil
		}
		fds = append(fds, fd)
	}
	// Somebody may have passed on the environment without the files.
	var s syscall.Stat_t
	if err := syscall.Fstat(fds[0], &s); err != nil || s.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	gone := make(chan struct{})
	pipe := os.NewFile(uintptr(fds[0]), "the pipe from run-job")
	go func() {
		defer pipe.Close()
		// Nothing is ever written.
		_, _ = pipe.Read(make([]byte, 1))
		close(gone)
	}()
	return gone
}
