// Package jackson writes JSON strings exactly as Java's Jackson library does,
// for bytes that are compared with those that Samza wrote (keys of compacted
// topics). Reading needs nothing of the kind: any JSON parser does.
package jackson

import "unicode/utf8"

const upperHex = "0123456789ABCDEF"

// AppendString appends s as a JSON string the way Jackson's writer of strings
// does (ObjectMapper.writeValueAsString): the quote, the backslash and the
// control characters below U+0020 are escaped, everything else stays UTF-8, also
// <, >, &, U+2028, U+2029 and characters beyond the BMP. Bytes that are no UTF-8
// become U+FFFD.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s, false) }

// AppendStringSurrogates is AppendString, but writes characters beyond the BMP
// as a pair of surrogate escapes, as Jackson's writer of bytes does
// (ObjectMapper.writeValueAsBytes and writeValue to an output stream).
func AppendStringSurrogates(dst []byte, s string) []byte { return appendString(dst, s, true) }

func appendString(dst []byte, s string, surrogates bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + size
			case r > 0xFFFF && surrogates:
				dst = append(dst, s[start:i]...)
				r -= 0x10000
				dst = appendEscape(dst, 0xD800+r>>10)
				dst = appendEscape(dst, 0xDC00+r&0x3FF)
				start = i + size
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = appendEscape(dst, rune(c))
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', upperHex[r>>12&15], upperHex[r>>8&15], upperHex[r>>4&15], upperHex[r&15])
}
