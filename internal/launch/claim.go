package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Claim is the right to run a job on this machine, or to change what its next
// run begins with: one process has it at a time. It is a lock on a file below
// heddle.home, which goes with the process and with those that hold the file
// (Tether), however they end.
type Claim struct {
	file   *os.File
	holder Holder
}

// Holder is who has a job's claim, or had it last, in the claim's file.
type Holder struct {
	PID int `json:"pid"`
	// Doing is what it does; "" for running the job.
	Doing string `json:"doing,omitempty"`
	// Ended: it has come to its end, with this exit code; Error says why, unless
	// somebody else did.
	Ended bool   `json:"ended,omitempty"`
	Code  int    `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// Alive says if the process runs and has not come to its end.
func (h Holder) Alive() bool {
	return h.PID > 0 && !h.Ended && Runs(h.PID)
}

// Runs says if there is such a process, and it has not ended: one that has, and
// whose parent has not looked (a shell that is busy, a container without an init),
// still has its number.
func Runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	// "12 (a name) Z ...", on Linux; elsewhere the number alone tells.
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	return !bytes.HasPrefix(state, []byte("Z")) && !bytes.HasPrefix(state, []byte("X"))
}

// ErrClaimed: another process, or one that it left, has the claim.
var ErrClaimed = errors.New("the job runs already on this machine")

// TakeClaim takes a job's claim, also one that a dead process has left; the error
// is ErrClaimed if it is held.
func TakeClaim(home, name, doing string) (*Claim, error) {
	path := FileOf(home, name, "claim")
	for {
		c, err := takeClaim(path, doing)
		if err != nil {
			return nil, err
		}
		// One that was withdrawn between the opening and the lock is no claim.
		mine, err := c.file.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Stat(path); err == nil && os.SameFile(mine, there) {
				err = c.write()
				if err == nil {
					return c, nil
				}
			} else if err == nil || errors.Is(err, os.ErrNotExist) {
				_ = c.file.Close()
				continue
			}
		}
		_ = c.file.Close()
		return nil, fmt.Errorf("claim of the job (heddle.home): %w", err)
	}
}

func takeClaim(path, doing string) (*Claim, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("claim of the job (heddle.home): %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrClaimed
		}
		return nil, fmt.Errorf("claim of the job: lock of %s (heddle.home): %w", path, err)
	}
	return &Claim{f, Holder{PID: os.Getpid(), Doing: doing}}, nil
}

func (c *Claim) write() error {
	b, err := json.Marshal(c.holder)
	if err == nil {
		_, err = c.file.WriteAt(append(b, '\n'), 0)
	}
	if err == nil {
		err = c.file.Truncate(int64(len(b)) + 1)
	}
	return err
}

// File is what a process holds that is part of the run.
func (c *Claim) File() *os.File { return c.file }

// End gives the claim back, and leaves how it ended for those who ask.
func (c *Claim) End(code int, text string) error {
	c.holder.Ended, c.holder.Code, c.holder.Error = true, code, text
	if err := errors.Join(c.write(), c.file.Close()); err != nil {
		return fmt.Errorf("claim of the job (heddle.home): %w", err)
	}
	return nil
}

// Withdraw gives the claim back as if it had not been taken: nothing is left of
// it.
func (c *Claim) Withdraw() {
	_ = os.Remove(c.file.Name())
	_ = c.file.Close()
}

// HolderOf reads who has a job's claim, or had it last, and whether it is held
// now. The zero Holder means that nobody can be named.
func HolderOf(home, name string) (h Holder, held bool, err error) {
	f, err := os.Open(FileOf(home, name, "claim"))
	if errors.Is(err, os.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("claim of the job (heddle.home): %w", err)
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if held = errors.Is(err, syscall.EWOULDBLOCK); err != nil && !held {
		return h, false, fmt.Errorf("claim of the job: lock of %s (heddle.home): %w", f.Name(), err)
	}
	// The first value: behind it may be the rest of a longer one that is being
	// written over. What cannot be read names nobody.
	if err := json.NewDecoder(io.LimitReader(f, 1<<16)).Decode(&h); err != nil {
		return Holder{}, held, nil //nolint:nilerr // see above
	}
	return h, held, nil
}
