package security

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestAMRMIdentifierGolden(t *testing.T) {
	id, err := DecodeAMRMIdentifier(unhex(rmIdentifier))
	want := AMRMIdentifier{Attempt: AttemptID{1795446160676, 2, 1}, KeyID: -690078885}
	if err != nil || id != want {
		t.Errorf("%+v, %v; want %+v", id, err, want)
	}
	if got := id.Attempt.String(); got != "appattempt_1795446160676_0002_000001" {
		t.Error(got)
	}
}

// pb builds a message: numbers become varints, strings bytes.
func pb(parts ...any) string {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		number := protowire.Number(parts[i].(int))
		switch v := parts[i+1].(type) {
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(v))
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), v)
		}
	}
	return string(b)
}

func TestIdentifiers(t *testing.T) {
	attempt := pb(1, pb(1, 7, 2, 1700000000000), 2, 3)
	wantAttempt := AttemptID{1700000000000, 7, 3}

	nm, err := DecodeNMIdentifier([]byte(pb(1, attempt, 2, pb(1, "node1", 2, 45454), 3, "ann", 4, 11, 99, "later")))
	if want := (NMIdentifier{wantAttempt, "node1", 45454, "ann", 11}); err != nil || nm != want {
		t.Errorf("%+v, %v", nm, err)
	}

	c, err := DecodeContainerIdentifier([]byte(pb(
		1, pb(2, attempt, 3, 1<<40|5), 2, "node1:45454", 3, "ann", 4, pb(1, 2048, 2, 4), 5, 1700000600000, 6, -1, 7, 42, 9, 1700000000000,
	)))
	want := ContainerIdentifier{
		wantAttempt, 1<<40 | 5, "node1:45454", "ann", time.UnixMilli(1700000600000), 2048, 4, 42, time.UnixMilli(1700000000000),
	}
	if err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}

	for _, broken := range []string{"\x0a", "\x0a\x7f", "\xff", "\x08", pb(1, 5), pb(1, "\x08"), "\x0b"} {
		for kind, decode := range map[string]func([]byte) error{
			KindAMRM:      func(b []byte) error { _, err := DecodeAMRMIdentifier(b); return err },
			KindNM:        func(b []byte) error { _, err := DecodeNMIdentifier(b); return err },
			KindContainer: func(b []byte) error { _, err := DecodeContainerIdentifier(b); return err },
		} {
			if err := decode([]byte(broken)); err == nil || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s of %q: %v", kind, broken, err)
			}
		}
	}
}
