package serde

import "testing"

type pageView struct {
	User  string `json:"user_id"`
	Page  string `json:"page"`
	Agent string `json:"agent"`
	Time  int64  `json:"time"`
}

var record = []byte(`{"user_id":"user-00001234","page":"/catalog/a/b/c","agent":"Mozilla/5.0 (X11)","time":1795447359}`)

func BenchmarkJSONDecodeStruct(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		var v pageView
		if err := (JSON{}).DecodeInto(record, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONDecodeStructTwoFields(b *testing.B) {
	b.ReportAllocs()
	type view struct {
		User string `json:"user_id"`
		Page string `json:"page"`
	}
	for b.Loop() {
		var v view
		if err := (JSON{}).DecodeInto(record, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONDecodeMap(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (JSON{}).Decode(record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONAppendStruct(b *testing.B) {
	b.ReportAllocs()
	v := pageView{"user-00001234", "/catalog/a/b/c", "Mozilla/5.0 (X11)", 1795447359}
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = (JSON{}).Append(buf[:0], v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONAppendMap(b *testing.B) {
	b.ReportAllocs()
	v := map[string]any{"user_id": "user-00001234", "count": 7}
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = (JSON{}).Append(buf[:0], v); err != nil {
			b.Fatal(err)
		}
	}
}
