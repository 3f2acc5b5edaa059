package console

import (
	"strings"
	"unicode/utf8"
)

// style is how lines look on this terminal.
type style struct{ color bool }

// ANSI's codes of what is used.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"

	// eraseLine takes the present line away, wherever the cursor stands in it.
	eraseLine = "\r\x1b[K"
)

func (s style) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return code + text + reset
}

const labelWidth = 8

// linesMost is how many lines of a terminal one line of the run may take: a
// message is worth more than one, and must not fill the screen.
const linesMost = 3

// render is a line with its time, in as many lines as the terminal's width asks
// for. A hint that finds no room behind the text stands on a line of its own.
func (s style) render(clock string, l line, width int) string {
	label := l.label + strings.Repeat(" ", max(0, labelWidth-utf8.RuneCountInString(l.label)))
	code := cyan
	switch l.kind {
	case good:
		code = green
	case bad:
		code = red
	case careful:
		code = yellow
	case plain:
	}
	indent := utf8.RuneCountInString(clock) + 2 + utf8.RuneCountInString(label) + 1
	room := max(width-indent, 20)
	text := []string{printable(l.text)}
	// An error is shown whole and as it is, to be copied.
	if l.kind != bad && width > 0 {
		text = wrap(text[0], room, linesMost)
	}
	gap := "\n" + strings.Repeat(" ", indent)
	out := s.paint(dim, clock) + "  " + s.paint(code, label) + " " + strings.Join(text, gap)
	switch {
	case l.hint == "":
		return out
	case utf8.RuneCountInString(text[len(text)-1])+3+utf8.RuneCountInString(l.hint) <= room:
		return out + s.paint(dim, "   "+l.hint)
	}
	return out + gap + s.paint(dim, shorten(l.hint, room))
}

// wrap breaks text into lines of a width, between words where that does not
// leave half of a line empty; what is too much for most lines is cut off.
func wrap(text string, width, most int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width && len(lines) < most-1 {
		end := width
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				end = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:end]), " "))
		for end < len(rest) && rest[end] == ' ' {
			end++
		}
		rest = rest[end:]
	}
	return append(lines, shorten(string(rest), width))
}

// shorten cuts text to a width, and shows that it did.
func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	if width <= 3 {
		return ""
	}
	return string([]rune(text)[:width-3]) + "..."
}

// printable takes away what would move the cursor or change colours: messages
// may hold anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
