package serde

import (
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

type inner struct {
	X    int8
	Name string `json:"name,omitempty"`
}

type everyKind struct {
	Text   string  `json:"text"`
	Flag   bool    `json:"flag"`
	Int    int     `json:"int"`
	Small  int16   `json:"small"`
	Byte   uint8   `json:"byte"`
	Large  uint64  `json:"large"`
	Double float64 `json:"double"`
	Float  float32 `json:"float"`
	In     inner   `json:"in"`
	Bare   string
	Out    string `json:"-"`
	hidden string
}

// filled has something in every field, for what is not in a text stays as it is.
func filled() everyKind {
	return everyKind{"t", true, -1, -2, 3, 4, 5.5, 6.5, inner{7, "n"}, "b", "o", "h"}
}

// agree reads a text by the library, and by the plain way until that gives up and
// then by the library; both have to give the same. plainly tells that the plain way
// did it alone.
func agree(t *testing.T, text string) (plainly bool) {
	t.Helper()
	want, got := filled(), filled()
	wantErr := json.Unmarshal([]byte(text), &want, reading)
	plainly = plainOf(reflect.TypeFor[everyKind]()).read([]byte(text), reflect.ValueOf(&got).Elem())
	if plainly && wantErr != nil {
		t.Errorf("%q is read plainly, though it is wrong: %v", text, wantErr)
	}
	if err := (JSON{}).DecodeInto([]byte(text), &got); (err == nil) != (wantErr == nil) {
		t.Errorf("%q: error %v, the library's is %v", text, err, wantErr)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(everyKind{})); diff != "" {
		t.Errorf("%q: not what the library reads (-library +here):\n%s", text, diff)
	}
	return plainly
}

func TestPlainStructsAreReadPlainly(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { } `,
		`{"text":"a","flag":false,"int":12,"small":-300,"byte":255,"large":123456789012345678,"double":1.5e-3,"float":0.1,"in":{"X":-128,"name":"z"},"Bare":"é"}`,
		`{"in":{},"text":""}`,
		"\t{ \"double\" : 0.0 ,\r\n\"int\":0, \"float\": 1E5, \"double\":-12 }\n",
		`{"text":null,"flag":null,"int":null,"in":null,"double":null,"large":null}`,
		`{"other":"x","flag":true,"more":12,"none":null,"yes":true,"no":false,"half":-0.5e+7,"TEXT":"not this","Out":"x","hidden":"x"}`,
		`{"int":1,"int":2,"in":{"X":1},"in":{"name":"both"}}`,
		`{"double":123456789012345678901234567890,"float":16777217}`,
	} {
		if !agree(t, text) {
			t.Errorf("%s was left to the library", text)
		}
	}
}

func TestTheRestIsTheLibrarys(t *testing.T) {
	for _, text := range []string{
		``, ` `, `null`, `[]`, `{`, `{"text"`, `{"text":`, `{"text":"a"`, `{"text":"a",`, `{"text":"a",}`, `{"text":"a"}x`, `{,}`, `{"text" "a"}`, `{text:1}`,
		`{"text":"a\n"}`, `{"te\u0078t":"a"}`, "{\"text\":\"\xff\"}", "{\"\xff\":1}", "{\"text\":\"\n\"}", `{"text":"a`, `{"text":12}`, `{"text":{}}`,
		`{"int":1.0}`, `{"int":1e2}`, `{"int":-0}`, `{"int":01}`, `{"int":"1"}`, `{"int":9223372036854775807}`, `{"int":9223372036854775808}`, `{"int":-}`, `{"int":+1}`, `{"int":1`,
		`{"small":40000}`, `{"byte":256}`, `{"byte":-1}`, `{"large":18446744073709551615}`, `{"large":18446744073709551616}`, `{"in":{"X":128}}`, `{"in":[]}`, `{"in":{"X":1}`,
		`{"double":1e999}`, `{"float":1e39}`, `{"double":.5}`, `{"double":1.}`, `{"double":1e}`, `{"double":0x1}`, `{"double":"NaN"}`, `{"flag":1}`, `{"flag":tru}`, `{"flag":truely}`, `{"flag":nul}`,
		`{"other":{"a":1},"int":3}`, `{"other":[1],"int":3}`, `{"other":x}`, `{"other":"\u0041","int":3}`,
	} {
		if agree(t, text) {
			t.Errorf("%s was read plainly", text)
		}
	}
}

type ownText string

func (*ownText) UnmarshalText([]byte) error { return nil }

type ownJSON struct{ A int }

func (*ownJSON) UnmarshalJSONFrom(*jsontext.Decoder) error { return nil }

func TestWhichTypesArePlain(t *testing.T) {
	type text string
	for _, v := range []any{
		struct{}{}, everyKind{}, struct{ A text }{},
		struct {
			A int `json:"-"`
			B int `json:"b,omitzero"`
		}{},
		struct{ a any }{}, //nolint:unused // it is not read
	} {
		if plainOf(reflect.TypeOf(v)) == nil {
			t.Errorf("%T is not plain", v)
		}
	}
	for _, v := range []any{
		1, "", map[string]int{}, []inner{}, &inner{},
		struct{ A any }{}, struct{ A *int }{}, struct{ A []int }{}, struct{ A map[string]int }{}, struct{ A [2]int }{},
		struct{ A time.Time }{}, struct{ A time.Duration }{}, struct{ A ownText }{}, struct{ A ownJSON }{}, ownJSON{},
		struct{ inner }{},
		struct {
			A int `json:",string"`
		}{},
		struct {
			A int `json:"a,case:ignore"`
		}{},
		struct {
			A int `json:"'a,b'"`
		}{},
		struct{ A struct{ B []byte } }{},
	} {
		if plainOf(reflect.TypeOf(v)) != nil {
			t.Errorf("%T is plain", v)
		}
	}
	// What the library refuses, and vet, too, if it were written down.
	number := reflect.TypeFor[int]()
	for _, fields := range [][]reflect.StructField{
		{{Name: "A", Type: number, Tag: `json:"b"`}, {Name: "B", Type: number, Tag: `json:"b"`}},
		{{Name: "a", PkgPath: "heddle/serde", Type: number, Tag: `json:"a"`}},
	} {
		if to := reflect.StructOf(fields); plainOf(to) != nil {
			t.Errorf("%v is plain", to)
		}
	}
}

func TestReadingPlainlyAllocatesOnlyNewText(t *testing.T) {
	text := []byte(`{"text":"abc","int":12,"double":1.25,"in":{"name":"n"}}`)
	var v everyKind
	if n := testing.AllocsPerRun(100, func() {
		if err := (JSON{}).DecodeInto(text, &v); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for what is there already", n)
	}
}

func FuzzPlain(f *testing.F) {
	for _, text := range []string{
		`{"text":"a","flag":false,"int":12,"small":-300,"byte":255,"large":1,"double":1.5e-3,"float":0.1,"in":{"X":-128,"name":"z"},"Bare":"é"}`,
		`{"other":{"a":[1,null]},"int":1,"in":{"name":null}}`, `{"double":-0,"int":-0,"text":"\ud800","float":1e38}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { agree(t, text) })
}
