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

// render is a line with its time, no longer than the terminal is wide.
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
	prefix := clock + "  " + label + " "
	room := width - utf8.RuneCountInString(prefix)
	text := printable(l.text)
	hint := ""
	if l.hint != "" {
		hint = "   " + l.hint
	}
	// An error is shown whole, everything else keeps to its line.
	if l.kind != bad && width > 0 {
		text = shorten(text, room)
		if utf8.RuneCountInString(text)+utf8.RuneCountInString(hint) > room {
			hint = ""
		}
	}
	return s.paint(dim, clock) + "  " + s.paint(code, label) + " " + text + s.paint(dim, hint)
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
