package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// component lies between the base and the jobs' folders.
const component = "heddle-v1"

// The environment that says where state lies.
const (
	// EnvBase wins over everything (Samza: LOGGED_STORE_BASE_DIR).
	EnvBase = "LOGGED_STORE_BASE_DIR"
	// EnvLocalDirs is set by YARN's NodeManager: the application's folder on each
	// of the node's disks, parted by commas. They outlive containers, but not the
	// application.
	EnvLocalDirs = "LOCAL_DIRS"
)

// Base gives the folder below which state with a changelog lies: that of the
// environment, else the configured one (job.logged.store.base.dir), else on
// YARN the first of the application's folders that can be written to, else
// home.
func Base(getenv func(string) string, configured, home string) (string, error) {
	if dir := getenv(EnvBase); dir != "" {
		return dir, nil
	}
	if configured != "" {
		return configured, nil
	}
	dirs := getenv(EnvLocalDirs)
	if dirs == "" {
		return home, nil
	}
	var reasons []string
	for dir := range strings.SplitSeq(dirs, ",") {
		if dir = strings.TrimSpace(dir); dir == "" {
			continue
		}
		err := usable(dir)
		if err == nil {
			return dir, nil
		}
		reasons = append(reasons, err.Error())
	}
	return "", fmt.Errorf("none of the node's folders (%s) can be written to; set job.logged.store.base.dir: %s", EnvLocalDirs, strings.Join(reasons, "; "))
}

// usable tries to write below dir.
func usable(dir string) error {
	dir = filepath.Join(dir, component)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Remove(f.Name())
}

// share makes the folder of all jobs below a base. Where others may write to the
// base, as where jobs of several users have their state, they may to this one,
// too, but not to each other's folders: without that the first user who came
// would keep all others out.
func share(base string) error {
	info, err := os.Stat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it will be this user's alone
	}
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 == 0 {
		return err
	}
	dir := filepath.Join(base, component)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return os.Chmod(dir, info.Mode().Perm()|info.Mode()&fs.ModeSetgid|fs.ModeSticky)
}

// maxName is what file systems allow for one component of a path, less what is
// added to it.
const maxName = 200

// fileName spells the name of a store or a task as a file's: as Samza does,
// with _ for blanks; what cannot be in a file's name is written as %XX.
func fileName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == ' ':
			b.WriteByte('_')
		case c == '/', c == '%', c == '~', c < ' ', c == 0x7f, c == '.' && i == 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	s := b.String()
	if s == "" {
		return "%"
	}
	if len(s) > maxName {
		s = s[:maxName-9] + "%" + checksum([]byte(name))
	}
	return s
}
