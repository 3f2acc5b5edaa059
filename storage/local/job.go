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

func (j Job) log(id Identity) *slog.Logger {
	if j.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	log := j.Logger.With("store", id.Store)
	if id.Task != "" {
		log = log.With("task", id.Task)
	}
	return log
}

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

// maxBeside is how many folders of one task are tried.
const maxBeside = 64

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
