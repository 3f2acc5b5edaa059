// Package docs has no code; its tests hold the pages to what there is.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// pages are all Markdown files of the repository, with their texts.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || slices.Contains([]string{"build", "node_modules", "testdata"}, d.Name())):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		b, err := os.ReadFile(path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d pages found below %s", len(found), root)
	}
	return found
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	code  = regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]*`")
	flag  = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z-]*)`)
	// name is the use of a flag's name in the source: a string that begins with
	// it, with or without dashes.
	name = regexp.MustCompile(`"(?:--)?([a-z][a-z-]*)[ ="]`)
)

// Every relative link leads to a file of the repository, and to a heading of it if it
// names one.
func TestLinks(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
			if to, ok := all[file]; ok && heading != "" && !slices.Contains(headings(to), heading) {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
	}
}

var (
	title   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unnamed = regexp.MustCompile(`[^\w\- ]`)
)

// headings are those of a page, as links name them.
func headings(text string) (names []string) {
	for _, m := range title.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.ReplaceAll(unnamed.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return names
}

var (
	reference = regexp.MustCompile("`([a-z][a-z0-9-]*(?:\\.[<>a-zA-Z0-9.-]+)+)`")
	ourKey    = regexp.MustCompile("`(heddle\\.[A-Za-z0-9.-]*[A-Za-z0-9])(?:=[^`]*)?`")
	param     = regexp.MustCompile(`<[^>]*>`)
)

// Every key of ours that a page names is in the reference.
func TestKeys(t *testing.T) {
	all := pages(t)
	var known []*regexp.Regexp
	for _, m := range reference.FindAllStringSubmatch(all[filepath.Join(root, "docs", "configuration.md")], -1) {
		parts := param.Split(m[1], -1)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		known = append(known, regexp.MustCompile("^"+strings.Join(parts, ".+")+"$"))
	}
	seen := 0
	for page, text := range all {
		for _, m := range ourKey.FindAllStringSubmatch(text, -1) {
			if slices.Contains([]string{"heddle.topic.ids", "heddle.guarantee"}, m[1]) {
				continue // headers of records
			}
			seen++
			if !slices.ContainsFunc(known, func(k *regexp.Regexp) bool { return k.MatchString(m[1]) }) {
				t.Errorf("%s names the key %s, which there is not", page, m[1])
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d keys were found", seen)
	}
}

var (
	goFile = regexp.MustCompile("`((?:[a-z0-9]+/)*)([a-z0-9_]+\\.go)`")
	room   = regexp.MustCompile("(?m)^\\| `[^|]+\\|")
	folder = regexp.MustCompile("`((?:[a-z0-9]+/)+)`")
)

// Every file of code that a page names exists, and so does every package in the
// table of rooms. A name without a folder is in that of the name before it.
func TestCode(t *testing.T) {
	seen := 0
	for page, text := range pages(t) {
		last := ""
		for _, m := range goFile.FindAllStringSubmatch(text, -1) {
			if m[1] != "" {
				last = m[1]
			}
			if last == "" {
				continue // any package's
			}
			seen++
			if _, err := os.Stat(filepath.Join(root, last, m[2])); err != nil {
				t.Errorf("%s names %s%s: %v", page, last, m[2], err)
			}
		}
		if filepath.Base(page) != "architecture.md" {
			continue
		}
		for _, row := range room.FindAllString(text, -1) {
			for _, m := range folder.FindAllStringSubmatch(row, -1) {
				if info, err := os.Stat(filepath.Join(root, m[1])); err != nil || !info.IsDir() {
					t.Errorf("%s names the folder %s, which there is not", page, m[1])
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d files were found", seen)
	}
}

var bareFile = regexp.MustCompile(`(?:^|[\s(])([a-z0-9_]+\.go)\b`)

// Every file that a package's doc.go names is in the package.
func TestDocFiles(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && len(d.Name()) > 2 && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.Name() != "doc.go":
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range bareFile.FindAllStringSubmatch(string(text), -1) {
			seen++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s names %s: %v", path, m[1], err)
			}
		}
		return err
	})
	if err != nil || seen < 50 {
		t.Errorf("%d files were found, %v", seen, err)
	}
}

// Every command that a page shows calls a script that exists, with files that
// exist and flags that its source names.
func TestCommands(t *testing.T) {
	known := map[string][]string{
		"bin/run-job.sh": flagsOf(t, "cmd/run-job/*.go"),
		"bin/grid.sh":    wordsOf(t, "bin/grid.sh", "bin/grid/*", "deploy/grid/*"),
		"bin/test.sh":    wordsOf(t, "bin/test.sh"),
		"bin/bench.sh":   append(wordsOf(t, "bin/bench.sh"), flagsOf(t, "bench/run/*.go")...),
	}
	seen := 0
	for page, text := range pages(t) {
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
				line, _, _ = strings.Cut(line, " #")
				script, line, ok := scriptOf(line)
				if !ok {
					continue
				}
				seen++
				flags, ok := known[script]
				if !ok {
					if _, err := os.Stat(filepath.Join(root, script)); err != nil {
						t.Errorf("%s: %s: there is no such script", page, strings.TrimSpace(line))
					}
					continue
				}
				for _, m := range flag.FindAllStringSubmatch(line, -1) {
					if !slices.Contains(flags, m[1]) {
						t.Errorf("%s: %s: %s has no flag %s", page, strings.TrimSpace(line), script, m[1])
					}
				}
				for word := range strings.FieldsSeq(line) {
					file, ok := strings.CutPrefix(word, "--config-path=")
					if !ok || !strings.HasPrefix(file, "examples/") {
						continue
					}
					if _, err := os.Stat(filepath.Join(root, file)); err != nil {
						t.Errorf("%s: %s: %v", page, strings.TrimSpace(line), err)
					}
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands were found", seen)
	}
}

var script = regexp.MustCompile(`(?:^|[\s"(])(bin/[a-z-]+\.sh)`)

// scriptOf finds the script that a line calls, and the line from there on.
func scriptOf(line string) (path, rest string, ok bool) {
	m := script.FindStringSubmatchIndex(line)
	if m == nil {
		return "", "", false
	}
	return line[m[2]:m[3]], line[m[2]:], true
}

// flagsOf gives the flags that Go files declare, with --help.
func flagsOf(t *testing.T, pattern string) []string {
	t.Helper()
	flags := []string{"--help"}
	for _, text := range read(t, pattern) {
		for _, m := range name.FindAllStringSubmatch(text, -1) {
			flags = append(flags, "--"+m[1])
		}
	}
	return flags
}

// wordsOf gives the flags that scripts mention.
func wordsOf(t *testing.T, patterns ...string) []string {
	t.Helper()
	var flags []string
	word := regexp.MustCompile(`--[a-z][a-z-]*`)
	for _, p := range patterns {
		for _, text := range read(t, p) {
			flags = append(flags, word.FindAllString(text, -1)...)
		}
	}
	return flags
}

func read(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a folder
		}
		texts = append(texts, string(b))
	}
	return texts
}
