package yarn

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LogReader reads the logs of containers from the web servers of their nodes, of
// running ones and of ended ones, until YARN removes or aggregates them
// (/ws/v1/node/containers/{id}/logs). The zero value is ready. Safe for concurrent use.
type LogReader struct {
	// HTTP makes the calls; nil: a client with a time-out of 30 s for the answer to begin.
	HTTP *http.Client
	// User is passed as user.name, for clusters with ACLs but without Kerberos; "": not passed.
	User string
}

// LogFile is one file of a container's log folder.
type LogFile struct {
	// Name is the file's name: "stdout", "stderr", "prelaunch.err", ...
	Name string
	// Size is in bytes.
	Size int64
	// Modified is when it was last written, to the second; zero if the node did not say so readably.
	Modified time.Time
}

// LogChunk is a piece of a log file.
type LogChunk struct {
	// Data are the bytes from Offset on.
	Data []byte
	// Offset is where Data begins.
	Offset int64
	// Size is how long the file was. If it is below the offset that was asked for, the file was begun anew.
	Size int64
}

// Next is the offset with which to go on.
func (c LogChunk) Next() int64 { return c.Offset + int64(len(c.Data)) }

const (
	// DefaultLogLimit is the largest chunk that Read gives unless told otherwise.
	DefaultLogLimit = 1 << 20
	// logSlack is what is asked for beyond the known size, for a file that grows
	// between two requests.
	logSlack = 64 << 10
	// maxLogHeader bounds what is read in search of a log's beginning.
	maxLogHeader = 64 << 10
	maxLogList   = 8 << 20
)

var defaultLogClient = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	ResponseHeaderTimeout: 30 * time.Second,
	TLSHandshakeTimeout:   10 * time.Second,
	MaxIdleConnsPerHost:   2,
	IdleConnTimeout:       30 * time.Second,
}}

// LogsPage is the page with the logs of a container, for people. The node's web
// address is Container.HTTPAddress or ContainerReport.HTTPAddress; the user is the application's.
func LogsPage(nodeHTTP string, id ContainerID, user string) string {
	return nodeURL(nodeHTTP) + "/node/containerlogs/" + id.String() + "/" + url.PathEscape(user)
}

// nodeURL adds the scheme to host:port.
func nodeURL(nodeHTTP string) string {
	if !strings.Contains(nodeHTTP, "://") {
		nodeHTTP = "http://" + nodeHTTP
	}
	return strings.TrimRight(nodeHTTP, "/")
}

// Files lists the log files of a container, by name. Of a container that the node
// does not know there are none, or, if it does not know the application either (or
// no longer), the error has ErrContainerUnknown.
func (r *LogReader) Files(ctx context.Context, nodeHTTP string, id ContainerID) ([]LogFile, error) {
	about := fmt.Sprintf("logs of %s", id)
	body, err := r.get(ctx, about, nodeHTTP, "/ws/v1/node/containers/"+id.String()+"/logs", nil, "application/json")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxLogList))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	files, err := parseLogList(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %s did not answer with a list of logs: %w", about, nodeHTTP, err)
	}
	return files, nil
}

// Knows says if a node knows an application: from the start of its first container
// there on, and for a while after its end.
func (r *LogReader) Knows(ctx context.Context, nodeHTTP string, id ApplicationID) (bool, error) {
	body, err := r.get(ctx, fmt.Sprintf("%s on its node", id), nodeHTTP, "/ws/v1/node/apps/"+id.String(), nil, "application/json")
	switch {
	case err == nil:
		return true, body.Close()
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, err
}

// Read reads from a log file, at most limit bytes (0: DefaultLogLimit) from the
// offset on; a negative offset counts from the end. No data means that there is
// nothing more yet. To follow a log, go on with the chunk's Next. A file that
// does not exist gives fs.ErrNotExist.
func (r *LogReader) Read(ctx context.Context, nodeHTTP string, id ContainerID, file string, offset int64, limit int) (LogChunk, error) {
	about := fmt.Sprintf("log %s of %s", file, id)
	want := int64(cmp.Or(limit, DefaultLogLimit))
	// The server gives the last bytes of a file, no others: how long is it?
	size, body, err := r.open(ctx, about, nodeHTTP, id, file, 0)
	if err != nil {
		return LogChunk{}, err
	}
	body.Close()
	if offset < 0 {
		offset = max(0, size+offset)
	}
	if size <= offset {
		return LogChunk{Offset: offset, Size: size}, nil
	}
	for slack := int64(logSlack); ; slack *= 4 {
		last := size - offset + slack
		if size, body, err = r.open(ctx, about, nodeHTTP, id, file, last); err != nil {
			return LogChunk{}, err
		}
		begin := max(0, size-last)
		if size < offset {
			body.Close() // begun anew
			return LogChunk{Offset: offset, Size: size}, nil
		}
		if begin > offset {
			body.Close() // it has grown by more than the slack
			continue
		}
		chunk := LogChunk{Offset: offset, Size: size}
		if _, err = io.CopyN(io.Discard, body, offset-begin); err == nil {
			chunk.Data, err = io.ReadAll(io.LimitReader(body, min(want, size-offset)))
		}
		body.Close()
		if err != nil {
			return LogChunk{}, fmt.Errorf("%s: %w", about, err)
		}
		return chunk, nil
	}
}

// open asks for the last bytes of a file and gives its size, and a reader that
// stands at the first of them. After them follows a text of the server's own.
func (r *LogReader) open(ctx context.Context, about, nodeHTTP string, id ContainerID, file string, last int64) (int64, io.ReadCloser, error) {
	query := url.Values{"size": {strconv.FormatInt(-last, 10)}}
	path := "/ws/v1/node/containers/" + id.String() + "/logs/" + url.PathEscape(file)
	// A NodeManager that is asked for JSON here fails with 503.
	body, err := r.get(ctx, about, nodeHTTP, path, query, "text/plain, application/octet-stream;q=0.9, */*;q=0.1")
	if err != nil {
		return 0, nil, err
	}
	in := bufio.NewReader(body)
	size, err := parseLogHeader(in, file)
	if err != nil {
		body.Close()
		return 0, nil, fmt.Errorf("%s: %s: %w", about, nodeHTTP, err)
	}
	return size, struct {
		io.Reader
		io.Closer
	}{in, body}, nil
}

func (r *LogReader) get(ctx context.Context, about, nodeHTTP, path string, query url.Values, accept string) (io.ReadCloser, error) {
	if r.User != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("user.name", r.User)
	}
	u := nodeURL(nodeHTTP) + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	req.Header.Set("Accept", accept)
	resp, err := cmp.Or(r.HTTP, defaultLogClient).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: NodeManager's web server: %w", about, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	message := logErrorMessage(text)
	switch {
	case strings.Contains(message, "Unknown container"):
		return nil, fmt.Errorf("%s: %w %s", about, ErrContainerUnknown, nodeHTTP)
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w on %s: %s", about, fs.ErrNotExist, nodeHTTP, message)
	}
	return nil, fmt.Errorf("%s: %s answered %s: %s", about, nodeHTTP, resp.Status, message)
}

// logErrorMessage takes what is said out of YARN's ways of saying it.
func logErrorMessage(text []byte) string {
	var remote struct {
		RemoteException struct{ Message, Exception string }
	}
	message := string(text)
	if json.Unmarshal(text, &remote) == nil && remote.RemoteException.Exception != "" {
		message = cmp.Or(remote.RemoteException.Message, remote.RemoteException.Exception)
	}
	message, _, _ = strings.Cut(strings.TrimSpace(message), "\n")
	if len(message) > 300 {
		message = message[:300] + "..."
	}
	return message
}

// parseLogHeader reads what stands before the bytes of a log and gives the file's size.
func parseLogHeader(in *bufio.Reader, file string) (int64, error) {
	size := int64(-1)
	for read := 0; read < maxLogHeader; {
		line, err := in.ReadSlice('\n')
		read += len(line)
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return 0, fmt.Errorf("answered with no log: %w", err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if n, ok := strings.CutPrefix(text, "LogLength:"); ok {
			if size, err = strconv.ParseInt(strings.TrimSpace(n), 10, 64); err != nil || size < 0 {
				return 0, fmt.Errorf("answered with no log: its length is %q", n)
			}
		}
		if strings.HasPrefix(text, "LogContents:") && size >= 0 {
			return size, nil
		}
	}
	return 0, fmt.Errorf("answered with no log of %s", file)
}

// logTime is how YARN writes times here.
const logTime = "Mon Jan 02 15:04:05 -0700 2006"

// parseLogList reads the list of logs. YARN's JSON has a list of one as the
// element alone, in places.
func parseLogList(b []byte) ([]LogFile, error) {
	var answer struct {
		ContainerLogsInfo oneOrMore[struct {
			ContainerLogInfo oneOrMore[struct {
				FileName         string      `json:"fileName"`
				FileSize         json.Number `json:"fileSize"`
				LastModifiedTime string      `json:"lastModifiedTime"`
			}] `json:"containerLogInfo"`
		}] `json:"containerLogsInfo"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, err
	}
	var out []LogFile
	for _, group := range answer.ContainerLogsInfo {
		for _, f := range group.ContainerLogInfo {
			if f.FileName == "" || slices.ContainsFunc(out, func(o LogFile) bool { return o.Name == f.FileName }) {
				continue
			}
			size, err := f.FileSize.Int64()
			if err != nil && f.FileSize != "" {
				return nil, fmt.Errorf("%s has the size %q", f.FileName, f.FileSize)
			}
			modified, _ := time.Parse(logTime, f.LastModifiedTime)
			out = append(out, LogFile{Name: f.FileName, Size: size, Modified: modified})
		}
	}
	slices.SortFunc(out, func(a, b LogFile) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// oneOrMore reads a JSON list, or an element that stands alone.
type oneOrMore[T any] []T

// UnmarshalJSON reads either.
func (l *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}
