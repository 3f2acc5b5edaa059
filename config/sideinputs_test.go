package config

import (
	"errors"
	"strings"
	"testing"
)

func TestSideInputs(t *testing.T) {
	const base = "job.name=j\ntask.class=c\ntask.inputs=kafka.in\nsystems.kafka.samza.factory=kafka\nstores.s.factory=memory\n"
	c := fromText(base + "stores.s.side.inputs=kafka.a, kafka.id, kafka.a\nstreams.id.samza.physical.name=b\nstreams.id.samza.system=kafka\n" +
		"stores.s.side.inputs.processor.factory=com.example.P\nstores.t.factory=memory\nstores.t.side.inputs=kafka.c,kafka.a\nheddle.stores.t.shared=true")
	stores, err := Stores(c)
	if err != nil || len(stores) != 2 {
		t.Fatalf("%v, %v", stores, err)
	}
	a, b, cc := SystemStream{"kafka", "a"}, SystemStream{"kafka", "b"}, SystemStream{"kafka", "c"}
	if s := stores[0]; len(s.SideInputs) != 2 || s.SideInputs[0] != a || s.SideInputs[1] != b || s.SideProcessor != "com.example.P" || s.Shared {
		t.Errorf("%+v", s)
	}
	if s := stores[1]; !s.Shared || s.SideProcessor != "" {
		t.Errorf("%+v", s)
	}
	all, grouped, err := SideInputs(c)
	if err != nil || len(all) != 3 || all[2] != cc || len(grouped) != 2 {
		t.Errorf("all %v, grouped %v, %v", all, grouped, err)
	}

	for text, want := range map[string]string{
		"stores.s.side.inputs=kafka.a\nstores.s.changelog=kafka.log":  "stores.s.changelog: the store has side inputs",
		"stores.s.side.inputs=a":                                      "stores.s.side.inputs",
		"stores.s.side.inputs=nowhere.a":                              "the system",
		"stores.s.side.inputs.processor.factory=x":                    "the store has no side inputs; set stores.s.side.inputs",
		"heddle.stores.s.shared=true":                                 "heddle.stores.s.shared: the store has no side inputs",
		"stores.s.side.inputs=kafka.a\nheddle.stores.s.shared=perhap": "heddle.stores.s.shared",
	} {
		_, err := Stores(fromText(base + text))
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
