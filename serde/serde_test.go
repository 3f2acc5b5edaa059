package serde

import (
	"bytes"
	"encoding/hex"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heddle/task"
)

func find(t testing.TB, name string) task.Serde {
	t.Helper()
	s, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNames(t *testing.T) {
	for name, want := range map[string]task.Serde{
		"string": Text{}, "integer": Integer{}, "int": Integer{}, "long": Long{}, "double": Double{},
		"byte": Bytes{}, "bytes": Bytes{}, "bytebuffer": Bytes{}, "json": JSON{}, "metrics-snapshot": JSON{},
		"org.apache.samza.serializers.StringSerdeFactory":          Text{},
		"org.apache.samza.serializers.IntegerSerdeFactory":         Integer{},
		"org.apache.samza.serializers.LongSerdeFactory":            Long{},
		"org.apache.samza.serializers.DoubleSerdeFactory":          Double{},
		"org.apache.samza.serializers.ByteSerdeFactory":            Bytes{},
		"org.apache.samza.serializers.ByteBufferSerdeFactory":      Bytes{},
		"org.apache.samza.serializers.NoOpSerde":                   Bytes{},
		"org.apache.samza.serializers.JsonSerdeFactory":            JSON{},
		"org.apache.samza.serializers.JsonSerdeV2Factory":          JSON{},
		"org.apache.samza.serializers.MetricsSnapshotSerdeFactory": JSON{},
		"JsonSerde": JSON{},
	} {
		if got := find(t, name); got != want {
			t.Errorf("%s: %T, want %T", name, got, want)
		}
	}
	for _, name := range []string{"", "xml", "Factory", "org.apache.samza.serializers."} {
		if _, err := New(name); err == nil || !strings.Contains(err.Error(), "double, integer, json, long, string") {
			t.Errorf("%q: error %v does not list the names", name, err)
		}
	}
	if _, err := New("org.apache.samza.serializers.SerializableSerdeFactory"); err == nil || !strings.Contains(err.Error(), "Java") {
		t.Errorf("Java's own format: %v", err)
	}
	if !slices.IsSorted(Names()) {
		t.Errorf("%v is not sorted", Names())
	}
}

type (
	label string
	score int16
	blob  []byte
	ratio float32
)

type click struct {
	User    string  `json:"user"`
	Average float64 `json:"averageLatencyMs"`
	Clicks  int     `json:"clicks"`
}

type loud string

func (l loud) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(l))), nil }

func TestEncode(t *testing.T) {
	tests := []struct {
		serde string
		value any
		want  string // hex for numbers and bytes, else the text; "!" and a part of the error
	}{
		{"integer", int32(50), "00000032"},
		{"integer", -1, "ffffffff"},
		{"integer", int64(math.MinInt32), "80000000"},
		{"integer", uint8(255), "000000ff"},
		{"integer", score(7), "00000007"},
		{"integer", int64(math.MaxInt32) + 1, "!does not fit into 4 bytes; use the serde long"},
		{"integer", "7", "!cannot encode string: it takes integers"},
		{"integer", nil, "!cannot encode <nil>"},
		{"integer", 1.5, "!cannot encode float64"},
		{"long", int64(1), "0000000000000001"},
		{"long", -2, "fffffffffffffffe"},
		{"long", uint64(math.MaxUint64), "!does not fit"},
		{"long", []byte("x"), "!cannot encode []uint8"},
		{"double", 66.5, "4050a00000000000"},
		{"double", ratio(0.5), "3fe0000000000000"},
		{"double", 2, "4000000000000000"},
		{"double", uint(2), "4000000000000000"},
		{"double", math.NaN(), "7ff8000000000001"},
		{"double", "2", "!cannot encode string: it takes floats"},
		{"double", nil, "!cannot encode <nil>"},
		{"bytes", []byte{1, 2}, "0102"},
		{"bytes", blob{3}, "03"},
		{"bytes", "a", "61"},
		{"bytes", []byte{}, ""},
		{"bytes", 1, "!cannot encode int: it takes []byte and string"},
		{"bytes", nil, "!cannot encode <nil>"},
		{"string", "grün", "grün"},
		{"string", "\xff", "\xff"},
		{"string", label("l"), "l"},
		{"string", []byte("b"), "b"},
		{"string", click{"bob", 66.5, 2}, `{"user":"bob","averageLatencyMs":66.5,"clicks":2}`},
		{"string", map[string]any{"totalMessages": 2}, `{"totalMessages":2}`},
		{"string", 5, "5"},
		{"string", true, "true"},
		{"string", loud("a"), `"A"`},
		{"string", nil, "!cannot encode <nil>"},
		{"string", make(chan int), "!encode chan int"},
		{"json", click{"bob", 66, 2}, `{"user":"bob","averageLatencyMs":66,"clicks":2}`},
		{"json", &click{User: "<a href='&'>"}, `{"user":"<a href='&'>","averageLatencyMs":0,"clicks":0}`},
		{"json", map[string]any{"b": 1, "a": []any{nil, true, "x"}}, `{"a":[null,true,"x"],"b":1}`},
		{"json", []byte{0xfb, 0xff}, `"+/8="`},
		{"json", []string(nil), "null"},
		{"json", map[string]int(nil), "null"},
		{"json", nil, "null"},
		{"json", "grün \u2028 😀 \x01\n\"", "\"grün \u2028 😀 \\u0001\\n\\\"\""},
		{"json", "bad \xff", "\"bad \ufffd\""},
		{"json", int64(math.MaxInt64), "9223372036854775807"},
		{"json", uint64(math.MaxUint64), "18446744073709551615"},
		{"json", Number("123456789012345678901234567890"), "123456789012345678901234567890"},
		{"json", []any{Number("1e400")}, "[1e400]"},
		{"json", Number("x"), "!no JSON number"},
		{"json", 1e21, "1e+21"},
		{"json", math.Inf(1), "!encode float64"},
		{"json", func() {}, "!encode func()"},
		{"json", time.Date(2015, 9, 1, 1, 35, 19, 0, time.UTC), `"2015-09-01T01:35:19Z"`},
	}
	for _, tt := range tests {
		got, err := find(t, tt.serde).Append([]byte("before "), tt.value)
		if want, fails := strings.CutPrefix(tt.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "serde "+tt.serde) {
				t.Errorf("%s %T: error %v, want %q", tt.serde, tt.value, err, want)
			}
			if string(got) != "before " {
				t.Errorf("%s %T: after an error there is %q", tt.serde, tt.value, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %#v: %v", tt.serde, tt.value, err)
			continue
		}
		rest, ok := bytes.CutPrefix(got, []byte("before "))
		shown := string(rest)
		if tt.serde != "string" && tt.serde != "json" {
			shown = hex.EncodeToString(rest)
		}
		if !ok || shown != tt.want {
			t.Errorf("%s %#v: %q, want %q", tt.serde, tt.value, shown, tt.want)
		}
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		serde, text string
		want        any // an error: a part of its text
	}{
		{"integer", "\x00\x00\x00\x32", int32(50)},
		{"integer", "\xff\xff\xff\xff", int32(-1)},
		{"integer", "123", "needs 4 bytes, got 3"},
		{"long", "\x00\x00\x00\x00\x00\x00\x00\x32", int64(50)},
		{"long", "", "needs 8 bytes, got 0"},
		{"double", "\x40\x50\xa0\x00\x00\x00\x00\x00", 66.5},
		{"double", "1", "needs 8 bytes, got 1"},
		{"bytes", "ab", []byte("ab")},
		{"json", " [1, -0, 1.0, 1e2, 9223372036854775808, 1e400, null, true, \"\\u00e9\", {}, []] ",
			[]any{int64(1), int64(0), 1.0, 100.0, Number("9223372036854775808"), Number("1e400"), nil, true, "é", map[string]any{}, []any{}}},
		{"json", `{"a":{"b":[1]},"a":2}`, map[string]any{"a": int64(2)}},
		{"json", "\"a\xff\"", "a\ufffd"},
		{"json", "null", nil},
	}
	for _, tt := range tests {
		got, err := find(t, tt.serde).Decode([]byte(tt.text))
		if err != nil {
			if want, ok := tt.want.(string); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q: %v", tt.serde, tt.text, err)
			}
			continue
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %q: %#v, want %#v", tt.serde, tt.text, got, tt.want)
		}
	}
	for _, bad := range []string{"", " ", "{", "[1,", "1 2", "{} x", `{"a"}`, `{1:2}`, "nul", "01", `"a`, "[1}", strings.Repeat("[", 20000)} {
		if v, err := (JSON{}).Decode([]byte(bad)); err == nil {
			t.Errorf("json %.20q is read as %v", bad, v)
		}
	}
}

func TestDecodeInto(t *testing.T) {
	four, eight := "\x00\x00\x01\x00", "\x00\x00\x00\x00\x00\x00\x01\x00"
	tests := []struct {
		serde, text string
		into, want  any // pointers; want an error: a part of its text
	}{
		{"integer", four, new(int32), ptr(int32(256))},
		{"integer", four, new(int64), ptr(int64(256))},
		{"integer", four, new(int), ptr(256)},
		{"integer", four, new(uint16), ptr(uint16(256))},
		{"integer", four, new(score), ptr(score(256))},
		{"integer", four, new(any), ptr[any](int32(256))},
		{"integer", four, new(int8), "256 does not fit into *int8"},
		{"integer", "\xff\xff\xff\xff", new(uint), "-1 does not fit"},
		{"integer", four, new(string), "cannot decode into *string: it takes a pointer to an integer type or any"},
		{"integer", four, 5, "cannot decode into int"},
		{"integer", four, nil, "cannot decode into <nil>"},
		{"integer", four, (*score)(nil), "cannot decode into *serde.score"},
		{"long", eight, new(int64), ptr(int64(256))},
		{"long", eight, new(int), ptr(256)},
		{"long", eight, new(any), ptr[any](int64(256))},
		{"long", eight, new(uint8), "does not fit"},
		{"long", four, new(int64), "needs 8 bytes, got 4"},
		{"double", "\x40\x50\xa0\x00\x00\x00\x00\x00", new(float64), ptr(66.5)},
		{"double", "\x40\x50\xa0\x00\x00\x00\x00\x00", new(ratio), ptr(ratio(66.5))},
		{"double", "\x40\x50\xa0\x00\x00\x00\x00\x00", new(any), ptr[any](66.5)},
		{"double", "\x40\x50\xa0\x00\x00\x00\x00\x00", new(int), "a float type or any"},
		{"bytes", "ab", new([]byte), ptr([]byte("ab"))},
		{"bytes", "ab", new(blob), ptr(blob("ab"))},
		{"bytes", "ab", new(string), ptr("ab")},
		{"bytes", "ab", new(any), ptr[any]([]byte("ab"))},
		{"bytes", "ab", new(int), "[]byte, string or any"},
		{"string", "ab", new(string), ptr("ab")},
		{"string", "ab", new([]byte), ptr([]byte("ab"))},
		{"string", "ab", new(label), ptr(label("ab"))},
		{"string", "ab", new(any), ptr[any]("ab")},
		{"string", `{"user":"bob","averageLatencyMs":66.5}`, new(click), &click{User: "bob", Average: 66.5}},
		{"string", `{"user":1}`, new(click), "serde string: decode into *serde.click"},
		{"string", `{"n":1}`, new(map[string]any), ptr(map[string]any{"n": int64(1)})},
		{"string", "x", click{}, "cannot decode into serde.click"},
		{"json", `{"user":"bob","clicks":2,"more":[1]}`, new(click), &click{User: "bob", Clicks: 2}},
		{"json", `{"User":"bob"}`, new(click), &click{}},
		{"json", `{"clicks":"2"}`, new(click), "JSON string into Go int within \"/clicks\""},
		{"json", `{"n":9007199254740993}`, new(map[string]any), ptr(map[string]any{"n": int64(9007199254740993)})},
		{"json", `[{"v":{"n":1}}]`, new([]struct{ V any }), ptr([]struct{ V any }{{}})},
		{"json", `[{"V":{"n":1}}]`, new([]struct{ V any }), ptr([]struct{ V any }{{map[string]any{"n": int64(1)}}})},
		{"json", `5`, new(int64), ptr(int64(5))},
		{"json", `"x"`, new(string), ptr("x")},
		{"json", `"+/8="`, new([]byte), ptr([]byte{0xfb, 0xff})},
		{"json", `123456789012345678901`, new(Number), ptr(Number("123456789012345678901"))},
		{"json", `"1"`, new(Number), "no JSON number"},
		{"json", `5`, nil, "cannot decode into <nil>"},
		{"json", `5`, click{}, "cannot decode into serde.click"},
		{"json", `5 6`, new(int), "decode into *int"},
		{"json", `{`, new(click), "unexpected EOF"},
	}
	for _, tt := range tests {
		err := find(t, tt.serde).DecodeInto([]byte(tt.text), tt.into)
		if want, fails := tt.want.(string); fails {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q into %T: error %v, want %q", tt.serde, tt.text, tt.into, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q into %T: %v", tt.serde, tt.text, tt.into, err)
		} else if !reflect.DeepEqual(tt.into, tt.want) {
			t.Errorf("%s %q: %#v, want %#v", tt.serde, tt.text, tt.into, tt.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// TestKeep holds what a cache may keep to what it would read back.
func TestKeep(t *testing.T) {
	values := []any{int64(5), 5, int32(5), score(5), "5", label("5"), []byte("5"), 5.5, ratio(5.5), true, nil, click{}, uint64(math.MaxUint64), int64(math.MaxInt32) + 1}
	for _, name := range Names() {
		s := find(t, name)
		k, ok := s.(Keeper)
		if !ok {
			continue
		}
		for _, v := range values {
			kept, ok := k.Keep(v)
			if !ok {
				continue
			}
			b, err := s.Append(nil, v)
			if err != nil {
				t.Errorf("%s keeps %#v, but cannot encode it: %v", name, v, err)
				continue
			}
			got, err := s.Decode(b)
			if err != nil || !reflect.DeepEqual(got, kept) {
				t.Errorf("%s keeps %#v as %#v, but reads it back as %#v (%v)", name, v, kept, got, err)
			}
		}
	}
}

// TestDecodeKeepsNothing changes the bytes after they were read.
func TestDecodeKeepsNothing(t *testing.T) {
	for name, text := range map[string]string{"string": "abc", "json": `{"abc":["abc",123456789012345678901]}`} {
		b := []byte(text)
		v, err := find(t, name).Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := find(t, name).Decode([]byte(text))
		for i := range b {
			b[i] = '#'
		}
		if !reflect.DeepEqual(v, want) {
			t.Errorf("%s: %v after its bytes were changed", name, v)
		}
	}
}

func TestEmptyIsNotMissing(t *testing.T) {
	for _, name := range []string{"string", "bytes"} {
		if b, err := find(t, name).Append(nil, ""); err != nil || b == nil {
			t.Errorf("%s: an empty text is encoded as %#v, %v", name, b, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "1", `{"a":[1,2.5,"x",null,true]}`, "\x00\x00\x00\x01", "\x00\x00\x00\x00\x00\x00\x00\x01", `"\ud800"`, "[[[[", `{"a":1,"a":{}}`, "1e999", "-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range Names() {
			s := find(t, name)
			v, err := s.Decode(b)
			if err != nil {
				continue
			}
			// What was read can be written, and is then read as the same.
			again, err := s.Append(nil, v)
			if v == nil {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %q is read as %#v, which cannot be written: %v", name, b, v, err)
			}
			w, err := s.Decode(again)
			if err != nil || !same(v, w) {
				t.Fatalf("%s: %q is read as %#v, written as %q, then read as %#v (%v)", name, b, v, again, w, err)
			}
		}
		for _, into := range []any{new(click), new(map[string]any), new([]any), new(string), new(int64), new(Number)} {
			_ = JSON{}.DecodeInto(b, into)
			_ = Text{}.DecodeInto(b, into)
			_ = Long{}.DecodeInto(b, into)
		}
	})
}

// same compares values; numbers by their size, for a float without a fraction
// is written as an integer.
func same(v, w any) bool {
	switch v := v.(type) {
	case []byte:
		w, ok := w.([]byte)
		return ok && bytes.Equal(v, w)
	case []any:
		w, ok := w.([]any)
		return ok && slices.EqualFunc(v, w, same)
	case map[string]any:
		w, ok := w.(map[string]any)
		return ok && maps.EqualFunc(v, w, same)
	case float64:
		f, ok := size(w)
		return ok && (f == v || f != f && v != v)
	}
	return reflect.DeepEqual(v, w)
}

func size(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case Number:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	}
	return 0, false
}
