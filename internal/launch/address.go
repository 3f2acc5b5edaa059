package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Address says where a job that runs on this machine, not on a cluster, can be
// asked.
type Address struct {
	// URL is the coordinator's, "http://localhost:port/".
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// addressFile lies below heddle.home. name is "<job.name>_<job.id>".
func addressFile(home, name string) string { return FileOf(home, name, "address") }

// FileOf is a file of a job's run on this machine, below heddle.home.
func FileOf(home, name, kind string) string {
	safe := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r < ' ' {
			return '_'
		}
		return r
	}, name)
	return filepath.Join(home, "run", safe+"."+kind)
}

// TellAddress writes down where the job can be asked; forget takes it back.
func TellAddress(home, name, url string) (forget func(), err error) {
	file := addressFile(home, name)
	mine := Address{URL: url, PID: os.Getpid()}
	b, err := json.Marshal(mine)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		// A reader finds the old address or the new one, never half of it.
		part := fmt.Sprintf("%s.%d", file, mine.PID)
		if err = os.WriteFile(part, b, 0o600); err == nil {
			err = os.Rename(part, file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write down the job's address (heddle.home): %w", err)
	}
	return func() {
		if now, err := AddressOf(home, name); err == nil && now == mine {
			_ = os.Remove(file) // an address that leads nowhere is told apart by who asks
		}
	}, nil
}

// ErrNoAddress: no run of the job on this machine has written its address down.
var ErrNoAddress = errors.New("it does not run here")

// AddressOf reads where the job can be asked. The process may have ended
// meanwhile.
func AddressOf(home, name string) (Address, error) {
	file := addressFile(home, name)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return Address{}, ErrNoAddress
	}
	var a Address
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err == nil && a.URL == "" {
		err = errors.New("it holds no address")
	}
	if err != nil {
		return Address{}, fmt.Errorf("address of the job in %s: %w", file, err)
	}
	return a, nil
}
