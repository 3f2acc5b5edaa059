package topic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"heddle/serde"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

func clicks(t *testing.T, partitions int32) *memory.System {
	t.Helper()
	b := memory.NewBroker()
	if err := b.Create(system.StreamSpec{Name: "clicks", Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return memory.New("kafka", b)
}

func mustSerde(t *testing.T, name string) task.Serde {
	t.Helper()
	s, err := serde.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProduceThenTail(t *testing.T) {
	sys := clicks(t, 1)
	in := "{\"user\":\"bob\",\"n\":1}\r\n\n{\"user\":\"al\\u00e9\",\"n\":2}\n{\"user\":7}"
	n, err := Produce(t.Context(), sys, "clicks", strings.NewReader(in), Lines{KeyField: "user", Name: "x.jsonl"})
	if n != 3 || err != nil {
		t.Fatalf("produced %d, %v", n, err)
	}
	tail := Tail{UntilEnd: true, JSON: true, KeySerde: mustSerde(t, "string"), ValueSerde: mustSerde(t, "json")}
	var out bytes.Buffer
	if n, err := tail.Run(t.Context(), sys, "clicks", &out); n != 3 || err != nil {
		t.Fatalf("tailed %d, %v", n, err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		before, after, _ := strings.Cut(line, `"timestamp":`)
		_, after, _ = strings.Cut(after, ",")
		got = append(got, before+after)
	}
	want := []string{
		`{"topic":"clicks","partition":0,"offset":0,"key":"bob","value":{"n":1,"user":"bob"}}`,
		`{"topic":"clicks","partition":0,"offset":1,"key":"alé","value":{"n":2,"user":"alé"}}`,
		`{"topic":"clicks","partition":0,"offset":2,"key":"7","value":{"user":7}}`,
	}
	if strings.Join(got, "") != strings.Join(want, "\n")+"\n" {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, "\n"))
	}
}

func TestTailShowsWhatItCannotRead(t *testing.T) {
	sys := clicks(t, 1)
	for _, v := range [][]byte{[]byte("not json"), {0xff, 0xfe}, nil} {
		if _, err := sys.Broker().Append("clicks", 0, nil, v); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"json":   {`"value":{"base64":"bm90IGpzb24="}`, `"value":{"base64":"//4="}`, `"value":null`},
		"string": {`"value":"not json"`, `"value":{"base64":"//4="}`, `"value":null`},
		"bytes":  {`"value":{"base64":"bm90IGpzb24="}`, `"value":{"base64":"//4="}`, `"value":null`},
	} {
		var out bytes.Buffer
		tail := Tail{UntilEnd: true, JSON: true, ValueSerde: mustSerde(t, name)}
		if _, err := tail.Run(t.Context(), sys, "clicks", &out); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if !strings.Contains(line, want[i]) {
				t.Errorf("serde %s, message %d: %s, want %s", name, i, line, want[i])
			}
		}
	}
}

func TestTailBounds(t *testing.T) {
	sys := clicks(t, 2)
	for i := range 10 {
		if _, err := sys.Broker().Append("clicks", int32(i%2), nil, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sys.Broker().Trim("clicks", 0, 2); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		tail Tail
		want int64
	}{
		{Tail{UntilEnd: true}, 8},
		{Tail{UntilEnd: true, From: "newest"}, 0},
		{Tail{UntilEnd: true, From: "3"}, 4},
		{Tail{UntilEnd: true, From: "0"}, 8}, // what retention took is passed over
		{Tail{UntilEnd: true, From: "99"}, 0},
		{Tail{UntilEnd: true, Max: 3}, 3},
		{Tail{From: "oldest", Max: 8}, 8},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		n, err := tt.tail.Run(t.Context(), sys, "clicks", &out)
		if err != nil || n != tt.want || int64(strings.Count(out.String(), "\n")) != tt.want {
			t.Errorf("%+v printed %d, %v; want %d\n%s", tt.tail, n, err, tt.want, out.String())
		}
	}
}

func TestBadInput(t *testing.T) {
	sys := clicks(t, 1)
	tests := []struct {
		stream, in, key string
		want            []string
	}{
		{"clicks", "{\"a\":1}\n{\"b\":1}\n", "a", []string{"x.jsonl, line 2", `no field "a"`}},
		{"clicks", "hello\n", "a", []string{"x.jsonl, line 1", "JSON object"}},
		{"nope", "x\n", "", []string{"kafka.nope", "no such stream"}},
		{"clicks", strings.Repeat("x", MaxLine+1), "", []string{"x.jsonl, line 1", "longer than"}},
	}
	for _, tt := range tests {
		_, err := Produce(t.Context(), sys, tt.stream, strings.NewReader(tt.in), Lines{KeyField: tt.key, Name: "x.jsonl"})
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	}
	if err := (Tail{From: "yesterday"}).Check(); err == nil || !strings.Contains(err.Error(), "oldest, newest or an offset") {
		t.Errorf("error %v", err)
	}
	if _, err := (Tail{}).Run(t.Context(), sys, "nope", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "kafka.nope") {
		t.Errorf("error %v", err)
	}
}

func TestList(t *testing.T) {
	sys := clicks(t, 2)
	if err := sys.Broker().Create(system.StreamSpec{Name: "__samza_x", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Broker().Append("clicks", 1, nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	got, err := List(t.Context(), sys, false)
	if err != nil || len(got) != 1 || got[0] != (Info{"clicks", 2, 1}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if all, _ := List(t.Context(), sys, true); len(all) != 2 {
		t.Fatalf("with internal ones: %+v", all)
	}
}
