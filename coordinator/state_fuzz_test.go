package coordinator

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"heddle/jobmodel"
)

// FuzzStateQuery: whatever is asked of the page, the answer is a refusal in one line
// or a question that the container reads as it was put.
func FuzzStateQuery(f *testing.F) {
	cfg := jobCfg("stores.text.factory", "memory", "stores.text.key.serde", "string",
		"stores.number.factory", "memory", "stores.number.key.serde", "long",
		"stores.half.factory", "memory", "stores.half.key.serde", "double",
		"stores.object.factory", "memory", "stores.object.key.serde", "json",
		"stores.bytes.factory", "memory")
	m, _, err := jobmodel.Build(jobmodel.BuildInput{
		Config: cfg, Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 4}, Containers: 2,
	})
	if err != nil {
		f.Fatal(err)
	}
	st := newStates(cfg, m)
	if st.problem != nil {
		f.Fatal(st.problem)
	}
	place := cursor{Task: "Partition 1", Scan: "x", Page: 7, Execution: "container_1_0001_01_000002"}
	for _, query := range []string{
		"", "key=alice", "prefix=al&limit=10", "from=1&to=%FF&mode=live", "count&task=Partition+1", "key=%7B%22base64%22%3A%22AA%22%7D", "to=",
		"limit=0", "mode=x", "task=nobody", "key=a&prefix=b", "cursor=" + place.text(), "cursor=" + place.text() + "&all&task=Partition+1", "cursor=e30",
	} {
		for _, store := range []string{"text", "number", "half", "object", "bytes", "nobody"} {
			f.Add(store, query)
		}
	}
	f.Fuzz(func(t *testing.T, store, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := st.parse(store, values)
		if err != nil {
			var no *stateError
			if !errors.As(err, &no) || no.code < 400 || no.code > 499 || strings.Contains(no.message, "\n") && !strings.Contains(query, "%0A") {
				t.Fatalf("%q of %q: %v", query, store, err)
			}
			return
		}
		if r.limit < 1 || r.limit > maxPageEntries || len(r.tasks) == 0 || r.mode != ModeCommitted && r.mode != ModeLive || r.cursor.Page < 0 {
			t.Fatalf("%q of %q: %+v", query, store, r)
		}
		if c, err := parseCursor(r.cursor.text()); r.cursor != (cursor{}) && (err != nil || c != r.cursor) {
			t.Fatalf("%q: the cursor %+v is read as %+v, %v", query, r.cursor, c, err)
		}
		asked := Question{ID: "1", Task: "Partition 1", Store: r.store, Mode: r.mode, Op: r.op, From: r.from, To: r.to, Scan: r.cursor.Scan, Page: r.cursor.Page}
		text, err := encodeQuestion(asked)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		got, err := QuestionOf(Command{Args: map[string]string{argQuestion: text}})
		if len(asked.From) == 0 {
			asked.From, got.From = nil, nil
		}
		if len(asked.To) == 0 {
			asked.To, got.To = nil, nil
		}
		if err != nil || !reflect.DeepEqual(got, asked) {
			t.Fatalf("%q: %+v is read as %+v, %v", query, asked, got, err)
		}
	})
}

// FuzzQuestion: what a container takes for a question has an id to answer to.
func FuzzQuestion(f *testing.F) {
	f.Add(`{"id":"1","task":"Partition 0","store":"s","mode":"live","op":"range","from":"AA==","limit":3}`)
	f.Add(`{"id":"","page":-1}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := QuestionOf(Command{Args: map[string]string{argQuestion: text}})
		if err != nil {
			return
		}
		if q.ID == "" {
			t.Fatalf("%q: no id", text)
		}
		if _, err := encodeQuestion(q); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// FuzzAnswer: whatever a container answers can be shown.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"entries":[{"key":"a","value":{"n":1}}],"more":true,"committedAt":5}`))
	f.Add([]byte(`{"failure":"busy","error":"x\u2028","count":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		if err := decode(b, &a); err != nil {
			return
		}
		var p StatePage
		p.add(taskPlace{"Partition 0", "0"}, a)
		if out, err := encode(p); err != nil || !json.Valid(out) {
			t.Fatalf("%q: %s, %v", b, out, err)
		}
	})
}
