package yarn

import "strings"

// LogDir stands, in a command or in a value of the environment, for the
// container's log folder.
const LogDir = "<LOG_DIR>"

// RedirectToLogs is the end of a command whose output is to be found among the
// container's logs, as the files stdout and stderr.
const RedirectToLogs = "1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"

// markers are what YARN replaces in commands and environments, besides {{ and }}.
var markers = []string{"<LOG_DIR>", "<CPS>", "<ADD_OPENS>"}

// Var stands, in a command or in a value of the environment, for the value that
// the variable has on the node ("{{PWD}}"). YARN makes $PWD of it, without
// braces: a letter, digit or underscore must not follow.
func Var(name string) string { return "{{" + name + "}}" }

// EnvLiteral writes a value of LaunchContext.Environment such that the process
// gets it as it stands: YARN puts values between double quotes in a shell script.
func EnvLiteral(value string) string {
	return breakMarkers(escapeInDoubleQuotes(value), `""`)
}

// Command writes a command of a LaunchContext from a program and its arguments,
// such that each arrives as it stands. The command passes through two shells;
// parts that a shell shall interpret (Var, redirections) are added to the result.
func Command(args ...string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = escapeInDoubleQuotes(quoteArgument(a))
	}
	return strings.Join(quoted, " ")
}

// ExecCommand is Command that replaces the inner shell and writes its output
// to the container's logs: the process is then the one that gets YARN's signals.
func ExecCommand(args ...string) string {
	return "exec " + Command(args...) + " " + RedirectToLogs
}

const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,@%+-"

// quoteArgument writes a for a POSIX shell.
func quoteArgument(a string) string {
	if a != "" && strings.Trim(a, plainRunes) == "" {
		return a
	}
	return "'" + breakMarkers(strings.ReplaceAll(a, "'", `'\''`), "''") + "'"
}

// escapeInDoubleQuotes protects what a shell interprets between double quotes.
func escapeInDoubleQuotes(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(s)
}

// breakMarkers puts gap, which the shell removes, inside of everything that YARN
// would replace.
func breakMarkers(s, gap string) string {
	for _, m := range markers {
		s = strings.ReplaceAll(s, m, m[:1]+gap+m[1:])
	}
	for _, pair := range []string{"{{", "}}"} {
		// Again and again: in "{{{" the pairs overlap.
		for strings.Contains(s, pair) {
			s = strings.ReplaceAll(s, pair, pair[:1]+gap+pair[1:])
		}
	}
	return s
}
