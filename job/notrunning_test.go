package job

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/config"
	"heddle/internal/heard"
)

// TestAbsentResourceManager: who waits for YARN is told so, and a job of this
// machine does not wait for long.
func TestAbsentResourceManager(t *testing.T) {
	t.Setenv("HADOOP_USER_NAME", "alice")
	for _, tt := range []struct {
		factory config.JobFactory
		wait    string // the cluster's own, in ms; -1: for ever
		how     string
	}{
		{config.Thread, "-1", "it is asked for 300ms; without HADOOP_CONF_DIR and YARN_CONF_DIR it is not"},
		{config.YARN, "600", "unset HADOOP_CONF_DIR and YARN_CONF_DIR, and give --config job.factory.class=thread"},
	} {
		dir := t.TempDir()
		// An address that refuses at once.
		site := `<configuration><property><name>yarn.resourcemanager.address</name><value>127.0.0.1:1</value></property>
<property><name>yarn.resourcemanager.connect.max-wait.ms</name><value>` + tt.wait + `</value></property></configuration>`
		if err := os.WriteFile(filepath.Join(dir, "yarn-site.xml"), []byte(site), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("HADOOP_CONF_DIR", dir)
		var out heard.Text
		j := &Job{Config: config.New(map[string]string{"job.name": "counts"}), Factory: tt.factory, say: NewSay(&out, true), log: slog.New(slog.DiscardHandler)}
		err := j.notOnYARN(t.Context(), doingSet, askedFor{tell: time.Millisecond, here: 300 * time.Millisecond})
		if err == nil || errors.As(err, new(refusedError)) || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%s: %v", tt.factory, err)
		}
		for _, want := range []string{"checkpoint set: waiting for YARN's ResourceManager, to ask if the job counts_1 runs there (", tt.how} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: told %q, want %q", tt.factory, out.String(), want)
			}
		}
	}
}
