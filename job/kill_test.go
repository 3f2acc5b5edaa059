package job

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/yarn"
	"heddle/yarn/hadoopconf"
)

// TestFilesThatCannotBeRemoved: that the job has ended is no failure because its
// files are still there.
func TestFilesThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(`<configuration><property><name>fs.defaultFS</name><value>hdfs://localhost:1</value></property></configuration>`), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := hadoopconf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &Cluster{conf: conf, user: "nobody"}
	c.cleanUp(t.Context(), yarn.ApplicationID{ClusterTimestamp: 7, Number: 1}, NewSay(&out, false))
	if !strings.Contains(out.String(), "warning: the files of application_7_0001 are left to the next submit") || !strings.Contains(out.String(), "localhost:1") {
		t.Errorf("%q", out.String())
	}
}
