package serde

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"heddle/task"
)

// Keeper is implemented by serdes some of whose values need no encoding to be
// kept: a cache may hold the value itself.
type Keeper interface {
	// Keep gives the value that Decode would give for the bytes of v, without
	// making them. ok is false if v cannot be encoded, or if what Decode gives
	// could be changed by whoever holds it (maps, slices).
	Keep(v any) (kept any, ok bool)
}

var serdes = map[string]task.Serde{
	"string":     Text{},
	"integer":    Integer{},
	"long":       Long{},
	"double":     Double{},
	"byte":       Bytes{},
	"bytes":      Bytes{},
	"bytebuffer": Bytes{},
	"json":       JSON{},
}

// others are further names that config resolves to or takes.
var others = map[string]string{
	"int":                 "integer",
	"metrics-snapshot":    "json",
	"metrics-snapshot-v2": "json",
}

// classes are Samza's factories and serdes, without their package
// org.apache.samza.serializers and the ending "Factory".
var classes = map[string]string{
	"StringSerde":          "string",
	"IntegerSerde":         "integer",
	"LongSerde":            "long",
	"DoubleSerde":          "double",
	"ByteSerde":            "byte",
	"ByteBufferSerde":      "bytebuffer",
	"NoOpSerde":            "bytes",
	"JsonSerde":            "json",
	"JsonSerdeV2":          "json",
	"MetricsSnapshotSerde": "json",
}

// Names are the short names that New takes, sorted.
func Names() []string {
	names := make([]string, 0, len(serdes))
	for n := range serdes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// New gives the serde of that name: one of Names, or a class of Samza
// ("org.apache.samza.serializers.JsonSerdeFactory"; the package may be left
// out). The error lists the names there are.
func New(name string) (task.Serde, error) {
	if s, ok := serdes[name]; ok {
		return s, nil
	}
	if s, ok := serdes[others[name]]; ok {
		return s, nil
	}
	class := strings.TrimPrefix(name, "org.apache.samza.serializers.")
	short := classes[strings.TrimSuffix(class, "Factory")]
	if s, ok := serdes[short]; ok {
		return s, nil
	}
	if class == "SerializableSerdeFactory" {
		return nil, fmt.Errorf("serde %q: Java's own serialisation cannot be read here; use json or one of %s", name, strings.Join(Names(), ", "))
	}
	return nil, fmt.Errorf("serde %q is not known; there are %s (Samza's class names stand for them, too)", name, strings.Join(Names(), ", "))
}

func cannotEncode(serde string, v any, takes string) error {
	return fmt.Errorf("serde %s: cannot encode %T: it takes %s", serde, v, takes)
}

func cannotDecodeInto(serde string, v any, takes string) error {
	return fmt.Errorf("serde %s: cannot decode into %T: it takes a pointer to %s", serde, v, takes)
}

// target is what the pointer v points to; ok is false if v is no usable
// pointer.
func target(v any) (reflect.Value, bool) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return reflect.Value{}, false
	}
	return p.Elem(), true
}
