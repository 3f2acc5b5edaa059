package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// A file of Samza 0.13 loads as it is, and the one warning is the ZooKeeper
// address, which nobody needs any more.
func TestSamza013(t *testing.T) {
	for _, tt := range []struct {
		factory  string
		want     JobFactory
		warnings int
	}{
		{"", Thread, 1},
		{"job.factory.class=org.apache.samza.job.local.ProcessJobFactory", Process, 1},
		{"job.factory.class=org.apache.samza.job.yarn.YarnJobFactory", YARN, 1},
	} {
		var over []string
		if tt.factory != "" {
			over = []string{tt.factory}
		}
		c, warnings, err := Load(t.Context(), LoadOptions{Paths: []string{"testdata/samza-0.13.properties"}, Overrides: over})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("Load: %v, %v", warnings, err)
		}
		warnings, err = Validate(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(warnings) != tt.warnings || !strings.Contains(warnings[0].String(), "zookeeper.connect") {
			t.Errorf("warnings: %v", warnings)
		}
		if f, err := Factory(c); f != tt.want || err != nil {
			t.Errorf("factory %v, %v; want %v", f, err, tt.want)
		}
		in, err := Inputs(c)
		if err != nil || len(in) != 1 || in[0] != (SystemStream{"kafka", "clickevent"}) {
			t.Errorf("inputs %v, %v", in, err)
		}
		s, err := Stream(c, "kafka", "clickevent")
		if err != nil || s.KeySerde != "string" || s.MsgSerde != "string" || s.OffsetDefault != "upcoming" {
			t.Errorf("stream %+v, %v", s, err)
		}
		if w := TaskWindow.Of(c).Seconds(); w != 60 {
			t.Errorf("window %v s", w)
		}
		for _, r := range Resolve(c) {
			if r.Default || !strings.HasPrefix(r.Origin, "samza-0.13.properties:") && r.Key != "job.factory.class" {
				continue
			}
			if !r.Known {
				t.Errorf("%s is not known", r.Key)
			}
		}
	}
}

// Every example loads and validates; only the file of Samza 0.13 has a warning.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*/*.properties")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, f := range files {
		c, loading, err := Load(t.Context(), LoadOptions{Paths: []string{f}})
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		warnings, err := Validate(c)
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		warnings = append(loading, warnings...)
		if old := filepath.Base(f) == "samza-0.13.properties"; len(warnings) > 1 || !old && len(warnings) > 0 {
			t.Errorf("%s: %v", f, warnings)
		}
	}
}
