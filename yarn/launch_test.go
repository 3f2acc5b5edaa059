package yarn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
	"heddle/yarn/security"
)

func TestURLs(t *testing.T) {
	for _, c := range []struct {
		url                string
		scheme, host, file string
		port               int32
		bad                string
	}{
		{url: "hdfs://nn:8020/a/b.tgz", scheme: "hdfs", host: "nn", port: 8020, file: "/a/b.tgz"},
		{url: "hdfs://nameservice1/a", scheme: "hdfs", host: "nameservice1", port: -1, file: "/a"},
		{url: "file:///tmp/a b", scheme: "file", port: -1, file: "/tmp/a b"},
		{url: "file:///tmp/a%20b%23c", scheme: "file", port: -1, file: "/tmp/a b#c"},
		{url: "http://[::1]:80/x", scheme: "http", host: "::1", port: 80, file: "/x"},
		{url: "/tmp/a", bad: "no scheme"},
		{url: "http://h/a?b=c", bad: "from ? or #"},
		{url: "http://h/a#b", bad: "from ? or #"},
		{url: "http://h", bad: "absolute path"},
		{url: "http://h:99999/x", bad: "no port"},
		{url: "hdfs:a", bad: "absolute path"},
		{url: "%", bad: "invalid URL escape"},
	} {
		p, err := urlProto(c.url)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: got error %v, want one with %q", c.url, err, c.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if p.GetScheme() != c.scheme || p.GetHost() != c.host || p.GetPort() != c.port || p.GetFile() != c.file {
			t.Errorf("%s: got %v", c.url, p)
		}
		if (p.Host == nil) != (c.host == "") {
			t.Errorf("%s: an absent host has to stay absent", c.url)
		}
	}
}

func TestFileResource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a package.tar.gz")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.UnixMilli(1700000000123).Add(456 * time.Microsecond)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
	r, err := FileResource(path, ResourceArchive)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.proto()
	if err != nil {
		t.Fatal(err)
	}
	if p.GetSize() != 5 || p.GetTimestamp() != 1700000000123 || p.GetResource().GetFile() != path ||
		p.GetType() != pb.LocalResourceTypeProto_ARCHIVE || p.GetVisibility() != pb.LocalResourceVisibilityProto_APPLICATION {
		t.Errorf("got %v", p)
	}
	if _, err := FileResource(path+"x", ResourceFile); err == nil {
		t.Error("a missing file gave no error")
	}
}

func TestLocalResourceChecks(t *testing.T) {
	for _, c := range []struct {
		r   LocalResource
		bad string
	}{
		{r: HTTPResource("https://h/p.tgz", 7, ResourceArchive)},
		{r: LocalResource{URL: "http://h/p.tgz", Visibility: VisibilityPublic}, bad: "PUBLIC"},
		{r: LocalResource{URL: "http://h/p.tgz", Timestamp: 5}, bad: "has to be 0"},
		{r: LocalResource{URL: "file:///p", Type: "PATTERN"}, bad: "FILE or ARCHIVE"},
		{r: LocalResource{URL: "file:///p", Visibility: "public"}, bad: "no visibility"},
	} {
		err := c.r.Check()
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%+v: got %v, want %q", c.r, err, c.bad)
		}
	}
}

func TestLaunchContextChecks(t *testing.T) {
	file := LocalResource{URL: "file:///p"}
	for _, c := range []struct {
		l   LaunchContext
		bad string
	}{
		{l: LaunchContext{Resources: map[string]LocalResource{"a/b": file, "..c": file}}},
		{l: LaunchContext{Resources: map[string]LocalResource{"../a": file}}, bad: "leave the working directory"},
		{l: LaunchContext{Resources: map[string]LocalResource{"a/../../b": file}}, bad: "leave the working directory"},
		{l: LaunchContext{Resources: map[string]LocalResource{"/a": file}}, bad: "leave the working directory"},
		{l: LaunchContext{Resources: map[string]LocalResource{"": file}}, bad: "leave the working directory"},
		{l: LaunchContext{Environment: map[string]string{"A=B": ""}}, bad: "no name"},
		{l: LaunchContext{Environment: map[string]string{"A": "\x00"}}, bad: "zero byte"},
	} {
		err := c.l.Check()
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%+v: got %v, want %q", c.l, err, c.bad)
		}
	}
}

func TestSubmissionProto(t *testing.T) {
	creds := &security.Credentials{}
	creds.AddSecret("job", []byte("s"))
	s := Submission{
		ID:   ApplicationID{7, 1},
		Name: "n",
		Master: LaunchContext{
			Command:     "sleep 1",
			Environment: map[string]string{"B": "2", "A": "1"},
			Credentials: creds,
			ServiceData: map[string][]byte{"shuffle": {1}},
			ViewACL:     "bob ops",
		},
		Resource: Resource{MemoryMiB: 512, VCores: 1},
		Lifetime: 90 * time.Second,
	}
	p, err := s.proto()
	if err != nil {
		t.Fatal(err)
	}
	if p.Queue != nil || p.ApplicationType != nil || p.GetQueue() != "default" || p.GetApplicationType() != "YARN" {
		t.Errorf("queue and type have to be left to the server's defaults: %v", p)
	}
	spec := p.GetAmContainerSpec()
	if got := spec.GetEnvironment()[0].GetKey(); got != "A" {
		t.Errorf("the environment is not sorted: %v", spec.GetEnvironment())
	}
	back, err := security.DecodeCredentials(spec.GetTokens())
	if secret, _ := back.Secret("job"); err != nil || string(secret) != "s" {
		t.Errorf("credentials came back as %v, %v", back, err)
	}
	if p.GetApplicationTimeouts()[0].GetTimeout() != 90 {
		t.Errorf("time-out %v", p.GetApplicationTimeouts())
	}
	if !p.GetCancelTokensWhenComplete() || p.GetKeepContainersAcrossApplicationAttempts() {
		t.Errorf("flags %v", p)
	}
	if a, _ := proto.Marshal(p); len(a) == 0 {
		t.Error("a required field is missing")
	}

	for _, c := range []struct {
		change func(*Submission)
		bad    string
	}{
		{func(s *Submission) { s.ID = ApplicationID{} }, "NewApplication"},
		{func(s *Submission) { s.Master.Command = "" }, "no command"},
		{func(s *Submission) { s.Resource.VCores = 0 }, "above 0"},
	} {
		bad := s
		c.change(&bad)
		if _, err := bad.proto(); err == nil || !strings.Contains(err.Error(), c.bad) {
			t.Errorf("got %v, want %q", err, c.bad)
		}
	}
}
