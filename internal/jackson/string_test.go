package jackson

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendString(t *testing.T) {
	for _, c := range []struct{ in, text, bytes string }{
		{"", `""`, `""`},
		{"plain", `"plain"`, `"plain"`},
		{"a\"b\\c/d", `"a\"b\\c/d"`, `"a\"b\\c/d"`},
		{"\b\t\n\f\r\x00\x1b\x7f", `"\b\t\n\f\r\u0000\u001B` + "\x7f" + `"`, `"\b\t\n\f\r\u0000\u001B` + "\x7f" + `"`},
		{"<a>&'", `"<a>&'"`, `"<a>&'"`},
		{"\u2028\u2029é中", "\"\u2028\u2029é中\"", "\"\u2028\u2029é中\""},
		{"x😀y", `"x😀y"`, `"x\uD83D\uDE00y"`},
		{"a\xffb", "\"a\uFFFDb\"", "\"a\uFFFDb\""},
	} {
		if got := string(AppendString(nil, c.in)); got != c.text {
			t.Errorf("AppendString(%q) = %s, want %s", c.in, got, c.text)
		}
		if got := string(AppendStringSurrogates(nil, c.in)); got != c.bytes {
			t.Errorf("AppendStringSurrogates(%q) = %s, want %s", c.in, got, c.bytes)
		}
	}
}

func TestAppendStringReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		want := strings.ToValidUTF8(s, "\uFFFD")
		for _, b := range [][]byte{AppendString(nil, s), AppendStringSurrogates(nil, s)} {
			var got string
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			// ToValidUTF8 replaces runs, the writers each byte.
			if squeeze(got) != squeeze(want) {
				t.Fatalf("wrote %q, read back %q", s, got)
			}
		}
	})
}

func squeeze(s string) string {
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}
