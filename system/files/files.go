package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"heddle/yarn/hadoopconf"
)

// ErrUnreachable is in the errors of a file system that does not answer: the
// contract's exit code 3.
var ErrUnreachable = errors.New("cannot be reached")

// Entry is what a folder tells of one of the things in it.
type Entry struct {
	// Name is the last component of its path.
	Name string
	// Size is in bytes.
	Size int64
	// ModTime is when it was written last, by the clock of the file system.
	ModTime time.Time
	// Dir is true for a folder.
	Dir bool
}

// Stat is what YARN has to know of a file.
type Stat struct {
	// URI is the file's full name for the nodes: "hdfs://nn:9000/x.tar.gz".
	URI string
	// Size is in bytes; ModTime in milliseconds since the Unix epoch, which has
	// to be the file system's own to the millisecond (YARN compares it).
	Size, ModTime int64
	// Dir is true for a folder.
	Dir bool
}

// FileSystem is where files are put. Paths are absolute, with slashes.
type FileSystem interface {
	// Put writes a file, replacing one that is there, with these permissions,
	// and makes the folders above it (0700 for those it makes). It is there
	// whole or not at all: it is written under a name that IsTemporary, which is
	// left behind if the process ends meanwhile, and renamed. A content that is
	// Sized helps HDFS.
	Put(ctx context.Context, path string, content io.Reader, mode fs.FileMode) (Stat, error)
	Stat(ctx context.Context, path string) (Stat, error)
	Open(ctx context.Context, path string) (io.ReadCloser, error)
	// List gives what is in a folder, in no order; of one that is not there,
	// nothing.
	List(ctx context.Context, path string) ([]Entry, error)
	// Rename gives a file another name in one step, replacing what has it.
	Rename(ctx context.Context, from, to string) error
	// RemoveAll removes a file or folder with what is in it; one that is not there
	// is no error.
	RemoveAll(ctx context.Context, path string) error
	// Home is the user's folder.
	Home() string
	Close() error
}

// Sized is a content that knows its size in bytes.
type Sized interface {
	io.Reader
	Size() int64
}

// Options say as whom a file system is used.
type Options struct {
	// Conf is the cluster's configuration.
	Conf *hadoopconf.Conf
	// User is the name of the user without Kerberos (HADOOP_USER_NAME).
	User string
	// Timeout bounds the wait for a server's first answer; 0 means 10 s.
	Timeout time.Duration
	// Idle bounds the wait for each later answer of a server; 0 means 60 s.
	Idle time.Duration
}

func (o Options) idle() time.Duration {
	if o.Idle > 0 {
		return o.Idle
	}
	return time.Minute
}

func (o Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return 10 * time.Second
}

// Open gives the file system of a URI: hdfs:// or file://. An empty URI is the
// cluster's default file system (fs.defaultFS).
func Open(ctx context.Context, uri string, o Options) (FileSystem, error) {
	if uri == "" {
		uri = o.Conf.DefaultFS()
	}
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("%s: no URI of a file system: %w", uri, err)
	}
	switch u.Scheme {
	case "hdfs":
		return openHDFS(ctx, u, o)
	case "file", "":
		if u.Host != "" && u.Host != "localhost" {
			return nil, fmt.Errorf("%s: a file of this machine is file:///path; %q would be a host", uri, u.Host)
		}
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("file system of this machine: %w", err)
		}
		return Local{home: home}, nil
	}
	return nil, fmt.Errorf("%s: the file system %q is not one that Heddle can write to; use hdfs or file", uri, u.Scheme)
}

// Split parts a URI into that of its file system, as Open takes it, and the path
// in it. One without a scheme, or without a NameNode (hdfs:///path), lies on the
// cluster's default file system, as in Hadoop: "".
func Split(uri string) (system, path string, err error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%s: no URI of a file: %w", uri, err)
	case u.Host == "" && (u.Scheme == "" || u.Scheme == "hdfs"):
		return "", u.Path, nil
	}
	return u.Scheme + "://" + u.Host, u.Path, nil
}

// Join is the URI of a path in a file system, of which Split gives the two back.
func Join(system, path string) string {
	if scheme, rest, ok := strings.Cut(system, "://"); ok {
		return scheme + "://" + strings.TrimSuffix(rest, "/") + path
	}
	return strings.TrimSuffix(system, "/") + path
}

// The name of a file that is being written: a dot, the file's own name, a
// random part and the suffix.
const temporarySuffix = ".part"

// Temporary gives a path beside that of name which nobody else has, and whose
// file whoever tidies up removes when it is old.
func Temporary(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+"."+rand.Text()+temporarySuffix)
}

// IsTemporary tells if the name is one under which Put writes.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, temporarySuffix)
}

// Counted counts what is read through it, for progress.
type Counted struct {
	R io.Reader
	// Each is told the total after every read.
	Each func(total int64)
	n    int64
}

// Read reads from R.
func (c *Counted) Read(b []byte) (int, error) {
	n, err := c.R.Read(b)
	c.n += int64(n)
	if c.Each != nil && n > 0 {
		c.Each(c.n)
	}
	return n, err
}

// untilDone ends a copy with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// failed names the operation and the thing.
func failed(op, uri string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s %s: %w", op, uri, inSafeMode(err))
}
