package launch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Claim is the right to run a job on this machine, or to change what its next
// run begins with: one process has it at a time. It is a lock on a file, which goes
// with the process and with those that hold the file (Tether), however they end.
// The file lies below heddle.home; a job on a Kafka that other folders use as well
// has a second one in the user's cache folder.
type Claim struct {
	file   *os.File
	holder Holder
}

// Holder is who has a job's claim, or had it last, in the claim's file.
type Holder struct {
	PID int `json:"pid"`
	// Doing is what it does; "" for running the job.
	Doing string `json:"doing,omitempty"`
	// Home is its heddle.home, an absolute path; only of a claim on a Kafka.
	Home string `json:"home,omitempty"`
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
// is ErrClaimed if it is held. name is "<job.name>_<job.id>".
func TakeClaim(home, name, doing string) (*Claim, error) {
	c, err := take(claimFile(home, name), Holder{PID: os.Getpid(), Doing: doing})
	return c, belowHome(err)
}

// belowHome adds to a failure which setting its file follows.
func belowHome(err error) error {
	if err == nil || errors.Is(err, ErrClaimed) {
		return err
	}
	return fmt.Errorf("%w (below heddle.home)", err)
}

// TakeClaimOn is TakeClaim for a job whose place is in a Kafka, by that cluster's
// id: from whatever folder it is started.
func TakeClaimOn(cluster, home, name, doing string) (*Claim, error) {
	path, err := claimFileOn(cluster, name)
	if err == nil {
		home, err = filepath.Abs(home)
	}
	if err != nil {
		return nil, fmt.Errorf("claim of the job: %w", err)
	}
	return take(path, Holder{PID: os.Getpid(), Doing: doing, Home: home})
}

func claimFile(home, name string) string { return FileOf(home, name, "claim") }

// claimFileOn names the cluster by a hash: an id may be anything.
func claimFileOn(cluster, name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(cluster))
	return claimFile(filepath.Join(dir, "heddle"), name+"-"+hex.EncodeToString(sum[:8])), nil
}

func take(path string, holder Holder) (*Claim, error) {
	for {
		c, err := lock(path, holder)
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
		return nil, fmt.Errorf("claim of the job: %w", err)
	}
}

func lock(path string, holder Holder) (*Claim, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("claim of the job: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrClaimed
		}
		return nil, fmt.Errorf("claim of the job: lock of %s: %w", path, err)
	}
	return &Claim{f, holder}, nil
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
		return fmt.Errorf("claim of the job: %w", err)
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
	h, held, err = holderIn(claimFile(home, name))
	return h, held, belowHome(err)
}

// HolderOn is HolderOf for TakeClaimOn.
func HolderOn(cluster, name string) (h Holder, held bool, err error) {
	path, err := claimFileOn(cluster, name)
	if err != nil {
		return h, false, fmt.Errorf("claim of the job: %w", err)
	}
	return holderIn(path)
}

func holderIn(path string) (h Holder, held bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("claim of the job: %w", err)
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if held = errors.Is(err, syscall.EWOULDBLOCK); err != nil && !held {
		return h, false, fmt.Errorf("claim of the job: lock of %s: %w", path, err)
	}
	// The first value: behind it may be the rest of a longer one that is being
	// written over. What cannot be read names nobody.
	if err := json.NewDecoder(io.LimitReader(f, 1<<16)).Decode(&h); err != nil {
		return Holder{}, held, nil //nolint:nilerr // see above
	}
	return h, held, nil
}
