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
	"slices"
	"time"

	"heddle/config"
	"heddle/internal/launch"
	"heddle/job/pack"
	"heddle/system/files"
)

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
		local = j.Config.Beside(key, local)
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
