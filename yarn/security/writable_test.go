package security

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"
)

func TestVLong(t *testing.T) {
	tests := []struct {
		v    int64
		want string
	}{
		{0, "00"}, {1, "01"}, {127, "7f"}, {128, "8f80"}, {255, "8fff"}, {256, "8e0100"}, {65536, "8d010000"},
		{math.MaxInt32, "8c7fffffff"}, {1700000000000, "8a018bcfe56800"}, {math.MaxInt64, "887fffffffffffffff"},
		{-1, "ff"}, {-112, "90"}, {-113, "8770"}, {-256, "87ff"}, {-257, "860100"},
		{math.MinInt32, "847fffffff"}, {math.MinInt64, "807fffffffffffffff"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(AppendVLong(nil, tt.v)); got != tt.want {
			t.Errorf("AppendVLong(%d) = %s, want %s", tt.v, got, tt.want)
		}
		b, _ := hex.DecodeString(tt.want)
		r := &writableReader{b: append(b, 0x55)}
		if got := r.vlong("v"); got != tt.v || r.err != nil || len(r.b) != 1 {
			t.Errorf("vlong(%s) = %d, %v, %d left; want %d", tt.want, got, r.err, len(r.b), tt.v)
		}
		for cut := range len(b) {
			r := &writableReader{b: b[:cut]}
			if r.vlong("v"); !errors.Is(r.err, ErrTruncated) {
				t.Errorf("vlong of %d bytes of %s: %v", cut, tt.want, r.err)
			}
		}
	}
}

func TestLengthIsBoundByWhatIsThere(t *testing.T) {
	for _, n := range []int64{-1, 3, 1 << 20, math.MaxInt32, math.MaxInt64, math.MinInt64} {
		r := &writableReader{b: append(AppendVLong(nil, n), 1, 2)}
		if got := r.bytes("x"); got != nil || r.err == nil {
			t.Errorf("length %d: %v, %v", n, got, r.err)
		}
	}
}
