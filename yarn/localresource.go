package yarn

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"heddle/yarn/internal/pb"
)

// ResourceType says what a NodeManager does with a resource (Hadoop: LocalResourceType).
type ResourceType string

// The types of resources.
const (
	// ResourceFile is copied as it is.
	ResourceFile ResourceType = "FILE"
	// ResourceArchive is unpacked if its name ends in .tar.gz, .tgz, .tar, .zip or
	// .jar; the link in the working directory leads to the folder.
	ResourceArchive ResourceType = "ARCHIVE"
)

// Visibility says who shares the copy of a resource on a node (Hadoop: LocalResourceVisibility).
type Visibility string

// The visibilities.
const (
	// VisibilityPublic is for every user; it needs a source that everyone may
	// read, and never works with http, where YARN cannot check that.
	VisibilityPublic Visibility = "PUBLIC"
	// VisibilityPrivate is for the user's applications.
	VisibilityPrivate Visibility = "PRIVATE"
	// VisibilityApplication is for this application alone.
	VisibilityApplication Visibility = "APPLICATION"
)

// LocalResource is a file that a NodeManager brings to a container before it starts.
type LocalResource struct {
	// URL is where it is: hdfs://host:port/path, hdfs://nameservice/path,
	// http(s)://..., file:///path (then on the node itself). No query: YARN cannot express one.
	URL string
	// Size in bytes, for the node's bookkeeping.
	Size int64
	// Timestamp is the source's modification time in milliseconds since 1970; YARN
	// refuses a source that has another. For http it is 0, always.
	Timestamp int64
	// Type is what is done with it; "" is FILE.
	Type ResourceType
	// Visibility is who shares it; "" is APPLICATION.
	Visibility Visibility
}

// FileResource describes a file of this machine, which must be at the same path
// on the nodes.
func FileResource(path string, typ ResourceType) (LocalResource, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return LocalResource{}, fmt.Errorf("local resource %s: %w", path, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return LocalResource{}, fmt.Errorf("local resource: %w", err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}
	return LocalResource{
		URL:       u.String(),
		Size:      info.Size(),
		Timestamp: info.ModTime().UnixMilli(),
		Type:      typ,
	}, nil
}

// HTTPResource describes what is behind an http or https URL. YARN's nodes take
// its timestamp for 0 and so never notice that it changed: put a hash of the
// content into the URL's path.
func HTTPResource(u string, size int64, typ ResourceType) LocalResource {
	return LocalResource{URL: u, Size: size, Type: typ, Visibility: VisibilityApplication}
}

// Check tells what YARN would only find out on the node, after the submit.
func (r LocalResource) Check() error {
	_, err := r.proto()
	return err
}

func (r LocalResource) proto() (*pb.LocalResourceProto, error) {
	u, err := urlProto(r.URL)
	if err != nil {
		return nil, fmt.Errorf("local resource %s: %w", r.URL, err)
	}
	if r.Type == "" {
		r.Type = ResourceFile
	}
	typ, ok := pb.LocalResourceTypeProto_value[string(r.Type)]
	if !ok || r.Type == "PATTERN" {
		return nil, fmt.Errorf("local resource %s: %q is no type: FILE or ARCHIVE", r.URL, string(r.Type))
	}
	if r.Visibility == "" {
		r.Visibility = VisibilityApplication
	}
	vis, ok := pb.LocalResourceVisibilityProto_value[string(r.Visibility)]
	if !ok {
		return nil, fmt.Errorf("local resource %s: %q is no visibility: PUBLIC, PRIVATE or APPLICATION", r.URL, string(r.Visibility))
	}
	if s := u.GetScheme(); s == "http" || s == "https" {
		if r.Visibility == VisibilityPublic {
			return nil, fmt.Errorf("local resource %s: PUBLIC visibility never works over %s: take APPLICATION or PRIVATE", r.URL, s)
		}
		if r.Timestamp != 0 {
			return nil, fmt.Errorf("local resource %s: the timestamp over %s has to be 0, not %d", r.URL, s, r.Timestamp)
		}
	}
	return &pb.LocalResourceProto{
		Resource:   u,
		Size:       &r.Size,
		Timestamp:  &r.Timestamp,
		Type:       pb.LocalResourceTypeProto(typ).Enum(),
		Visibility: pb.LocalResourceVisibilityProto(vis).Enum(),
	}, nil
}

// urlProto takes a URL apart as Java's org.apache.hadoop.yarn.api.records.URL does.
func urlProto(s string) (*pb.URLProto, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "":
		return nil, fmt.Errorf("it has no scheme: hdfs://, http://, https:// or file:// is expected")
	case u.Path == "" || !strings.HasPrefix(u.Path, "/"):
		return nil, fmt.Errorf("it has no absolute path")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("YARN drops the part from ? or # on: use a URL without it")
	}
	// An absent port would arrive as 0 in Java, hence hdfs://host:0/.
	port := int64(-1)
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseInt(p, 10, 32); err != nil || port > 65535 {
			return nil, fmt.Errorf("%q is no port", p)
		}
	}
	port32 := int32(port)
	p := &pb.URLProto{Scheme: &u.Scheme, Port: &port32, File: &u.Path}
	if h := u.Hostname(); h != "" {
		p.Host = &h
	}
	if u.User != nil {
		info := u.User.String()
		p.UserInfo = &info
	}
	return p, nil
}
