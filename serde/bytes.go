package serde

import "reflect"

// Bytes are bytes as they are (Samza: ByteSerde, ByteBufferSerde, NoOpSerde).
// It takes []byte and string and decodes to []byte.
type Bytes struct{}

// Append puts v behind dst.
func (Bytes) Append(dst []byte, v any) ([]byte, error) {
	if dst == nil {
		dst = []byte{} // an empty text is no missing one
	}
	switch b := v.(type) {
	case []byte:
		return append(dst, b...), nil
	case string:
		return append(dst, b...), nil
	case nil:
		return dst, cannotEncode("bytes", v, "[]byte and string")
	}
	if r := reflect.ValueOf(v); isBytes(r.Type()) {
		return append(dst, r.Bytes()...), nil
	}
	return dst, cannotEncode("bytes", v, "[]byte and string")
}

// Decode gives b itself.
func (Bytes) Decode(b []byte) (any, error) { return b, nil }

// DecodeInto sets a pointer to []byte, string or any; a slice is b itself.
func (Bytes) DecodeInto(b []byte, v any) error {
	switch p := v.(type) {
	case *[]byte:
		*p = b
		return nil
	case *string:
		*p = string(b)
		return nil
	case *any:
		*p = b
		return nil
	}
	if t, ok := target(v); ok && isBytes(t.Type()) {
		t.SetBytes(b)
		return nil
	}
	return cannotDecodeInto("bytes", v, "[]byte, string or any")
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}
