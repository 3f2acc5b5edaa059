package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"heddle/config"
	"heddle/internal/launch"
	"heddle/job/pack"
	"heddle/job/program"
	"heddle/system/files"
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

// bundle is a job's package and where it is.
type bundle struct {
	// local is its file on this machine, to be uploaded; "" if it is in place.
	local  string
	remote launch.Package
}

// findPackage finds or makes the package and checks it.
func (j *Job) findPackage(ctx context.Context, c *Cluster, building io.Writer) (bundle, error) {
	setting := config.YarnPackagePath.Of(j.Config)
	key := config.YarnPackagePath.Name()
	fault := func(err error) error {
		return &config.Error{Key: key, Origin: j.Config.Origin(key), Problem: err.Error()}
	}
	if setting == "" {
		began := time.Now()
		file, err := j.Package(ctx, "", building)
		if err != nil {
			return bundle{}, err
		}
		info, err := os.Stat(file)
		if err != nil {
			return bundle{}, err
		}
		j.say.Step("package   %s, made in %.1f s", Bytes(info.Size()), time.Since(began).Seconds())
		return bundle{local: file}, nil
	}
	if local, ok := config.LocalPath(setting); ok {
		local = j.relative(local)
		f, err := os.Open(local)
		if err != nil {
			return bundle{}, fault(fmt.Errorf("package %s: %w; make one with run-job package", local, errors.Unwrap(err)))
		}
		defer f.Close()
		if err := pack.Check(f, local); err != nil {
			return bundle{}, fault(err)
		}
		return bundle{local: local}, nil
	}
	u, err := url.Parse(setting)
	if err != nil {
		return bundle{}, fault(fmt.Errorf("package %s: no URI: %w", setting, err))
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		size, err := checkHTTP(ctx, setting)
		var away *url.Error
		if errors.As(err, &away) {
			return bundle{}, refusedError{fault(fmt.Errorf("package %s: the server cannot be reached: %w; start it, or correct the address", setting, away.Err))}
		}
		if err != nil {
			return bundle{}, fault(err)
		}
		return bundle{remote: launch.Package{URL: setting, Size: size}}, nil
	}
	fs, err := c.stagingFS(ctx, fileSystemOf(u))
	if err != nil {
		if errors.Is(err, files.ErrUnreachable) {
			return bundle{}, err
		}
		return bundle{}, fault(err)
	}
	defer fs.Close()
	s, err := fs.Stat(ctx, u.Path)
	if err != nil {
		return bundle{}, fault(fmt.Errorf("package %s: not found (%w); upload it with run-job package --upload=%s", setting, err, setting))
	}
	r, err := fs.Open(ctx, u.Path)
	if err != nil {
		return bundle{}, fault(fmt.Errorf("package %s: %w", setting, err))
	}
	defer r.Close()
	if err := pack.Check(r, setting); err != nil {
		return bundle{}, fault(err)
	}
	return bundle{remote: launch.Package{URL: s.URI, Size: s.Size, Timestamp: s.ModTime}}, nil
}

// fileSystemOf is the part of a URI that names the file system; a URI without a
// host (hdfs:///path) means the cluster's default one, as in Hadoop: "".
func fileSystemOf(u *url.URL) string {
	if u.Scheme == "hdfs" && u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// checkHTTP reads as much of a package as shows that it is one.
func checkHTTP(ctx context.Context, address string) (size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, fmt.Errorf("package %s: %w", address, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("package %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("package %s: the server answered %s", address, resp.Status)
	}
	return resp.ContentLength, pack.Check(resp.Body, address)
}

// Upload puts a package on the cluster's file system, at a URI or, for "", into
// the application's staging folder.
func (j *Job) upload(ctx context.Context, fs files.FileSystem, local, to string) (launch.Package, error) {
	f, err := os.Open(local)
	if err != nil {
		return launch.Package{}, fmt.Errorf("package: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return launch.Package{}, fmt.Errorf("package: %w", err)
	}
	began := time.Now()
	rate := func(n int64) string {
		return Bytes(int64(float64(n)/max(time.Since(began).Seconds(), 0.001))) + "/s"
	}
	s, err := fs.Put(ctx, to, &files.Counted{R: f, Each: func(n int64) {
		j.say.Moving("upload    %s of %s, %s", Bytes(n), Bytes(info.Size()), rate(n))
	}}, 0o600)
	j.say.Done()
	if err != nil {
		return launch.Package{}, err
	}
	j.say.Step("upload    %s to %s in %.1f s, %s", Bytes(s.Size), s.URI, time.Since(began).Seconds(), rate(s.Size))
	return launch.Package{URL: s.URI, Size: s.Size, Timestamp: s.ModTime}, nil
}

// UploadPackage makes the package and puts it at a URI, for
// `run-job package --upload`.
func (j *Job) UploadPackage(ctx context.Context, c *Cluster, uri string, building io.Writer) error {
	u, err := url.Parse(uri)
	if err != nil || !slices.Contains([]string{"hdfs", "file"}, u.Scheme) || path.Base(u.Path) == "/" {
		return Usage("--upload=%s: give the URI of a file, as hdfs://namenode:8020/packages/job.tar.gz", uri)
	}
	local, err := j.Package(ctx, "", building)
	if err != nil {
		return err
	}
	fs, err := c.stagingFS(ctx, fileSystemOf(u))
	if err != nil {
		return err
	}
	defer fs.Close()
	_, err = j.upload(ctx, fs, local, u.Path)
	return err
}
