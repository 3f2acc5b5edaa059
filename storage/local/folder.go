package local

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

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
	// Under another name first: its lock is one of the files that go, and who takes
	// the folder then would lose the others one by one. What a crash leaves under that
	// name is none that anybody takes, and Clean removes it.
	gone := f.dir + "~gone-" + strings.ToLower(rand.Text()[:8])
	err := os.Rename(f.dir, gone)
	switch {
	case err == nil:
		err = os.RemoveAll(gone)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	return errors.Join(err, f.Close())
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
