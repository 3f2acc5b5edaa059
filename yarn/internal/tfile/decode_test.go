package tfile

import (
	"bufio"
	"bytes"
	"testing"
)

// Each length of a number, at its borders, as Hadoop's Utils.writeVLong writes it.
func TestLong(t *testing.T) {
	for _, tt := range []struct {
		bytes []byte
		want  int64
	}{
		{[]byte{0}, 0},
		{[]byte{127}, 127},
		{[]byte{0xe0}, -32},
		{[]byte{0xcc, 128}, 128},      // -52: 0<<8 | 128
		{[]byte{0xcb, 0xdf}, -33},     // -53: -1<<8 | 223
		{[]byte{0xdf, 0xff}, 5119},    // -33: 19<<8 | 255
		{[]byte{0xb8, 0}, -5120},      // -72: -20<<8
		{[]byte{0xa8, 0x14, 0}, 5120}, // -88: 0<<16 | 0x1400
		{[]byte{0xb7, 0xff, 0xff}, 1048575},
		{[]byte{0x98, 0, 0}, -1048576},
		{[]byte{0x90, 0x10, 0, 0}, 1048576}, // -112
		{[]byte{0x97, 0xff, 0xff, 0xff}, 134217727},
		{[]byte{0x88, 0, 0, 0}, -134217728},
		{[]byte{0x83, 0x08, 0, 0, 0}, 134217728}, // -125: 4 bytes
		{[]byte{0x83, 0x80, 0, 0, 0}, -2147483648},
		{[]byte{0x84, 0, 0x80, 0, 0, 0}, 2147483648},
		{[]byte{0x87, 0x80, 0, 0, 0, 0, 0, 0, 0}, -9223372036854775808},
	} {
		d := decoder{in: bufio.NewReader(bytes.NewReader(tt.bytes))}
		if got := d.long(); got != tt.want || d.err != nil || d.in.Buffered() > 0 {
			t.Errorf("%x: %d, want %d; %v, %d bytes left", tt.bytes, got, tt.want, d.err, d.in.Buffered())
		}
	}
	for _, bad := range [][]byte{{}, {0xcc}, {0x80, 1, 2, 3}, {0x83, 1, 2, 3}} {
		d := decoder{in: bufio.NewReader(bytes.NewReader(bad))}
		if got := d.long(); d.err == nil {
			t.Errorf("%x gave %d", bad, got)
		}
	}
}
