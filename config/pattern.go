package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pattern is a key's name cut into literal parts and placeholders.
type pattern struct {
	name  string
	parts []part
}

type part struct {
	text string
	hole bool // text is a placeholder's name
	dots bool // what it stands for may hold dots
}

func parsePattern(name string) pattern {
	p := pattern{name: name}
	for rest := name; rest != ""; {
		open := strings.IndexByte(rest, '<')
		end := strings.IndexByte(rest, '>')
		if open < 0 || end < open {
			p.parts = append(p.parts, part{text: rest})
			break
		}
		if open > 0 {
			p.parts = append(p.parts, part{text: rest[:open]})
		}
		hole, dots := strings.CutSuffix(rest[open+1:end], "...")
		p.parts = append(p.parts, part{text: hole, hole: true, dots: dots})
		rest = rest[end+1:]
	}
	return p
}

// fill puts the params in the placeholders; one too few leaves its
// placeholder, one too many is not used.
func (p pattern) fill(params []string) string {
	if len(p.parts) == 1 && !p.parts[0].hole {
		return p.name
	}
	var b strings.Builder
	for _, q := range p.parts {
		switch {
		case !q.hole:
			b.WriteString(q.text)
		case len(params) > 0:
			b.WriteString(params[0])
			params = params[1:]
		default:
			b.WriteString("<" + q.text + ">")
		}
	}
	return b.String()
}

func (p pattern) fixed() bool {
	return !slices.ContainsFunc(p.parts, func(q part) bool { return q.hole })
}

// literals is the number of literal bytes: of two patterns that match, the one
// with more is meant.
func (p pattern) literals() int {
	n := 0
	for _, q := range p.parts {
		if !q.hole {
			n += len(q.text)
		}
	}
	return n
}

func (p pattern) regexp() *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for _, q := range p.parts {
		switch {
		case !q.hole:
			b.WriteString(regexp.QuoteMeta(q.text))
		case q.dots:
			b.WriteString("(.+)")
		default:
			b.WriteString(`([^.]+)`)
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// spelling is one way to write a declared key.
type spelling struct {
	d       *Decl
	pattern pattern
	re      *regexp.Regexp
	old     bool
}

// index finds the declaration of a key.
type index struct {
	exact    map[string]spelling
	patterns []spelling // the most literal first
}

var theIndex = sync.OnceValue(func() index {
	ix := index{exact: map[string]spelling{}}
	add := func(d *Decl, name string, old bool) {
		s := spelling{d: d, pattern: parsePattern(name), old: old}
		if s.pattern.fixed() {
			if _, taken := ix.exact[name]; !taken || !old {
				ix.exact[name] = s
			}
			return
		}
		s.re = s.pattern.regexp()
		ix.patterns = append(ix.patterns, s)
	}
	for _, d := range registry {
		add(d, d.Name, false)
		for _, o := range d.Old {
			add(d, o, true)
		}
		for _, o := range d.places {
			add(d, o, false)
		}
	}
	slices.SortStableFunc(ix.patterns, func(a, b spelling) int {
		return cmp.Or(cmp.Compare(b.pattern.literals(), a.pattern.literals()), strings.Compare(a.pattern.name, b.pattern.name))
	})
	return ix
})

// match finds the declaration of a key under any of its spellings; nil when
// there is none.
func match(key string) (*Decl, spelling) {
	ix := theIndex()
	if s, ok := ix.exact[key]; ok {
		return s.d, s
	}
	for _, s := range ix.patterns {
		if strings.HasPrefix(key, s.pattern.parts[0].text) && s.re.MatchString(key) && !s.misses(key) {
			return s.d, s
		}
	}
	return nil, spelling{}
}

// misses tells whether a key that fits the pattern of another program's
// settings is none: what is called samza.* for a stream is Samza's, and each is
// declared by itself.
func (s spelling) misses(key string) bool {
	return s.d.passThrough && s.d.Status == Works && (s.d.Section == sectionSystem || s.d.Section == sectionStream) && strings.Contains(key, ".samza.")
}
