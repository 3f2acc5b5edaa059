package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// What java.util.Properties reads in the cases, ours reads too, and what it
// refuses, ours refuses. The golden file is testdata/java/Golden.java's.
func TestGoldenJava(t *testing.T) {
	raw, err := os.ReadFile("testdata/java/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]map[string]string
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/java/cases/*.properties")
	if err != nil || len(files) != len(golden) {
		t.Fatalf("%d cases, %d in the golden file, %v", len(files), len(golden), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			want := golden[filepath.Base(f)]
			l, _, err := Parse(f, raw)
			if want == nil {
				if err == nil {
					t.Error("Java refuses the file, we read it")
				}
				return
			}
			if err != nil {
				t.Fatalf("Java reads the file, we refuse it: %v", err)
			}
			delete(want, "") // a line without a key is passed over with a warning
			got := map[string]string{}
			for k, p := range l.m {
				got[k] = p.value
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-Java +ours:\n%s", d)
			}
		})
	}
}

func TestLinesOfKeys(t *testing.T) {
	text := "# 注释\n\na=1\n  b : 2\\\n   more\n\\\n\\\nc=3\n!x\nke\\\ny=v\na=4\r\nd=5\re=6"
	l, warnings, err := Parse("dir/job.properties", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"a": "job.properties:12", "b": "job.properties:4", "c": "job.properties:8", "key": "job.properties:10",
		"d": "job.properties:13", "e": "job.properties:14",
	}
	got := map[string]string{}
	for k, p := range l.m {
		got[k] = p.origin.String()
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(warnings) != 1 || warnings[0].String() != "job.properties:12: a: set twice in this file; this one wins over line 3" {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestMalformedEscapes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a=1\nb=\\u12G4", `job.properties:2: malformed escape \u12G4:`},
		{"a=\\u12", `job.properties:1: malformed escape \u12:`},
		{"a=1\\\n2\\\n\\\\u0041\\uXY", `job.properties:3: malformed escape \uXY:`},
		{"a=\\uD83D", `job.properties:1: malformed escape \uD83D:`},
		{"a=\\uDE00\\uD83D", `job.properties:1: malformed escape \uDE00:`},
		{"\\u=1", `job.properties:1: malformed escape \u=1:`},
	} {
		_, _, err := Parse("job.properties", []byte(tt.in))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), tt.want) || e.ExitCode() != 2 {
			t.Errorf("%q: %v, want %s", tt.in, err, tt.want)
		}
	}
}

func TestLatin1(t *testing.T) {
	l, warnings, err := Parse("job.properties", []byte("job.name=caf\xe9\nb=\\u4f60\n"))
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := l.Get("job.name"); v != "café" {
		t.Errorf("job.name %q", v)
	}
	if v, _ := l.Get("b"); v != "你" {
		t.Errorf("b %q", v)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "ISO-8859-1") {
		t.Errorf("warnings: %v", warnings)
	}
	l, warnings, err = Parse("job.properties", []byte("\xef\xbb\xbfjob.name=bom\n"))
	if v, _ := l.Get("job.name"); v != "bom" || err != nil || len(warnings) > 0 {
		t.Errorf("with a byte order mark: %q, %v, %v", v, warnings, err)
	}
}

// Our scanner and magiconair's parser agree on keys and values, whatever the
// input; every key has the line on which it begins.
func FuzzProperties(f *testing.F) {
	files, _ := filepath.Glob("testdata/java/cases/*.properties")
	for _, file := range append(files, "testdata/samza-0.13.properties") {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, _, err := parseProperties("f", raw)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Origin.Line < 1 {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		text, _ := decodeText(raw)
		ours := map[string]string{}
		n := 0
		for l := range logicalLines(text) {
			key, value := l.split()
			if key == "" {
				continue
			}
			ours[key] = value
			if entries[n].key != key || entries[n].line != l.line {
				t.Fatalf("%q: entry %d is %+v, want %q on line %d", raw, n, entries[n], key, l.line)
			}
			n++
		}
		if n != len(entries) {
			t.Fatalf("%q: %d entries, want %d", raw, len(entries), n)
		}
		for _, e := range entries {
			if e.value != ours[e.key] {
				t.Fatalf("%q: %q is %q by magiconair, %q by us", raw, e.key, e.value, ours[e.key])
			}
			if !utf8.ValidString(e.key) || !utf8.ValidString(e.value) {
				t.Fatalf("%q: %q=%q is not UTF-8", raw, e.key, e.value)
			}
		}
	})
}

// Whatever keys a file has, nothing panics, and no secret comes out.
func FuzzConfig(f *testing.F) {
	raw, err := os.ReadFile("testdata/samza-0.13.properties")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, s := range []string{
		"systems.=1\nsystems..samza.factory=kafka\nstreams..x=1\nstreams.=\nstores..factory=memory\nstores.factory=x\n",
		"task.inputs=.,a,.b,a.,a.b\nheddle.preload.a=1\nheddle.preload.a.b=2\nheddle.preload..=3\n",
		"systems.s.samza.factory=kafka\ntask.inputs=s.t\nstreams.t.samza.physical.name=u\nstreams.u.samza.physical.name=t\n",
		"systems.s." + strings.Repeat("x", 4000) + ".y=1\n",
		"sensitive.x=hidden-value\njob.config.rewriters=a\njob.config.rewriter.a.class=regex\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, _, err := Parse("f", raw)
		if err != nil {
			return
		}
		c := merge(Config{}, l)
		_, _ = Validate(c)
		for _, r := range Resolve(c) {
			if !r.Default && IsSecret(r.Key) && r.Value != Mask {
				t.Fatalf("%+v", r)
			}
		}
		_, _ = Rewrite(c, RewriteInput{Topics: func(string) ([]string, error) { return []string{"t"}, nil }})
		if c.Redacted().Len() != c.Len() || c.WithoutSecrets().Len()+len(c.Secrets()) != c.Len() {
			t.Fatalf("%q", raw)
		}
	})
}
