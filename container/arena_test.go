package container

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"heddle/serde"
)

// What was encoded stays as it is, whatever is encoded afterwards.
func TestArenaKeepsWhatItGaveOut(t *testing.T) {
	a := arena{limit: 4 << 10}
	var got [][]byte
	var want [][]byte
	for i := range 2000 {
		v := bytes.Repeat([]byte{byte(i)}, 1+i*7%900)
		b, err := a.encode(serde.Bytes{}, v)
		if err != nil {
			t.Fatal(err)
		}
		got, want = append(got, b), append(want, v)
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("value %d was overwritten", i)
		}
		if cap(got[i]) != len(got[i]) {
			t.Fatalf("value %d leaves room behind it that an append would write into", i)
		}
	}
}

type failing struct{ serde.Bytes }

func (failing) Append(dst []byte, _ any) ([]byte, error) {
	return append(dst, "half of it"...), errors.New("no")
}

func TestArenaForgetsWhatFailed(t *testing.T) {
	a := arena{limit: maxChunk}
	first, _ := a.encode(serde.Bytes{}, []byte("first"))
	if _, err := a.encode(failing{}, nil); err == nil {
		t.Fatal("no error")
	}
	second, _ := a.encode(serde.Bytes{}, []byte("second"))
	if got := fmt.Sprintf("%s %s", first, second); got != "first second" {
		t.Error(got)
	}
}

func TestArenaAllocates(t *testing.T) {
	a := arena{limit: maxChunk}
	v := any([]byte("0123456789012345678901234567890123456789"))
	if n := testing.AllocsPerRun(10000, func() { _, _ = a.encode(serde.Bytes{}, v) }); n > 0.1 {
		t.Errorf("%.2f allocations per value", n)
	}
}
