package kafka

import (
	"maps"
	"strings"
	"testing"
)

func TestParseJAAS(t *testing.T) {
	for _, tt := range []struct {
		text    string
		module  string
		options map[string]string
	}{
		{`a.b.Plain required username="alice" password="x";`, "a.b.Plain", map[string]string{"username": "alice", "password": "x"}},
		{"  M\n\trequired\r\n a=b\n  c = \"d e\" ; \n", "M", map[string]string{"a": "b", "c": "d e"}},
		{`M Required;`, "M", map[string]string{}},
		{`M optional p="a\"b\\c;=\n";`, "M", map[string]string{"p": "a\"b\\c;=\n"}},
		{`M required p="";`, "M", map[string]string{"p": ""}},
		{`M required p="geheim-ü";`, "M", map[string]string{"p": "geheim-ü"}},
	} {
		l, err := parseJAAS(tt.text)
		if err != nil || l.module != tt.module || !maps.Equal(l.options, tt.options) {
			t.Errorf("%q: %+v, %v", tt.text, l, err)
		}
	}
}

func TestParseJAASErrors(t *testing.T) {
	for text, problem := range map[string]string{
		``:                                  "it ends",
		`M`:                                 "it ends",
		`M needed x=s3cr3t;`:                "required was expected",
		`M required p="s3cr3t"`:             "semicolon",
		`M required p s3cr3t;`:              "lacks its =",
		`M required p=;`:                    "value was expected",
		`M required p="s3cr3t`:              "not closed",
		`M required p="s3cr3t\`:             "backslash",
		`M required p=s3cr3t; N required;`:  "first semicolon",
		`M required p="a" = s3cr3t;`:        "option",
		`; M required`:                      "class was expected",
		`M required username="a" s3cr3t=;;`: "value was expected",
	} {
		_, err := parseJAAS(text)
		if err == nil || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v; want %q", text, err, problem)
		}
	}
}

// FuzzParseJAAS: whatever the text, no panic and nothing of it in the error; what
// is read is read again from its canonical form.
func FuzzParseJAAS(f *testing.F) {
	f.Add(`a.b.Plain required username="alice" password="x";`)
	f.Add(`M required p="a\"b\\c;=\n" q=r;`)
	f.Add(`M required p=`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseJAAS(text)
		if err != nil {
			return
		}
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s) + `"`
		}
		again := quote(l.module) + " required"
		for k, v := range l.options {
			again += " " + quote(k) + "=" + quote(v)
		}
		m, err := parseJAAS(again + ";")
		if err != nil || m.module != l.module || !maps.Equal(m.options, l.options) {
			t.Fatalf("%q was read as %+v, its canonical form %q as %+v, %v", text, l, again, m, err)
		}
	})
}
