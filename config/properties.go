package config

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// entry is one key of a properties file. Later entries of one key win.
type entry struct {
	key, value string
	line       int
}

// parseProperties reads a file's bytes as java.util.Properties.load reads
// characters: escapes, continuation lines, =, : and blanks as separators,
// comments with # and !. Bytes are UTF-8; those that are none are all read as
// ISO-8859-1, which the warning says. Errors and warnings bear source and line.
//
// Our scanner cuts the text into logical lines and finds each key's line; the
// values are magiconair's, which gets the logical lines one below the other.
// It cannot have the text as it is: it ends a value at a continued CR LF, keeps
// the line break in a continued key, refuses an empty key and a backslash at
// the very end, and loses characters written as two \u escapes. Java reads all
// of those.
func parseProperties(source string, raw []byte) ([]entry, []Warning, error) {
	var warnings []Warning
	warn := func(line int, key, format string, args ...any) {
		warnings = append(warnings, Warning{Key: key, Origin: Origin{source, line}, Text: fmt.Sprintf(format, args...)})
	}
	input, ok := decodeText(raw)
	if !ok {
		warn(0, "", "%s is not UTF-8; read as ISO-8859-1, as Java does", source)
	}

	var entries []entry
	seen := map[string]int{}
	var plain strings.Builder
	for l := range logicalLines(input) {
		if at, bad := malformedEscape(l.text); bad {
			return nil, warnings, &Error{
				Origin: Origin{source, l.lineAt(at)},
				Problem: fmt.Sprintf(`malformed escape %s: \u takes four hexadecimal digits, and a character beyond FFFF two of them, a high and a low surrogate`,
					cutRunes(l.text[at:], 6)),
				Hint: `write a backslash itself as \\`,
			}
		}
		key, _ := l.split()
		if key == "" {
			warn(l.line, "", "the line has a value but no key; it is passed over")
			continue
		}
		if first, twice := seen[key]; twice {
			warn(l.line, key, "set twice in this file; this one wins over line %d", first)
		}
		seen[key] = l.line
		entries = append(entries, entry{key: key, line: l.line})
		plain.WriteString(normal(l.text))
		plain.WriteByte('\n')
	}

	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes([]byte(plain.String()))
	if err != nil {
		return nil, warnings, &Error{Origin: Origin{Source: source}, Problem: fmt.Sprintf("not a properties file: %v", err)}
	}
	for i, e := range entries {
		// Of a key that is set twice every entry gets the last value, which is
		// the one that counts.
		entries[i].value, _ = p.Get(e.key)
	}
	return entries, warnings, nil
}

// decodeText makes UTF-8 of a file's bytes, without a byte order mark. ok is
// false for what is no UTF-8 and is taken for ISO-8859-1.
func decodeText(raw []byte) (text string, ok bool) {
	if utf8.Valid(raw) {
		return strings.TrimPrefix(string(raw), "\uFEFF"), true
	}
	runes := make([]rune, len(raw))
	for i, b := range raw {
		runes[i] = rune(b)
	}
	return string(runes), false
}

// logicalLine is one line with those that continue it, without the backslashes
// and line breaks between them and the blanks at its beginning.
type logicalLine struct {
	text  string
	line  int   // of its first character
	parts []int // where in text each further natural line begins
}

// lineAt is the natural line of the character at an index of text.
func (l logicalLine) lineAt(i int) int {
	line := l.line
	for _, p := range l.parts {
		if p <= i {
			line++
		}
	}
	return line
}

const blanks = " \t\f"

// logicalLines yields the lines that hold something, comments left out. A line
// that is a mere backslash holds nothing, and continues nothing: what follows
// may be a comment (so java.util.Properties since 9).
func logicalLines(input string) iter.Seq[logicalLine] {
	return func(yield func(logicalLine) bool) {
		input = strings.ReplaceAll(input, "\r\n", "\n")
		input = strings.ReplaceAll(input, "\r", "\n")
		lines := strings.Split(input, "\n")
		for i := 0; i < len(lines); i++ {
			text := strings.TrimLeft(lines[i], blanks)
			if text == "" || text == `\` || text[0] == '#' || text[0] == '!' {
				continue
			}
			l := logicalLine{line: i + 1}
			var b strings.Builder
			for continued(text) {
				b.WriteString(text[:len(text)-1])
				text = ""
				if i++; i == len(lines) {
					break
				}
				l.parts = append(l.parts, b.Len())
				text = strings.TrimLeft(lines[i], blanks)
			}
			b.WriteString(text)
			l.text = b.String()
			if !yield(l) {
				return
			}
		}
	}
}

// continued tells whether a natural line ends in an odd number of backslashes.
func continued(s string) bool {
	n := 0
	for n < len(s) && s[len(s)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// keyEnd is where the key of a logical line ends: before the first separator
// that no backslash precedes.
func keyEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '=', ':', ' ', '\t', '\f':
			return i
		}
	}
	return len(s)
}

// split returns the key and the value of a line: our own reading of it. Only
// the key is used; a fuzz test holds the value to magiconair's.
func (l logicalLine) split() (key, value string) {
	end := keyEnd(l.text)
	rest := strings.TrimLeft(l.text[end:], blanks)
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], blanks)
	}
	return unescape(l.text[:end]), unescape(rest)
}

// unit returns the UTF-16 unit of the escape \uXXXX at the start of s.
func unit(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, h := range s[2:6] {
		switch {
		case h >= '0' && h <= '9':
			r = r<<4 | (h - '0')
		case h >= 'a' && h <= 'f':
			r = r<<4 | (h - 'a' + 10)
		case h >= 'A' && h <= 'F':
			r = r<<4 | (h - 'A' + 10)
		default:
			return 0, false
		}
	}
	return r, true
}

// char returns the character written by one or two \u escapes at the start of
// s, and their length.
func char(s string) (r rune, size int, ok bool) {
	high, ok := unit(s)
	if !ok || !utf16.IsSurrogate(high) {
		return high, 6, ok
	}
	low, ok := unit(s[6:])
	if r = utf16.DecodeRune(high, low); !ok || r == utf8.RuneError {
		return 0, 0, false
	}
	return r, 12, true
}

// malformedEscape finds the first \u escape of a logical line that stands for
// no character.
func malformedEscape(s string) (at int, found bool) {
	for i := 0; i < len(s)-1; i++ {
		if s[i] != '\\' {
			continue
		}
		if s[i+1] != 'u' {
			i++
			continue
		}
		_, size, ok := char(s[i:])
		if !ok {
			return i, true
		}
		i += size - 1
	}
	return 0, false
}

func cutRunes(s string, n int) string {
	r := []rune(s)
	return string(r[:min(n, len(r))])
}

// unescape resolves the escapes of a key.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			if s[i] != '\\' {
				b.WriteByte(s[i])
			}
			continue
		}
		if r, size, ok := char(s[i:]); ok {
			b.WriteRune(r)
			i += size - 1
			continue
		}
		i++
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// normal writes a logical line so that magiconair reads in it what Java does:
// surrogate pairs as the character, no backslash at its end.
func normal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if r, size, ok := char(s[i:]); ok && size == 12 {
			b.WriteRune(r)
			i += size - 1
			continue
		}
		if i+1 == len(s) {
			break
		}
		b.WriteString(s[i : i+2])
		i++
	}
	return b.String()
}
