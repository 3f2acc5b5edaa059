package serde

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// JSON is compact JSON in UTF-8 (Samza: JsonSerde, JsonSerdeV2).
//
// Append writes without spaces and without HTML escaping; map keys are sorted,
// so that equal values have equal bytes; []byte is base64 as Jackson writes it;
// a nil slice or map is null. Field names come from Go's `json:"name"` tags
// and are matched with their case.
//
// Decode gives nil, bool, string, []any, map[string]any, int64 for numbers
// written as integers, float64 for the others, and Number for those that fit
// neither. As with Jackson, of members with the same name the last one counts,
// and bytes that are no UTF-8 become U+FFFD.
type JSON struct{}

// Append encodes v behind dst.
func (JSON) Append(dst []byte, v any) ([]byte, error) { return appendJSON("json", dst, v) }

// Decode gives the value as it is described at JSON.
func (JSON) Decode(b []byte) (any, error) {
	var v any
	if err := decodeJSON("json", b, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// DecodeInto reads straight into what v points to.
func (JSON) DecodeInto(b []byte, v any) error { return decodeJSON("json", b, v) }

// Keep is Keeper's.
func (JSON) Keep(v any) (any, bool) {
	switch n := v.(type) {
	case bool, int64:
		return v, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	}
	return nil, false
}

// Number is the literal of a JSON number that is too large for int64 and
// float64. It is written as it was read.
type Number string

// MarshalJSONTo writes the literal.
func (n Number) MarshalJSONTo(e *jsontext.Encoder) error {
	v := jsontext.Value(n)
	if v.Kind() != '0' {
		return fmt.Errorf("%q is no JSON number", string(n))
	}
	return e.WriteValue(v)
}

// UnmarshalJSONFrom keeps the literal.
func (n *Number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if v.Kind() != '0' {
		return fmt.Errorf("%s is no JSON number", v)
	}
	*n = Number(v)
	return nil
}

var (
	writing = json.JoinOptions(
		json.Deterministic(true),
		json.FormatNilSliceAsNull(true),
		json.FormatNilMapAsNull(true),
		jsontext.AllowDuplicateNames(true), // nothing to check: maps have none
		jsontext.AllowInvalidUTF8(true),
	)
	reading = json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true),
	)
	// readingAny makes int64 of integers wherever an any is to be filled. It
	// costs a look-up for each value, so types that hold no any go without.
	readingAny = json.JoinOptions(reading, json.WithUnmarshalers(json.UnmarshalFromFunc(readAny)))
)

func appendJSON(serde string, dst []byte, v any) ([]byte, error) {
	n := len(dst)
	w := appender{dst}
	if err := json.MarshalWrite(&w, v, writing); err != nil {
		return dst[:n], fmt.Errorf("serde %s: encode %T: %w", serde, v, err)
	}
	return w.b, nil
}

// appender writes behind a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func decodeJSON(serde string, b []byte, v any) error {
	if p, ok := v.(*any); ok {
		var err error
		if *p, err = parse(b); err != nil {
			return decodeFailed(serde, v, err)
		}
		return nil
	}
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer {
		return cannotDecodeInto(serde, v, "what JSON can be read into")
	}
	how := shapeOf(to.Type())
	if how.plain != nil && !to.IsNil() && how.plain.read(b, to.Elem()) {
		return nil
	}
	options := reading
	if how.any {
		options = readingAny
	}
	if err := json.Unmarshal(b, v, options); err != nil {
		return decodeFailed(serde, v, err)
	}
	return nil
}

func decodeFailed(serde string, v any, err error) error {
	return fmt.Errorf("serde %s: decode into %T: %w", serde, v, err)
}

// parse reads one JSON text and what must be nothing behind it.
func parse(b []byte) (any, error) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.in.b = b
	d.dec.Reset(&d.in, reading)
	v, err := read(&d.dec)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := d.dec.ReadToken(); err == nil {
		return nil, errors.New("more text follows the JSON value")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return v, nil
}

type decoder struct {
	dec jsontext.Decoder
	in  source
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// source reads a slice; unlike bytes.Buffer it is not taken for its buffer by
// the decoder, which would keep it.
type source struct{ b []byte }

func (s *source) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

func readAny(d *jsontext.Decoder, p *any) error {
	v, err := read(d)
	if err != nil {
		return err
	}
	*p = v
	return nil
}

// read gives the next value. The decoder bounds the depth.
func read(d *jsontext.Decoder) (any, error) {
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	case '0':
		return number(t.String()), nil
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := read(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.ReadToken()
		return list, err
	case '{':
		m := map[string]any{}
		for d.PeekKind() != '}' {
			t, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			name := t.String()
			if m[name], err = read(d); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return m, err
	}
	return nil, fmt.Errorf("unexpected %v", t)
}

func number(literal string) any {
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n
	}
	for _, c := range []byte(literal) {
		if c == '.' || c == 'e' || c == 'E' {
			if f, err := strconv.ParseFloat(literal, 64); err == nil {
				return f
			}
			break
		}
	}
	return Number(literal)
}

// reachesAny tells if an interface may be met when JSON is read into t.
func reachesAny(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return reachesAny(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if reachesAny(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonMarshalerTo = reflect.TypeFor[json.MarshalerTo]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// hasJSONMethod tells if values of t say themselves how they look in JSON.
func hasJSONMethod(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || t.Implements(jsonMarshalerTo) || t.Implements(textMarshaler)
}
