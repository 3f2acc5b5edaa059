package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/config"
	"heddle/storage/local"
)

// A folder in which no state can lie is told of before anything is changed.
func TestAFolderThatTakesNoStateIsToldOfFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		set     string // pairs, parted by blanks
		env     string
		factory config.JobFactory
		key     string // of the error; "": there is none
	}{
		"logged":         {"stores.s.factory=pebble stores.s.changelog=log job.logged.store.base.dir=" + file, "", config.Thread, "job.logged.store.base.dir"},
		"side inputs":    {"stores.s.factory=pebble stores.s.side.inputs=kafka.side job.logged.store.base.dir=" + file + "/below", "", config.Thread, "job.logged.store.base.dir"},
		"by environment": {"stores.s.factory=pebble stores.s.changelog=log", file, config.Process, "LOGGED_STORE_BASE_DIR"},
		"not logged":     {"stores.s.factory=pebble job.non-logged.store.base.dir=" + file, "", config.Thread, "job.non-logged.store.base.dir"},
		"other kind":     {"stores.s.factory=pebble job.logged.store.base.dir=" + file, "", config.Thread, ""},
		"in memory":      {"stores.s.factory=memory stores.s.changelog=log job.logged.store.base.dir=" + file, "", config.Thread, ""},
		"on YARN":        {"stores.s.factory=pebble stores.s.changelog=log job.logged.store.base.dir=" + file, "", config.YARN, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := map[string]string{"job.name": "j", "systems.kafka.samza.factory": "kafka", "heddle.home": t.TempDir()}
			for pair := range strings.FieldsSeq(tt.set) {
				k, v, _ := strings.Cut(pair, "=")
				m[k] = v
			}
			t.Setenv(local.EnvBase, tt.env)
			err := (&Job{Config: config.New(m), Factory: tt.factory}).checkDisk()
			if tt.key == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || ExitCode(err) != ExitUsage {
				t.Fatalf("%v; want exit code %d", err, ExitUsage)
			}
			for _, want := range []string{tt.key, `store "s"`, file + " is a file", "name a folder"} {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%q does not say %q in one line", err, want)
				}
			}
		})
	}
}
