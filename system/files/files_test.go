package files

import (
	"strings"
	"testing"
)

func TestSplitAndJoin(t *testing.T) {
	for _, tt := range []struct{ uri, system, path, joined string }{
		{"hdfs://nn:8020/a/b", "hdfs://nn:8020", "/a/b", "hdfs://nn:8020/a/b"},
		{"hdfs://ns/a", "hdfs://ns", "/a", "hdfs://ns/a"},
		{"file:///a/b", "file://", "/a/b", "file:///a/b"},
		{"/a/b", "", "/a/b", "/a/b"},
		{"hdfs:///a", "", "/a", "/a"},
	} {
		system, path, err := Split(tt.uri)
		if err != nil || system != tt.system || path != tt.path {
			t.Errorf("Split(%q): %q, %q, %v", tt.uri, system, path, err)
		}
		if got := Join(system, path); got != tt.joined {
			t.Errorf("Join(%q, %q) = %q", system, path, got)
		}
	}
	// fs.defaultFS may end with a slash.
	for system, want := range map[string]string{"hdfs://nn:8020/": "hdfs://nn:8020/a", "file:///": "file:///a"} {
		if got := Join(system, "/a"); got != want {
			t.Errorf("Join(%q): %q", system, got)
		}
	}
}

func TestAFileOfAnotherMachine(t *testing.T) {
	_, err := Open(t.Context(), "file://tmp", Options{})
	if err == nil || !strings.Contains(err.Error(), "file:///path") {
		t.Errorf("file://tmp: %v", err)
	}
	for _, uri := range []string{"file://", "file:///", "file://localhost"} {
		if _, err := Open(t.Context(), uri, Options{}); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
