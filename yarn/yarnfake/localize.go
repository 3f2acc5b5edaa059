package yarnfake

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"heddle/yarn/internal/pb"
)

// localize brings a resource into the application's folder on the node and links
// it into the working folder, by the rules of a NodeManager.
func (c *Cluster) localize(k *container, work, key string, r *pb.LocalResourceProto) error {
	u := r.GetResource()
	if !filepath.IsLocal(key) {
		return fmt.Errorf("local resource %q leaves the working directory", key)
	}
	cache := filepath.Join(filepath.Dir(work), "filecache", k.id.String(), strconv.Itoa(len(key))+"-"+filepath.Base(key))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	name := filepath.Base(u.GetFile())
	source, err := fetchResource(u, r.GetTimestamp(), r.GetVisibility())
	if err != nil {
		return fmt.Errorf("Failed to download resource { %s }: %w", resourceURL(u), err)
	}
	defer source.Close()
	target := filepath.Join(cache, name)
	if r.GetType() == pb.LocalResourceTypeProto_ARCHIVE && isTar(name) {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := untar(source, name, target); err != nil {
			return fmt.Errorf("Failed to download resource { %s }: %w", resourceURL(u), err)
		}
	} else if err := writeAll(target, source, 0o555); err != nil {
		return err
	}
	link := filepath.Join(work, key)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, link)
}

func isTar(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar")
}

func resourceURL(u *pb.URLProto) string {
	host := u.GetHost()
	if u.GetPort() > 0 {
		host = net.JoinHostPort(host, strconv.Itoa(int(u.GetPort())))
	}
	return u.GetScheme() + "://" + host + u.GetFile()
}

func fetchResource(u *pb.URLProto, timestamp int64, visibility pb.LocalResourceVisibilityProto) (io.ReadCloser, error) {
	changed := func(now int64) error {
		return fmt.Errorf("Resource %s changed on src filesystem - expected: %d, was: %d", resourceURL(u), timestamp, now)
	}
	switch u.GetScheme() {
	case "file":
		f, err := os.Open(u.GetFile())
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && info.ModTime().UnixMilli() != timestamp {
			err = changed(info.ModTime().UnixMilli())
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	case "http":
		if visibility == pb.LocalResourceVisibilityProto_PUBLIC {
			return nil, errors.New("Resource is not publicly accessible and as such cannot be part of the public cache")
		}
		if timestamp != 0 {
			return nil, changed(0)
		}
		resp, err := http.Get(resourceURL(u))
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("server returned HTTP response code: %d for URL: %s", resp.StatusCode, resourceURL(u))
		}
		return resp.Body, nil
	}
	return nil, fmt.Errorf("No FileSystem for scheme %q (yarnfake knows file and http)", u.GetScheme())
}

func writeAll(path string, source io.Reader, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Close())
}

// untar unpacks an archive into dir, and nothing outside of it.
func untar(source io.Reader, name, dir string) error {
	if !strings.HasSuffix(name, ".tar") {
		z, err := gzip.NewReader(source)
		if err != nil {
			return err
		}
		source = z
	}
	in := tar.NewReader(source)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) && h.Name != "./" {
			return fmt.Errorf("entry %q leaves the archive", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			err = writeAll(path, in, os.FileMode(h.Mode).Perm()|0o400) //nolint:gosec // its permission bits only
		case tar.TypeSymlink:
			if !filepath.IsLocal(filepath.Join(filepath.Dir(h.Name), h.Linkname)) {
				return fmt.Errorf("link %q leaves the archive", h.Name)
			}
			err = os.Symlink(h.Linkname, path)
		}
		if err != nil {
			return err
		}
	}
}
