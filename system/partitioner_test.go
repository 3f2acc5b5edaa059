package system

import (
	"bufio"
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestGoldenPartitions compares with what Java and Kafka's client chose
// (testdata/Partitions.java).
func TestGoldenPartitions(t *testing.T) {
	f, err := os.Open("testdata/partitions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := []int32{1, 3, 4, 7, 1000}
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		kind, shown := fields[0], fields[1]
		var wanted []int32
		for _, s := range fields[2:] {
			v, err := strconv.ParseInt(s, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			wanted = append(wanted, int32(v))
		}
		if kind == "bytes" {
			key, err := hex.DecodeString(shown)
			if err != nil {
				t.Fatal(err)
			}
			if h := int32(murmur2(key)); h != wanted[0] {
				t.Errorf("murmur2(%s) = %d, Kafka has %d", shown, h, wanted[0])
			}
			for i, c := range counts {
				if p := BytesPartition(key, c); p != wanted[i+1] {
					t.Errorf("bytes %s of %d partitions: %d, Kafka has %d", shown, c, p, wanted[i+1])
				}
			}
			continue
		}
		key := goldenKey(t, kind, shown)
		h, ok := JavaHash(key)
		if !ok || h != wanted[0] {
			t.Errorf("JavaHash(%s %s) = %d, %v; Java has %d", kind, shown, h, ok, wanted[0])
		}
		for i, c := range counts {
			if p, ok := KeyPartition(key, c); !ok || p != wanted[i+1] {
				t.Errorf("%s %s of %d partitions: %d, %v; Samza has %d", kind, shown, c, p, ok, wanted[i+1])
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d lines", n)
	}
}

func goldenKey(t *testing.T, kind, shown string) any {
	t.Helper()
	number := func(base, bits int) uint64 {
		v, err := strconv.ParseUint(shown, base, bits)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	signed := func(bits int) int64 {
		v, err := strconv.ParseInt(shown, 10, bits)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	switch kind {
	case "string":
		b, err := hex.DecodeString(shown)
		if err != nil {
			t.Fatal(err)
		}
		var units []uint16
		for i := 0; i < len(b); i += 2 {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
		return string(utf16.Decode(units))
	case "integer":
		return int32(signed(32))
	case "long":
		return signed(64)
	case "boolean":
		return shown == "true"
	case "double":
		return math.Float64frombits(number(16, 64))
	case "float":
		return math.Float32frombits(uint32(number(16, 32)))
	}
	t.Fatalf("unknown kind %q", kind)
	return nil
}

func TestJavaHashOfOtherTypes(t *testing.T) {
	type user string
	type id int64
	for _, tt := range []struct {
		key  any
		like any
	}{
		{user("bob"), "bob"}, {id(1 << 40), int64(1 << 40)}, {5, int64(5)}, {int16(-3), int32(-3)}, {int8(9), int32(9)},
	} {
		h, ok := JavaHash(tt.key)
		want, _ := JavaHash(tt.like)
		if !ok || h != want {
			t.Errorf("JavaHash(%T %v) = %d, %v; want %d", tt.key, tt.key, h, ok, want)
		}
	}
	for _, key := range []any{nil, []byte("x"), map[string]any{"a": 1}, struct{}{}, uint64(1), []string{"a"}} {
		if h, ok := JavaHash(key); ok {
			t.Errorf("JavaHash(%T) = %d; Java has no rule for it", key, h)
		}
	}
	if _, ok := KeyPartition("a", 0); ok {
		t.Error("a partition among none")
	}
}
