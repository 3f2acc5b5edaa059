package yarn

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

var logContainer = NewContainerID(AttemptID{ApplicationID{1795477726654, 1}, 1}, 1, 1)

// fakeLogServer answers as the NodeManager 3.4.1 does; grow changes the file before each answer.
func fakeLogServer(t *testing.T, content *string, grow func(call int)) (address string, calls *int) {
	calls = new(int)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs/{file}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.PathValue("file") != "std out" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "java.lang.Exception: Cannot find this log on the local disk.")
			return
		}
		grow(*calls)
		*calls++
		body := *content
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil || size > 0 {
			t.Errorf("size=%q", r.URL.Query().Get("size"))
		}
		if -size < len(body) {
			body = body[len(body)+size:]
		}
		fmt.Fprintf(w, "Container: %s on localhost:30109\nLogAggregationType: LOCAL\n%s\nLogType:stdout\nLogLastModifiedTime:Mon Nov 23 23:50:55 +0000 2026\n"+
			"LogLength:%d\nLogContents:\n%sEnd of LogType:stdout.This log file belongs to a running container (x) and so may not be complete.\n***\n\n",
			r.PathValue("id"), strings.Repeat("=", 72), len(*content), body)
	})
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != logContainer.String() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"RemoteException":{"exception":"WebApplicationException","message":"org.apache.hadoop.yarn.webapp.NotFoundException: java.lang.Exception: Unknown container. Container either has not started or has already completed or doesn't belong to this node at all.","javaClassName":"javax.ws.rs.WebApplicationException"}}`)
			return
		}
		fmt.Fprint(w, `{"containerLogsInfo":{"containerLogInfo":[{"fileName":"stdout","fileSize":"60","lastModifiedTime":"Mon Nov 23 23:50:00 +0000 2026"},{"fileName":"prelaunch.err","fileSize":"0","lastModifiedTime":"Mon Nov 23 23:50:00 +0000 2026"}],"logAggregationType":"LOCAL","containerId":"container_e01_1795477726654_0001_01_000001","nodeId":"127.0.0.2:30109"}}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), calls
}

func TestLogFiles(t *testing.T) {
	address, _ := fakeLogServer(t, new(string), nil)
	var r LogReader
	files, err := r.Files(t.Context(), address, logContainer)
	if err != nil || len(files) != 2 || files[0].Name != "prelaunch.err" || files[1].Size != 60 ||
		!files[1].Modified.Equal(time.Date(2026, 11, 23, 23, 50, 0, 0, time.UTC)) {
		t.Errorf("got %v, %v", files, err)
	}
	other := logContainer
	other.ID++
	if _, err := r.Files(t.Context(), address, other); !errors.Is(err, ErrContainerUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestLogReadFollowsAGrowingFile(t *testing.T) {
	var all strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&all, "line %d\n", i)
	}
	content, grown := all.String()[:1000], 1000
	address, calls := fakeLogServer(t, &content, func(call int) {
		// By less than the slack, by more, not at all.
		grown = min(all.Len(), grown+[]int{0, 10, 200_000, 0, 0}[call%5])
		content = all.String()[:grown]
	})
	var r LogReader
	var got strings.Builder
	for got.Len() < all.Len() {
		before := *calls
		chunk, err := r.Read(t.Context(), "http://"+address+"/", logContainer, "std out", int64(got.Len()), 100_000)
		if err != nil {
			t.Fatal(err)
		}
		if chunk.Offset != int64(got.Len()) || len(chunk.Data) > 100_000 || *calls > before+6 {
			t.Fatalf("asked for %d, got %d bytes from %d with %d calls", got.Len(), len(chunk.Data), chunk.Offset, *calls-before)
		}
		got.Write(chunk.Data)
		if chunk.Next() != int64(got.Len()) {
			t.Fatalf("next is %d", chunk.Next())
		}
	}
	if got.String() != all.String() {
		t.Error("the log came with gaps or twice")
	}
	chunk, err := r.Read(t.Context(), address, logContainer, "std out", -8, 0)
	if err != nil || string(chunk.Data) != "e 59999\n" {
		t.Errorf("the end is %q, %v", chunk.Data, err)
	}
	chunk, err = r.Read(t.Context(), address, logContainer, "std out", chunk.Next(), 0)
	if err != nil || len(chunk.Data) != 0 || chunk.Next() != chunk.Size {
		t.Errorf("at the end: %+v, %v", chunk, err)
	}
	if _, err := r.Read(t.Context(), address, logContainer, "stderr", 0, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestLogListForms(t *testing.T) {
	for _, in := range []string{
		`{"containerLogsInfo":{"containerLogInfo":{"fileName":"a","fileSize":"1"}}}`,
		`{"containerLogsInfo":[{"containerLogInfo":[{"fileName":"a","fileSize":1}]},{"containerLogInfo":{"fileName":"a","fileSize":"2"}}]}`,
	} {
		files, err := parseLogList([]byte(in))
		if err != nil || len(files) != 1 || files[0] != (LogFile{Name: "a", Size: 1}) {
			t.Errorf("%s: %v, %v", in, files, err)
		}
	}
	if files, err := parseLogList([]byte(`{"containerLogsInfo":{"containerLogInfo":{"fileName":"a","fileSize":"x"}}}`)); err == nil {
		t.Errorf("got %v", files)
	}
}

func TestLogsPage(t *testing.T) {
	want := "http://h:8042/node/containerlogs/container_e01_1795477726654_0001_01_000001/root"
	if got := LogsPage("h:8042", logContainer, "root"); got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzParseLogs(f *testing.F) {
	f.Add([]byte("Container: c on n\nLogType:stdout\nLogLength:60\nLogContents:\nabc"))
	f.Add([]byte(`{"containerLogsInfo":{"containerLogInfo":[{"fileName":"a","fileSize":"1","lastModifiedTime":"Mon Nov 23 23:50:00 +0000 2026"}]}}`))
	f.Add([]byte("LogLength:-1\nLogContents:\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		size, err := parseLogHeader(bufio.NewReader(strings.NewReader(string(b))), "f")
		if err == nil && size < 0 {
			t.Fatalf("size %d", size)
		}
		files, _ := parseLogList(b)
		for _, f := range files {
			if f.Name == "" {
				t.Fatalf("file without a name in %v", files)
			}
		}
		logErrorMessage(b)
	})
}
