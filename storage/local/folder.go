package local

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Job is where the state of one job lies.
type Job struct {
	// Base is the folder of Base; relative ones lie in the current folder.
	Base string
	// Name and ID are job.name and job.id.
	Name, ID string
	// Logger hears of what is not used and what is removed.
	Logger *slog.Logger
}

// Dir is the job's folder.
func (j Job) Dir() string {
	return filepath.Join(j.Base, component, fileName(j.Name+"-"+j.ID))
}

// Copies is the folder for copies of the stores, on the same disk, until somebody
// has read them.
func (j Job) Copies() string {
	// No job's folder begins with a dot.
	return filepath.Join(j.Base, component, ".copies-"+fileName(j.Name+"-"+j.ID))
}

func (j Job) task(store, task string) string {
	return filepath.Join(j.Dir(), fileName(store), fileName(task))
}

// Files in a folder.
const (
	lockFile     = "LOCK"
	identityName = "IDENTITY"
	damagedFile  = "DAMAGED"
	stateFolder  = "state"
	stagedFolder = "staged"
)

// Folder is where the state of one store of one task lies, while this process
// uses it.
type Folder struct {
	dir  string
	id   Identity
	lock *os.File
	// Fresh tells that State is empty.
	Fresh bool
}

// maxBeside is how many folders of one task are tried.
const maxBeside = 64

// Open takes the folder of a store and a task. If a living process has it,
// another one beside it is taken, which is fresh. What is found in it and is
// not of id is not used: it is moved aside if it is another's, or removed.
func (j Job) Open(id Identity) (*Folder, error) {
	id.JobName, id.JobID = j.Name, j.ID
	main := j.task(id.Store, id.Task)
	if err := share(j.Base); err != nil {
		return nil, fmt.Errorf("folder %s: %w", main, err)
	}
	dir := main
	for n := 2; ; n++ {
		f, err := take(dir, id)
		switch {
		case err == nil:
			if err := j.settle(f, dir != main); err != nil {
				return nil, errors.Join(fmt.Errorf("folder %s: %w", dir, err), f.Close())
			}
			if f.lock == nil { // it was moved aside
				n--
				continue
			}
			return f, nil
		case !errors.Is(err, errHeld) || n > maxBeside:
			return nil, fmt.Errorf("folder %s: %w", dir, err)
		}
		if dir == main {
			j.log(id).Warn("the local state is in use by a living process and is left alone; a fresh folder beside it is used",
				"folder", dir, "process", holder(dir))
		}
		dir = main + "~" + strconv.Itoa(n)
	}
}

func (j Job) log(id Identity) *slog.Logger {
	if j.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return j.Logger.With("store", id.Store)
}

// settle looks at what lies in a folder that was just taken. f.lock is nil
// afterwards if the folder was moved aside.
func (j Job) settle(f *Folder, beside bool) error {
	if beside {
		return f.Reset()
	}
	b, err := os.ReadFile(filepath.Join(f.dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return f.Reset() // new, or left while it was made
	}
	if err != nil {
		return err
	}
	if why, err := os.ReadFile(filepath.Join(f.dir, damagedFile)); err == nil {
		j.log(f.id).Warn("the local state was found damaged and is removed", "folder", f.dir, "why", strings.TrimSpace(string(why)))
		return f.Reset()
	}
	got, err := decodeIdentity(b)
	switch {
	case err != nil:
		j.log(f.id).Warn("the local state is not used, for nothing tells whose it is; it is removed",
			"folder", f.dir, "file", identityName, "why", err.Error())
		return f.Reset()
	case got == f.id:
		empty, err := isEmpty(f.State())
		f.Fresh = empty
		return err
	case f.id.sameStore(got):
		j.log(f.id).Warn("the local state is another one than this store's and is removed", "folder", f.dir, "why", f.id.differences(got))
		return f.Reset()
	}
	aside, err := f.moveAside()
	if err == nil {
		j.log(f.id).Warn("the local state is another's and is not used; it was moved aside", "folder", f.dir, "to", aside, "why", f.id.differences(got))
	}
	return err
}

// moveAside renames the folder and gives it up.
func (f *Folder) moveAside() (string, error) {
	var err error
	for n := 1; n <= maxBeside; n++ {
		aside := f.dir + "~other-" + strconv.Itoa(n)
		if _, e := os.Lstat(aside); e == nil {
			continue
		}
		if err = os.Rename(f.dir, aside); err == nil {
			return aside, f.Close()
		}
	}
	if err == nil {
		err = fmt.Errorf("there are %d of others beside it already; remove them", maxBeside)
	}
	return "", err
}

func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return len(entries) == 0, err
}

// State is the folder for the engine's files. It need not exist.
func (f *Folder) State() string { return filepath.Join(f.dir, stateFolder) }

// Identity is whose state it is.
func (f *Folder) Identity() Identity { return f.id }

// Reset removes the state. The engine has to be closed.
func (f *Folder) Reset() error {
	// The identity goes first and comes last: a folder that is left in between
	// is none that anybody trusts.
	for _, name := range []string{identityName, stateFolder, stagedFolder, damagedFile} {
		if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
			return err
		}
	}
	b, err := encodeIdentity(f.id)
	if err != nil {
		return err
	}
	f.Fresh = true
	return writeFile(filepath.Join(f.dir, identityName), b)
}

// Staging gives an empty folder beside State, on the same disk, whose content
// becomes the state by Adopt.
func (f *Folder) Staging() (string, error) {
	dir := filepath.Join(f.dir, stagedFolder)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o700)
}

// Adopt makes what is in the folder of Staging the state. The engine has to be
// closed.
func (f *Folder) Adopt() error {
	if err := os.RemoveAll(f.State()); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(f.dir, stagedFolder), f.State()); err != nil {
		return err
	}
	f.Fresh = false
	return nil
}

// Condemn keeps the state from being used at the next start. Where the folder
// has been removed there is none.
func (f *Folder) Condemn(why string) error {
	err := writeFile(filepath.Join(f.dir, damagedFile), []byte(why+"\n"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close gives the folder up; what it holds stays.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close() // which unlocks it
	f.lock = nil
	return err
}

// Remove removes the folder and gives it up. The engine has to be closed.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.dir)
	return errors.Join(err, f.Close())
}

var errHeld = errors.New("a living process uses it")

// take makes the folder if need be and locks it; errHeld if another has it.
func take(dir string, id Identity) (*Folder, error) {
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by who cleans
		}
		if err != nil {
			return nil, err
		}
		ok, err := hold(lock)
		if ok {
			if err := lock.Truncate(0); err == nil {
				// Only for messages.
				_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
			}
			return &Folder{dir: dir, id: id, lock: lock}, nil
		}
		_ = lock.Close() // it was not taken
		if err != nil {
			return nil, err
		}
	}
}

// hold locks the file; ok is false without an error if it is not the folder's
// any more by then.
func hold(lock *os.File) (ok bool, err error) {
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, errHeld
		}
		return false, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	held, err := lock.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(lock.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, there), err
}

// holder is the process that says it has the folder.
func holder(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil || len(b) > 20 || len(b) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// writeFile replaces a file, whole or not at all.
func writeFile(name string, b []byte) (err error) {
	f, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}

// Clean removes the job's folders that nobody uses now and that are of no use:
// those whose store and task are no longer the job's (keep says so), those
// beside another, and those that nothing was written to for longer than
// retention allows. It removes what it can and warns of the rest.
func (j Job) Clean(keep func(Identity) bool, retention func(store string) time.Duration, now time.Time) {
	stores, err := os.ReadDir(j.Dir())
	if err != nil {
		return // nothing there
	}
	for _, store := range stores {
		dir := filepath.Join(j.Dir(), store.Name())
		tasks, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, task := range tasks {
			if task.IsDir() {
				j.clean(filepath.Join(dir, task.Name()), keep, retention, now)
			}
		}
		_ = os.Remove(dir) // if it is empty
	}
}

func (j Job) clean(dir string, keep func(Identity) bool, retention func(string) time.Duration, now time.Time) {
	f, err := take(dir, Identity{})
	if err != nil {
		return // in use, or not ours to touch
	}
	why := obsolete(dir, keep, retention, now)
	if why == "" {
		_ = f.Close() // it was only looked at
		return
	}
	log := j.log(Identity{Store: filepath.Base(filepath.Dir(dir))})
	if err := f.Remove(); err != nil {
		log.Warn("old local state cannot be removed", "folder", dir, "error", err)
		return
	}
	log.Info("old local state removed", "folder", dir, "why", why)
}

func obsolete(dir string, keep func(Identity) bool, retention func(string) time.Duration, now time.Time) string {
	age := now.Sub(newest(dir))
	b, err := os.ReadFile(filepath.Join(dir, identityName))
	if err != nil {
		return "it was left while it was made"
	}
	id, err := decodeIdentity(b)
	limit := unknownRetention
	if err == nil {
		limit = retention(id.Store)
	}
	aside := strings.Contains(filepath.Base(dir), "~other-")
	switch {
	case age > limit:
		return fmt.Sprintf("nothing was written to it for %v", age.Round(time.Minute))
	case err != nil || aside:
		return ""
	case !keep(id):
		return fmt.Sprintf("the job has no store %q with a task %q any more", id.Store, id.Task)
	case strings.Contains(filepath.Base(dir), "~"):
		return "it was beside another that was in use"
	}
	return ""
}

// unknownRetention is how long what nobody can read is kept.
const unknownRetention = 24 * time.Hour

// newest is when something in a folder was written last.
func newest(dir string) time.Time {
	var at time.Time
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be seen does not count
		}
		// To look into a folder is to lock it, which is no sign of use.
		if d.Name() == lockFile || d.IsDir() {
			return nil
		}
		if i, err := d.Info(); err == nil && i.ModTime().After(at) {
			at = i.ModTime()
		}
		return nil
	})
	return at
}
