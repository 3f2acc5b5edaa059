package serde

import "reflect"

// Text is a string in UTF-8 (Samza: StringSerde). It takes strings, and bytes
// as they are; of anything else it makes the compact JSON text. It decodes to
// string; bytes that are no UTF-8 are kept as they are.
type Text struct{}

// Append encodes v behind dst.
func (Text) Append(dst []byte, v any) ([]byte, error) {
	if dst == nil {
		dst = []byte{} // an empty text is no missing one
	}
	switch s := v.(type) {
	case string:
		return append(dst, s...), nil
	case []byte:
		return append(dst, s...), nil
	case nil:
		return dst, cannotEncode("string", v, "strings, bytes, and what JSON can hold")
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.String && !hasJSONMethod(r.Type()) {
		return append(dst, r.String()...), nil
	}
	return appendJSON("string", dst, v)
}

// Decode gives a string.
func (Text) Decode(b []byte) (any, error) { return string(b), nil }

// DecodeInto reads into a pointer to a string type, []byte or any; with any
// other pointer the text is taken for JSON.
func (Text) DecodeInto(b []byte, v any) error {
	switch p := v.(type) {
	case *string:
		*p = string(b)
		return nil
	case *[]byte:
		*p = append([]byte(nil), b...)
		return nil
	case *any:
		*p = string(b)
		return nil
	}
	if t, ok := target(v); ok && t.Kind() == reflect.String && !hasJSONMethod(t.Type()) {
		t.SetString(string(b))
		return nil
	}
	return decodeJSON("string", b, v)
}

// Keep is Keeper's.
func (Text) Keep(v any) (any, bool) {
	if _, ok := v.(string); ok {
		return v, true
	}
	return nil, false
}
