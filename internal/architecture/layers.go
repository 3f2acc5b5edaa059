package architecture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Module is this module's path.
const Module = "heddle"

// layers are the rooms in the order of the design's table: each may import those before it.
var layers = []string{
	"task", "config", "table", "metrics", "serde", "system", "storage", "checkpoint", "jobmodel",
	"coordinator", "container", "yarn", "am", "job", "cmd", "bench", "examples",
}

// alone are the rooms that import nothing of ours, so that others can use them without the rest.
var alone = []string{"task", "config", "table", "yarn"}

// leaves are packages that rooms above theirs may import, too, since they import nothing of other
// rooms.
var leaves = map[string][]string{
	"yarn/security":   {"coordinator", "container"},
	"yarn/hadoopconf": {"system", "container"},
}

// testOnly are packages that no source file may import but a test.
var testOnly = []string{"internal/grid", "internal/heard", "internal/architecture"}

// Check returns one line for each import that is not allowed, sorted. The keys of imports are the
// packages of this module, without the module's path ("system/kafka"); the values what they import
// of it.
//
// Packages under internal/ at the top have no layer of their own: what they import counts as
// imported by those who import them.
func Check(imports map[string][]string) []string {
	var found []string
	for _, importer := range slices.Sorted(maps.Keys(imports)) {
		from := room(importer)
		if from != "internal" && !slices.Contains(layers, from) {
			found = append(found, fmt.Sprintf("%s: the design's table of layers has no %s/; add it to both", importer, from))
			continue
		}
		for _, imported := range imports[importer] {
			if why := forbidden(importer, imported); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", importer, imported, why))
			}
		}
		if from == "internal" {
			continue
		}
		for imported, via := range throughInternal(importer, imports) {
			if why := forbidden(importer, imported); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s through %s: %s", importer, imported, via, why))
			}
		}
	}
	slices.Sort(found)
	return found
}

// forbidden says why one package may not import another, or nothing.
func forbidden(importer, imported string) string {
	from, to := room(importer), room(imported)
	switch {
	case slices.Contains(testOnly, imported):
		return "it is for tests only"
	case from == to && from != "examples":
		return ""
	case from == "examples":
		return forbiddenInExample(importer, imported)
	case to == "examples" && (from == "cmd" || from == "bench"):
		return "" // the stock programs register the examples' tasks
	case to == "cmd" || to == "examples" || to == "bench":
		return to + "/ is imported by nobody"
	case from == "internal":
		return "" // counted for those who import it
	case slices.Contains(alone, from):
		return from + "/ imports nothing of ours"
	case to == "internal", slices.Contains(leaves[imported], from):
		return ""
	case slices.Index(layers, to) > slices.Index(layers, from):
		return fmt.Sprintf("%s/ stands below %s/ in the order of layers", to, from)
	}
	return ""
}

// forbiddenInExample: an example shows what a user can do, in a module of the user's own.
func forbiddenInExample(importer, imported string) string {
	to := room(imported)
	switch {
	case example(importer) == example(imported):
		return ""
	case slices.Contains(strings.Split(imported, "/"), "internal"):
		return "an example imports public packages only"
	case to == "cmd" || to == "bench":
		return to + "/ is imported by nobody"
	}
	return ""
}

// throughInternal are the packages that the importer reaches by way of internal/ packages, with the
// internal package that imports each.
func throughInternal(importer string, imports map[string][]string) map[string]string {
	reached := map[string]string{}
	seen := map[string]bool{}
	var visit func(string)
	visit = func(p string) {
		for _, imported := range imports[p] {
			if room(p) == "internal" && room(imported) != "internal" {
				reached[imported] = p
			}
			if room(imported) == "internal" && !seen[imported] {
				seen[imported] = true
				visit(imported)
			}
		}
	}
	visit(importer)
	return reached
}

// room is the first element of a package's path in the module.
func room(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

// example is the folder of one example: its first two elements.
func example(p string) string {
	elements := strings.SplitN(p, "/", 3)
	return strings.Join(elements[:min(2, len(elements))], "/")
}
