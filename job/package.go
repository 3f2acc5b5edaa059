package job

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"heddle/config"
	"heddle/job/pack"
	"heddle/job/program"
)

// Package makes the job's package: the static Linux binaries of the application
// master and of the user's program, and the configuration without its secrets.
// file is where it is written; "" for a place below heddle.home.
func (j *Job) Package(ctx context.Context, file string, building io.Writer) (string, error) {
	p, err := j.findProgram()
	if err != nil {
		return "", err
	}
	key, err := p.Key()
	if err != nil {
		return "", err
	}
	home, err := filepath.Abs(filepath.Join(j.home(), "package"))
	if err != nil {
		return "", err
	}
	base, err := j.packageBase(ctx, filepath.Join(home, key), p, building)
	if err != nil {
		return "", err
	}
	if file == "" {
		file = filepath.Join(home, j.Name()+".tar.gz")
	}
	return file, pack.Create(file, base, []pack.File{{Name: "config/job.properties", Content: properties(j.Config.WithoutSecrets())}})
}

// packageBase builds the programs of a package below dir, for all jobs of the
// program, and compresses them.
func (j *Job) packageBase(ctx context.Context, dir string, p program.Program, building io.Writer) (string, error) {
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	target := program.Target{OS: "linux", Arch: runtime.GOARCH, Strip: true}
	var master string
	masterBuilt := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		var err error
		master, err = j.masterBinary(ctx, dir, p, target, building)
		masterBuilt <- err
	}()
	user, err := userBinary(ctx, dir, p, target, building)
	if err != nil {
		cancel()
	}
	// The user's own mistake is the one to show.
	if masterErr := <-masterBuilt; err == nil {
		err = masterErr
	}
	if err != nil {
		return "", err
	}
	return pack.Base(dir, []pack.File{
		{Name: pack.AM, Path: master, Executable: true},
		{Name: pack.Container, Path: user, Executable: true},
	})
}

// userBinary builds the program with the tasks, or takes the one that is named.
func userBinary(ctx context.Context, out string, p program.Program, target program.Target, building io.Writer) (string, error) {
	if p.Binary != "" {
		if err := pack.CheckBinary(p.Binary); err != nil {
			return "", usageError{fmt.Errorf("heddle.task.program: %w", err)}
		}
		return p.Binary, nil
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return "", err
	}
	file := filepath.Join(out, "run-container")
	if err := program.Build(ctx, dir, ".", file, target, building); err != nil {
		return "", usageError{err}
	}
	return file, nil
}

// lock keeps other processes out until its result is called: two submits at the
// same moment must not build into each other's files.
func lock(file string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("folder for the package (heddle.home): %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock of the package (heddle.home): %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock of the package %s: %w", file, err)
	}
	return func() { _ = f.Close() }, nil
}

// masterBinary builds run-am, or takes the one beside run-job in a package.
func (j *Job) masterBinary(ctx context.Context, cache string, p program.Program, t program.Target, building io.Writer) (string, error) {
	installed := filepath.Join(j.place.Installed, "run-am")
	if j.place.Checkout == "" {
		if _, err := os.Stat(installed); err == nil {
			return installed, nil
		}
	}
	dir := j.place.Checkout
	if dir == "" {
		dir = p.Dir
	}
	if dir == "" {
		return "", Usage("package: there is neither a run-am beside run-job nor a checkout to build it from")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	out := filepath.Join(cache, "run-am")
	if err := program.Build(ctx, dir, "heddle/cmd/run-am", out, t, building); err != nil {
		return "", usageError{err}
	}
	return out, nil
}

// properties writes a configuration as a properties file, for people: the
// containers get theirs from the coordinator.
func properties(c config.Config) []byte {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	key := strings.NewReplacer(`\`, `\\`, "=", `\=`, ":", `\:`, " ", `\ `, "#", `\#`, "!", `\!`)
	var b []byte
	for _, k := range c.Keys() {
		v, _ := c.Get(k)
		v = escape.Replace(v)
		if strings.HasPrefix(v, " ") {
			v = `\` + v
		}
		b = fmt.Appendf(b, "%s=%s\n", key.Replace(k), v)
	}
	return b
}
