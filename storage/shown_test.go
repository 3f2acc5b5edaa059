package storage

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"heddle/serde"
)

// FuzzShownKeys: a key as it is shown finds the entry that it was shown for.
func FuzzShownKeys(f *testing.F) {
	names := []string{"string", "bytes", "integer", "long", "double"}
	for i := range names {
		f.Add(i, []byte("alice"))
		f.Add(i, []byte{})
		f.Add(i, []byte{0x80, 0, 0, 0, 0, 0, 0, 0})
		f.Add(i, []byte{0, 0, 0, 7})
		f.Add(i, []byte{0x43, 0xf0, 0, 0, 0, 0, 0, 0})
		f.Add(i, []byte(`{"base64":"AA=="}`))
		f.Add(i, []byte("\xff\n\"\u2028"))
	}
	f.Fuzz(func(t *testing.T, which int, raw []byte) {
		name := names[uint(which)%uint(len(names))]
		s, err := serde.New(name)
		if err != nil {
			t.Fatal(err)
		}
		shown := AppendShown(nil, s, raw)
		if !json.Valid(shown) {
			t.Fatalf("%s %x is shown as %s", name, raw, shown)
		}
		typed := string(shown)
		if shown[0] == '"' { // people see, and type, a text without its quotation marks
			if err := json.Unmarshal(shown, &typed); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(typed, base64Key) {
				return // a text that looks like bytes has to be given as bytes
			}
		}
		if got, err := ParseKey(s, typed); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("%s %x is shown as %s, which is read as %x, %v", name, raw, shown, got, err)
		}
	})
}
