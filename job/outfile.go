package job

import (
	"errors"
	"os"
)

// OutFile is a file that is there as a whole or not at all.
type OutFile struct {
	*os.File
	path string
}

// CreateOut begins a file.
func CreateOut(path string) (*OutFile, error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, Usage("--out: %w", err)
	}
	return &OutFile{f, path}, nil
}

// Done ends the file: with an error what was written is removed.
func (f *OutFile) Done(err error) error {
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
