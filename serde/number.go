package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
)

const takesNumbers = "integers of any Go type within its range"

// Integer is Java's Integer: 4 bytes, big-endian (Samza: IntegerSerde). It
// encodes any Go integer that fits and decodes to int32.
type Integer struct{}

// Append encodes v behind dst.
func (Integer) Append(dst []byte, v any) ([]byte, error) {
	n, err := integer("integer", v)
	if err != nil {
		return dst, err
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return dst, fmt.Errorf("serde integer: %d does not fit into 4 bytes; use the serde long", n)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(int32(n))), nil
}

// Decode gives an int32.
func (Integer) Decode(b []byte) (any, error) {
	n, err := readInteger(b)
	if err != nil {
		return nil, err
	}
	return int32(n), nil
}

// DecodeInto reads into a pointer to an integer type or to any.
func (Integer) DecodeInto(b []byte, v any) error {
	n, err := readInteger(b)
	if err != nil {
		return err
	}
	switch p := v.(type) {
	case *int32:
		*p = int32(n)
		return nil
	case *any:
		*p = int32(n)
		return nil
	}
	return setInteger("integer", n, v)
}

// Keep is Keeper's.
func (Integer) Keep(v any) (any, bool) {
	n, err := integer("integer", v)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return nil, false
	}
	return int32(n), true
}

func readInteger(b []byte) (int64, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("serde integer: needs 4 bytes, got %d", len(b))
	}
	return int64(int32(binary.BigEndian.Uint32(b))), nil
}

// Long is Java's Long: 8 bytes, big-endian (Samza: LongSerde). It encodes any
// Go integer that fits and decodes to int64.
type Long struct{}

// Append encodes v behind dst.
func (Long) Append(dst []byte, v any) ([]byte, error) {
	n, err := integer("long", v)
	if err != nil {
		return dst, err
	}
	return binary.BigEndian.AppendUint64(dst, uint64(n)), nil
}

// Decode gives an int64.
func (Long) Decode(b []byte) (any, error) {
	n, err := readLong(b)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// DecodeInto reads into a pointer to an integer type or to any.
func (Long) DecodeInto(b []byte, v any) error {
	n, err := readLong(b)
	if err != nil {
		return err
	}
	return setInteger("long", n, v)
}

// Keep is Keeper's.
func (Long) Keep(v any) (any, bool) {
	if _, ok := v.(int64); ok {
		return v, true
	}
	n, err := integer("long", v)
	if err != nil {
		return nil, false
	}
	return n, true
}

func readLong(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("serde long: needs 8 bytes, got %d", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// Double is Java's Double: the 8 bytes of IEEE 754, big-endian (Samza:
// DoubleSerde). It encodes floats and integers and decodes to float64.
type Double struct{}

// Append encodes v behind dst.
func (d Double) Append(dst []byte, v any) ([]byte, error) {
	f, ok := float(v)
	if !ok {
		return dst, cannotEncode("double", v, "floats and integers")
	}
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f)), nil
}

// Decode gives a float64.
func (Double) Decode(b []byte) (any, error) {
	f, err := readDouble(b)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// DecodeInto reads into a pointer to a float type or to any.
func (Double) DecodeInto(b []byte, v any) error {
	f, err := readDouble(b)
	if err != nil {
		return err
	}
	switch p := v.(type) {
	case *float64:
		*p = f
		return nil
	case *any:
		*p = f
		return nil
	}
	if t, ok := target(v); ok && t.CanFloat() {
		t.SetFloat(f)
		return nil
	}
	return cannotDecodeInto("double", v, "a float type or any")
}

// Keep is Keeper's.
func (Double) Keep(v any) (any, bool) {
	if _, ok := v.(float64); ok {
		return v, true
	}
	f, ok := float(v)
	return f, ok
}

func readDouble(b []byte) (float64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("serde double: needs 8 bytes, got %d", len(b))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

func float(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case nil:
		return 0, false
	}
	r := reflect.ValueOf(v)
	switch {
	case r.CanFloat():
		return r.Float(), true
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	}
	return 0, false
}

func integer(serde string, v any) (int64, error) {
	switch n := v.(type) {
	case int64:
		return n, nil
	case int32:
		return int64(n), nil
	case int:
		return int64(n), nil
	case nil:
		return 0, cannotEncode(serde, v, takesNumbers)
	}
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int(), nil
	case r.CanUint() && r.Uint() <= math.MaxInt64:
		return int64(r.Uint()), nil
	case r.CanUint():
		return 0, fmt.Errorf("serde %s: %d does not fit into 8 bytes with a sign", serde, r.Uint())
	}
	return 0, cannotEncode(serde, v, takesNumbers)
}

// setInteger sets what v points to, an integer of any type or an any.
func setInteger(serde string, n int64, v any) error {
	switch p := v.(type) {
	case *int64:
		*p = n
		return nil
	case *int:
		if int64(int(n)) == n {
			*p = int(n)
			return nil
		}
	case *any:
		*p = n
		return nil
	}
	t, ok := target(v)
	switch {
	case !ok:
	case t.CanInt():
		if t.OverflowInt(n) {
			return fmt.Errorf("serde %s: %d does not fit into %T", serde, n, v)
		}
		t.SetInt(n)
		return nil
	case t.CanUint():
		if n < 0 || t.OverflowUint(uint64(n)) {
			return fmt.Errorf("serde %s: %d does not fit into %T", serde, n, v)
		}
		t.SetUint(uint64(n))
		return nil
	}
	return cannotDecodeInto(serde, v, "an integer type or any")
}
