package system

import "testing"

func TestTopicID(t *testing.T) {
	a, b, none := TopicID{1, 2, 3}, TopicID{15: 255}, TopicID{}
	for _, id := range []TopicID{a, b, none} {
		if got, err := ParseTopicID(id.String()); err != nil || got != id {
			t.Errorf("%q became %v, %v", id.String(), got, err)
		}
	}
	if a.String() != "AQIDAAAAAAAAAAAAAAAAAA" || none.String() != "" {
		t.Errorf("%q, %q", a.String(), none.String())
	}
	for _, bad := range []string{"x", "AQIDAAAAAAAAAAAAAAAAAAAA", "AQIDAAAAAAAAAAAAAAAAA!", "AQID"} {
		if id, err := ParseTopicID(bad); err == nil {
			t.Errorf("%q is %v", bad, id)
		}
	}
	if !a.Other(b) || a.Other(a) || a.Other(none) || none.Other(a) || none.Other(none) {
		t.Error("which streams are others")
	}
}
