package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// HDFS is a Hadoop file system.
type HDFS struct {
	sessions
	base string // "hdfs://nn:9000", before every path
	user string
}

func openHDFS(ctx context.Context, u *url.URL, o Options) (*HDFS, error) {
	base := u.Scheme + "://" + u.Host
	addresses := o.Conf.NameNodes(base)
	if len(addresses) == 0 && u.Host != "" {
		addresses = []string{u.Host}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%s: no NameNode is named; set fs.defaultFS in core-site.xml", base)
	}
	if v, _ := o.Conf.Get("hadoop.security.authentication"); strings.EqualFold(v, "kerberos") {
		return nil, fmt.Errorf("%s: the cluster wants Kerberos (hadoop.security.authentication in %s), which is not supported yet",
			base, o.Conf.Origin("hadoop.security.authentication"))
	}
	// A NameNode that does not answer must not hang the submit: the dial is
	// bounded, and so is the time until it is known to answer.
	dial := dialer(o.timeout(), o.idle())
	byName, _ := o.Conf.Bool("dfs.client.use.datanode.hostname", false)
	again := func() (*session, error) {
		return connect(hdfs.ClientOptions{Addresses: addresses, User: o.User, UseDatanodeHostname: byName}, dial)
	}
	type opened struct {
		session *session
		err     error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := again()
		if err == nil {
			_, err = s.client.Stat("/")
			if err != nil {
				s.client.Close()
			}
		}
		done <- opened{s, err}
	}()
	began := time.Now()
	timeout := time.NewTimer(o.timeout() * time.Duration(len(addresses)))
	defer timeout.Stop()
	var err error
	select {
	case r := <-done:
		if r.err == nil {
			return &HDFS{sessions: sessions{connect: again, current: r.session}, base: base, user: o.User}, nil
		}
		err = r.err
	case <-timeout.C:
		err = errors.New("no answer")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("NameNode %s (fs.defaultFS in %s) %w, tried for %s: %v; start HDFS, or correct the address",
		strings.Join(addresses, ", "), o.Conf.Origin("fs.defaultFS"), ErrUnreachable, time.Since(began).Round(100*time.Millisecond), err)
}

// inSafeMode says what to do about a NameNode that takes no changes.
func inSafeMode(err error) error {
	var remote hdfs.Error
	if !errors.As(err, &remote) || !strings.HasSuffix(remote.Exception(), ".SafeModeException") {
		return err
	}
	return fmt.Errorf("HDFS is in safe mode and takes no changes; after its start it leaves that by itself when the DataNodes have reported, "+
		"otherwise by hdfs dfsadmin -safemode leave: %w", err)
}

// Put writes under a temporary name and renames, so that nobody sees half a
// file.
func (h *HDFS) Put(ctx context.Context, name string, content io.Reader, mode fs.FileMode) (Stat, error) {
	// What follows cannot be asked twice; this shows if the NameNode is there.
	err := h.ask(func(c *hdfs.Client) error { return c.MkdirAll(path.Dir(name), 0o700) })
	if err != nil {
		return Stat{}, failed("make the folder", h.base+path.Dir(name), err)
	}
	s, err := h.get()
	if err != nil {
		return Stat{}, failed("write", h.base+name, err)
	}
	tmp := Temporary(name)
	if err = write(ctx, s.client, tmp, content, mode); err == nil {
		err = s.client.Rename(tmp, name) // replaces a file that is there
	}
	if err != nil {
		_ = h.RemoveAll(ctx, tmp) // the error is what counts
		return Stat{}, failed("write", h.base+name, err)
	}
	return h.Stat(ctx, name)
}

// Blocks of the files that are written here, and how long the NameNode may take
// to hear of them.
const (
	// oneBlock is more than a package has, of which nobody tells the size. The client of HDFS loses a file's last
	// block when the NameNode has not heard of the one before it at the first try
	// to close the file: every later try then fails alike. With one block there
	// is none before it.
	oneBlock      = 256 << 20
	reportedAfter = time.Minute
)

// blockFor is the size of a block that the content fits in.
func blockFor(content io.Reader, usual int64) int64 {
	const step = 1 << 20 // blocks are multiples of what one checksum is for
	if c, ok := content.(Sized); ok {
		return max(usual, (c.Size()+step-1)/step*step)
	}
	return max(usual, oneBlock)
}

func write(ctx context.Context, c *hdfs.Client, name string, content io.Reader, mode fs.FileMode) error {
	defaults, err := c.ServerDefaults()
	if err != nil {
		return err
	}
	w, err := c.CreateFile(name, defaults.Replication, blockFor(content, defaults.BlockSize), mode)
	if err != nil {
		return err
	}
	// The NameNode's umask may have taken some of the permissions; they are set
	// before the first byte: a secret is never readable by others, not even for a
	// moment.
	if err := c.Chmod(name, mode); err != nil {
		w.Close()
		return err
	}
	if _, err := io.Copy(w, &untilDone{ctx, content}); err != nil {
		w.Close()
		return err
	}
	limit := time.NewTimer(reportedAfter)
	defer limit.Stop()
	for {
		err := w.Close()
		if !hdfs.IsErrReplicating(err) {
			return err
		}
		// The DataNodes have the blocks, the NameNode has not heard it yet.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("the DataNodes did not report the blocks to the NameNode within %s; see that they are healthy, and try again", reportedAfter)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stat describes a file.
func (h *HDFS) Stat(_ context.Context, name string) (Stat, error) {
	var info fs.FileInfo
	err := h.ask(func(c *hdfs.Client) (err error) {
		info, err = c.Stat(name)
		return err
	})
	if err != nil {
		return Stat{}, failed("stat", h.base+name, err)
	}
	return Stat{URI: h.base + name, Size: info.Size(), ModTime: info.ModTime().UnixMilli(), Dir: info.IsDir()}, nil
}

// Open reads a file.
func (h *HDFS) Open(_ context.Context, name string) (io.ReadCloser, error) {
	var r *hdfs.FileReader
	err := h.ask(func(c *hdfs.Client) (err error) {
		r, err = c.Open(name)
		return err
	})
	if err != nil {
		return nil, failed("open", h.base+name, err)
	}
	return r, nil
}

// List gives what is in a folder.
func (h *HDFS) List(_ context.Context, name string) ([]Entry, error) {
	var infos []fs.FileInfo
	err := h.ask(func(c *hdfs.Client) (err error) {
		infos, err = c.ReadDir(name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("list", h.base+name, err)
	}
	entries := make([]Entry, len(infos))
	for i, info := range infos {
		entries[i] = Entry{Name: info.Name(), Size: info.Size(), ModTime: info.ModTime(), Dir: info.IsDir()}
	}
	return entries, nil
}

// Rename gives a file another name.
func (h *HDFS) Rename(_ context.Context, from, to string) error {
	// A rename cannot be asked twice; this shows if the NameNode is there.
	err := h.ask(func(c *hdfs.Client) error {
		_, err := c.Stat(from)
		return err
	})
	if err == nil {
		var s *session
		if s, err = h.get(); err == nil {
			err = s.client.Rename(from, to)
		}
	}
	if err != nil {
		return failed("rename", h.base+from, err)
	}
	return nil
}

// RemoveAll removes a file or a folder with what is in it.
func (h *HDFS) RemoveAll(_ context.Context, name string) error {
	err := h.ask(func(c *hdfs.Client) error { return c.RemoveAll(name) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", h.base+name, err)
	}
	return nil
}

// Home is /user/<user>.
func (h *HDFS) Home() string { return "/user/" + h.user }

// Close ends the connections.
func (h *HDFS) Close() error { return h.close() }
