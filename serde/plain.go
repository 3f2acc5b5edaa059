package serde

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// This file reads JSON objects into plain structs: those of strings, numbers,
// booleans and structs of the same kind, which is what most messages are. The
// library takes four times as long for them, and that was more than half of the
// processor time of a job that counts (docs/design/json.md).
//
// It knows only what needs no thought. Whatever else it meets (an escape, a number
// that does not fit, an unknown member that is no scalar, anything malformed) it
// leaves to the library, which reads the whole text again. Until then it has written
// what the library writes, too, so nothing shows that it was there.

// shape is what is known of a type that JSON is read into.
type shape struct {
	// any: an interface may be met.
	any bool
	// plain is nil where only the library can read it.
	plain *plain
}

var shapes sync.Map // reflect.Type -> shape

func shapeOf(t reflect.Type) shape {
	if v, ok := shapes.Load(t); ok {
		return v.(shape)
	}
	s := shape{any: reachesAny(t, map[reflect.Type]bool{}), plain: plainOf(t.Elem())}
	shapes.Store(t, s)
	return s
}

// plain is a struct type.
type plain struct{ members []member }

// member is one field of a plain struct.
type member struct {
	name  string
	index int
	kind  reflect.Kind
	bits  int
	plain *plain // of a struct
}

// plainOf is nil if values of t are no plain structs.
func plainOf(t reflect.Type) *plain {
	if t.Kind() != reflect.Struct || readsItself(t) {
		return nil
	}
	p := &plain{}
	seen := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		switch {
		case tag == "-" || !f.IsExported() && !tagged && !f.Anonymous:
			continue
		case f.Anonymous || !f.IsExported():
			return nil
		}
		m := member{index: i, kind: f.Type.Kind()}
		if m.name, tagged = nameOf(f.Name, tag); !tagged || seen[m.name] {
			return nil
		}
		seen[m.name] = true
		switch m.kind {
		case reflect.String, reflect.Bool:
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
			reflect.Float32, reflect.Float64:
			m.bits = f.Type.Bits()
		case reflect.Struct:
			if m.plain = plainOf(f.Type); m.plain == nil {
				return nil
			}
		default:
			return nil
		}
		// Of other types than structs a method of any kind is reason enough: the
		// library reads time.Duration in a way of its own.
		if m.kind != reflect.Struct && reflect.PointerTo(f.Type).NumMethod() > 0 {
			return nil
		}
		p.members = append(p.members, m)
	}
	return p
}

// nameOf is the name of a field in JSON; ok is false if its tag says more than what
// makes no difference to reading.
func nameOf(field, tag string) (name string, ok bool) {
	name, options, _ := strings.Cut(tag, ",")
	if options != "" && options != "omitempty" && options != "omitzero" {
		return "", false
	}
	if name == "" {
		return field, true
	}
	for _, c := range []byte(name) {
		if c >= utf8.RuneSelf || c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return "", false
		}
	}
	return name, true
}

var (
	jsonUnmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	jsonUnmarshalerFrom = reflect.TypeFor[json.UnmarshalerFrom]()
	textUnmarshaler     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsItself tells if values of t say themselves how they are read.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(jsonUnmarshalerFrom) || p.Implements(textUnmarshaler)
}

// read reads a JSON text; false leaves it to the library.
func (p *plain) read(b []byte, v reflect.Value) bool {
	i := p.object(b, space(b, 0), v)
	return i >= 0 && space(b, i) == len(b)
}

// object reads an object that begins at an index and gives the index behind it; below
// 0 means that the library has to read. So it is with all that follow.
func (p *plain) object(b []byte, i int, v reflect.Value) int {
	if at(b, i) != '{' {
		return -1
	}
	i = space(b, i+1)
	if at(b, i) == '}' {
		return i + 1
	}
	for next := 0; ; next++ {
		from := i + 1
		to := text(b, i)
		if to < 0 {
			return -1
		}
		if i = space(b, to); at(b, i) != ':' {
			return -1
		}
		i = space(b, i+1)
		// Mostly the members come in the order of the fields.
		if next = p.find(b[from:to-1], next); next < 0 {
			i = skip(b, i)
		} else {
			m := &p.members[next]
			i = m.value(b, i, v.Field(m.index))
		}
		if i < 0 {
			return -1
		}
		i = space(b, i)
		switch at(b, i) {
		case ',':
			i = space(b, i+1)
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

// find is the place of a member by its name, which is looked for at one place first;
// -1 if there is none.
func (p *plain) find(name []byte, first int) int {
	if uint(first) < uint(len(p.members)) && p.members[first].name == string(name) {
		return first
	}
	for i := range p.members {
		if p.members[i].name == string(name) {
			return i
		}
	}
	return -1
}

func (m *member) value(b []byte, i int, v reflect.Value) int {
	if at(b, i) == 'n' {
		if i = literal(b, i, "null"); i >= 0 {
			v.SetZero()
		}
		return i
	}
	switch m.kind {
	case reflect.String:
		to := text(b, i)
		if to < 0 {
			return -1
		}
		// What is there already costs nothing.
		if s := b[i+1 : to-1]; v.String() != string(s) {
			v.SetString(string(s))
		}
		return to
	case reflect.Bool:
		is := at(b, i) == 't'
		word := "false"
		if is {
			word = "true"
		}
		if i = literal(b, i, word); i >= 0 {
			v.SetBool(is)
		}
		return i
	case reflect.Struct:
		return m.plain.object(b, i, v)
	case reflect.Float32, reflect.Float64:
		to, _ := digits(b, i)
		if to < 0 {
			return -1
		}
		f, err := strconv.ParseFloat(string(b[i:to]), m.bits)
		if err != nil {
			return -1
		}
		v.SetFloat(f)
		return to
	}
	return m.integer(b, i, v)
}

// maxDigits is how many digits surely fit into 64 bits.
const maxDigits = 18

func (m *member) integer(b []byte, i int, v reflect.Value) int {
	to, whole := digits(b, i)
	negative := at(b, i) == '-'
	if negative {
		i++
	}
	if to < 0 || !whole || to-i > maxDigits {
		return -1
	}
	var n int64
	for _, c := range b[i:to] {
		n = 10*n + int64(c-'0')
	}
	switch {
	case negative && n == 0:
		return -1
	case negative:
		n = -n
	}
	if m.kind >= reflect.Uint && m.kind <= reflect.Uint64 {
		if negative || v.OverflowUint(uint64(n)) {
			return -1
		}
		v.SetUint(uint64(n))
		return to
	}
	if v.OverflowInt(n) {
		return -1
	}
	v.SetInt(n)
	return to
}

// skip passes a scalar.
func skip(b []byte, i int) int {
	switch at(b, i) {
	case '"':
		return text(b, i)
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	}
	i, _ = digits(b, i)
	return i
}

// at is the byte at an index; 0, which JSON has nowhere, behind the end.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

func space(b []byte, i int) int {
	for uint(i) < uint(len(b)) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// text passes a string without escapes.
func text(b []byte, i int) int {
	if at(b, i) != '"' {
		return -1
	}
	i++
	from, all := i, byte(0)
	for ; uint(i) < uint(len(b)); i++ {
		c := b[i]
		if c == '"' {
			if all >= utf8.RuneSelf && !utf8.Valid(b[from:i]) {
				return -1
			}
			return i + 1
		}
		if c == '\\' || c < ' ' {
			return -1
		}
		all |= c
	}
	return -1
}

func literal(b []byte, i int, word string) int {
	if i+len(word) > len(b) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// digits passes a number; whole: it has neither a fraction nor an exponent.
func digits(b []byte, i int) (to int, whole bool) {
	if at(b, i) == '-' {
		i++
	}
	first := at(b, i)
	to = run(b, i)
	if to == i || first == '0' && to > i+1 {
		return -1, false
	}
	whole = true
	if at(b, to) == '.' {
		whole, i = false, to+1
		if to = run(b, i); to == i {
			return -1, false
		}
	}
	if at(b, to)|0x20 == 'e' {
		whole, i = false, to+1
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		if to = run(b, i); to == i {
			return -1, false
		}
	}
	return to, whole
}

// run passes digits.
func run(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i]-'0' < 10 {
		i++
	}
	return i
}
