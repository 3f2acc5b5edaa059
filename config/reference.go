package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Reference writes the reference of all keys as Markdown: docs/configuration.md.
func Reference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("<!-- Written by `run-job config-reference`; do not edit. -->\n\n")
	b.WriteString(referenceIntro)
	decls := Declarations()
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n", s.name, s.doc)
		for _, d := range decls {
			if d.Section == s.name && d.Status != NoMeaning {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, code(d.Default, d.Type), cell(d))
			}
		}
		var none []string
		for _, d := range decls {
			if d.Section == s.name && d.Status == NoMeaning {
				none = append(none, fmt.Sprintf("- `%s`: %s\n", d.Name, d.Doc))
			}
		}
		if len(none) > 0 {
			b.WriteString("\nWithout a meaning here, named in one warning:\n\n" + strings.Join(none, ""))
		}
	}
	b.WriteString("\n## Names\n\nWhere a key names a class, our name, Samza's class name and the class's simple name mean the same.\n\n| Kind | Name | Samza's class | |\n|---|---|---|---|\n")
	for _, a := range aliases {
		class := ""
		if a.Class != "" {
			class = "`" + a.Class + "`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", a.Kind, a.Name, class, a.Missing)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const referenceIntro = "A job is described by one or more `.properties` files in Java's syntax (UTF-8), and by `--config key=value`.\n" +
	"Layers are merged in order: later files win over earlier ones, `--config` wins over files; an empty value removes\n" +
	"the key. Keys are Samza's, in old and new spellings, and our own, which begin with `heddle.`.\n\n" +
	"`<x>` stands for a name, `<x...>` for a name that may hold dots. A key that is *not supported yet* is an error if its\n" +
	"value is not the default; one with *no effect yet*, and one without a meaning here, is named in a warning.\n"

func code(def, typ string) string {
	switch {
	case def == "":
		return ""
	case strings.Contains(def, " ") && typ != "text":
		return escapeCell(def)
	case strings.Contains(def, " "):
		return escapeCell(def)
	}
	return "`" + def + "`"
}

func cell(d Decl) string {
	s := escapeCell(d.Doc)
	if d.Required {
		s = "**Required.** " + s
	}
	if d.Secret {
		s += " Secret."
	}
	if len(d.Old) > 0 {
		s += " Old spelling: `" + strings.Join(d.Old, "`, `") + "`."
	}
	if d.Status != Works {
		s += " *" + strings.ToUpper(string(d.Status)[:1]) + string(d.Status)[1:] + ".*"
	}
	return s
}

// escapeCell keeps a text from ending a table's cell, and placeholders from
// being taken for HTML.
func escapeCell(s string) string {
	var b strings.Builder
	inCode := false
	for _, r := range s {
		switch {
		case r == '`':
			inCode = !inCode
			b.WriteRune(r)
		case r == '|':
			b.WriteString(`\|`)
		case r == '<' && !inCode:
			b.WriteString(`\<`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ReferenceJSON writes the reference as one JSON array of objects.
func ReferenceJSON(w io.Writer) error {
	type key struct {
		Key      string   `json:"key"`
		Section  string   `json:"section"`
		Type     string   `json:"type"`
		Default  string   `json:"default,omitempty"`
		Doc      string   `json:"doc"`
		Old      []string `json:"oldSpellings,omitempty"`
		Status   string   `json:"status,omitempty"`
		Secret   bool     `json:"secret,omitempty"`
		Required bool     `json:"required,omitempty"`
		Heddle   bool     `json:"heddle,omitempty"`
	}
	var out []key
	for _, d := range Declarations() {
		out = append(out, key{d.Name, d.Section, d.Type, d.Default, d.Doc, d.Old, string(d.Status), d.Secret, d.Required, d.Ours})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
