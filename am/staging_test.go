package am

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"heddle/internal/launch"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
)

// The application's own folder goes, and no other, whatever the environment says.
func TestRemoveStaging(t *testing.T) {
	id := yarn.ApplicationID{ClusterTimestamp: 1700000000000, Number: 7}
	base := t.TempDir()
	for _, name := range []string{id.String(), "application_1700000000000_0008", "mine"} {
		if err := os.MkdirAll(filepath.Join(base, name, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(uri string) {
		env := Environment{HadoopConf: &hadoopconf.Conf{}, Log: slog.New(slog.DiscardHandler), Getenv: func(name string) string {
			return map[string]string{launch.EnvStaging: uri, "USER": "ann"}[name]
		}}
		removeStaging(t.Context(), env, id)
	}
	for _, uri := range []string{"", "file://" + base, "file://" + base + "/mine", "file://" + base + "/application_1700000000000_0008", "file://" + base + "/" + id.String() + "/below", "%zz", "s3://bucket/" + id.String()} {
		remove(uri)
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(base)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if got := left(); len(got) != 3 {
		t.Fatalf("left: %v", got)
	}
	remove("file://" + base + "/" + id.String())
	if got := left(); len(got) != 2 || got[0] != "application_1700000000000_0008" || got[1] != "mine" {
		t.Errorf("left: %v", got)
	}
	remove("file://" + base + "/" + id.String()) // it is gone already
}
