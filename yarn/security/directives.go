package security

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxChallenge  = 64 << 10 // RFC 2831 allows 2048 bytes; servers have sent more
	maxDirectives = 256
)

// A directive is one name=value of a DIGEST-MD5 challenge or response, the name
// in lower case and the value without its quotes.
type directive struct{ name, value string }

// parseDirectives splits a DIGEST-MD5 challenge or response (RFC 2831 7.1) into
// its directives, in order. Commas count as separators only outside quotes: the
// values of qop and cipher are lists.
func parseDirectives(b []byte) ([]directive, error) {
	if len(b) > maxChallenge {
		return nil, fmt.Errorf("%d bytes are too many", len(b))
	}
	var all []directive
	s := string(b)
	for {
		s = strings.TrimLeft(s, " \t\r\n,")
		if s == "" {
			return all, nil
		}
		if len(all) == maxDirectives {
			return nil, fmt.Errorf("more than %d directives", maxDirectives)
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, " \t\",") {
			return nil, errors.New("a directive is not of the form name=value")
		}
		value, rest, err := directiveValue(strings.TrimLeft(rest, " \t\r\n"))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		all = append(all, directive{strings.ToLower(name), value})
		s = strings.TrimLeft(rest, " \t\r\n")
		if s != "" && s[0] != ',' {
			return nil, fmt.Errorf("%q: something follows the value", name)
		}
	}
}

// directiveValue takes a value, quoted or not, off the front of s.
func directiveValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t\r\n")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], nil
	}
	var v strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return v.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errors.New("the quotes are not closed")
			}
			v.WriteByte(s[i])
		default:
			v.WriteByte(s[i])
		}
	}
	return "", "", errors.New("the quotes are not closed")
}

// quoteDirective writes s as a quoted value.
func quoteDirective(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// one returns the value of a directive that may stand there at most once.
func one(all []directive, name string) (string, bool, error) {
	value, found := "", false
	for _, d := range all {
		if d.name != name {
			continue
		}
		if found {
			return "", false, fmt.Errorf("%s stands there twice", name)
		}
		value, found = d.value, true
	}
	return value, found, nil
}

// list returns the parts of a comma-separated value, in lower case.
func list(value string) []string {
	var parts []string
	for p := range strings.SplitSeq(value, ",") {
		if p = strings.ToLower(strings.TrimSpace(p)); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}
