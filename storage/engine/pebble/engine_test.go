package pebble

import (
	"fmt"
	"testing"

	"heddle/storage/engine"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Apply([]engine.Write{{Key: "b", Value: []byte("1")}, {Key: "a", Value: []byte{}}, {Key: "b", Value: []byte("2")}}, []byte("m1")); err != nil {
		t.Fatal(err)
	}
	v, ok, err := e.Get([]byte("x"), "b")
	if string(v) != "x2" || !ok || err != nil {
		t.Fatalf("%q %v %v", v, ok, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, err = Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Mark()
	if string(m) != "m1" || err != nil {
		t.Fatalf("%q %v", m, err)
	}
	l, err := e.startLoad(1000, 50, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10000 {
		k := (i * 7919) % 3000
		var v []byte
		if k%5 != 0 {
			v = fmt.Appendf(nil, "v%d", i)
		}
		if err := l.Add(fmt.Appendf(nil, "k%d", k), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Finish([]byte("m2")); err != nil {
		t.Fatal(err)
	}
	n := 0
	it := e.Range("", "")
	for it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	m, _ = e.Mark()
	if n != 2402 || string(m) != "m2" {
		t.Fatal(n, string(m))
	}
	v, ok, err = e.Get(nil, "k2999")
	fmt.Println(string(v), ok, err)
	if err := e.Copy(t.TempDir() + "/c"); err != nil {
		t.Fatal(err)
	}
	fmt.Println(e.Size())
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
