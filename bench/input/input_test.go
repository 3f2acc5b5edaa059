package input

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestRecords(t *testing.T) {
	for _, k := range []Keys{{Users: Users}, {Users: 1_000_000, Each: true}, {Users: Users, Size: LeastSize}, {Users: Users, Size: 40}} {
		size := KeySize
		if k.Size > 0 {
			size = k.Size
		}
		for _, i := range []int64{0, 1, 9_999, 123_456, 99_999_999} {
			key, value := k.AppendKey(nil, i), AppendValue(nil, i)
			if user, ok := k.ParseUser(key); !ok || user != k.User(i) || len(key) != size {
				t.Errorf("key %q of record %d is user %d, %v", key, i, user, ok)
			}
			if n, ok := ParseValue(value); !ok || n != i || len(value) != ValueSize {
				t.Errorf("value %q of record %d is %d, %v", value, i, n, ok)
			}
			raw := k.AppendEvent(nil, i)
			var e Event
			if err := json.Unmarshal(raw, &e, json.RejectUnknownMembers(true)); err != nil || e.User != string(key) || len(raw) != EventSize-KeySize+size {
				t.Errorf("event %s (%d bytes) of record %d is of %q: %v", raw, len(raw), i, e.User, err)
			}
		}
	}
}

func TestNotRecords(t *testing.T) {
	k := Keys{Users: Users}
	for _, key := range []string{"", "user-", "user-0000001", "user-00010000", "user--0000001", "other-00000001"} {
		if u, ok := k.ParseUser([]byte(key)); ok {
			t.Errorf("key %q is user %d", key, u)
		}
	}
	value := AppendValue(nil, 7)
	value[3] = 'x'
	for _, v := range [][]byte{nil, value, value[:50]} {
		if i, ok := ParseValue(v); ok {
			t.Errorf("value %q is record %d", v, i)
		}
	}
}

func TestUsersAreSpread(t *testing.T) {
	var n [Users]int
	k := Keys{Users: Users}
	for i := range int64(100 * Users) {
		n[k.User(i)]++
	}
	for u, c := range n {
		if c < 40 || c > 180 {
			t.Fatalf("user %d has %d of %d records", u, c, 100*Users)
		}
	}
}

func TestEachUserOnce(t *testing.T) {
	for _, users := range []int64{1, 1000, 12_345, 1 << 20} {
		k := Keys{Users: users, Each: true}
		seen := make([]int, users)
		for i := range 2 * users {
			seen[k.User(i)]++
		}
		for u, n := range seen {
			if n != 2 {
				t.Fatalf("of %d users, %d came %d times in two rounds", users, u, n)
			}
		}
	}
}

func TestEachUserFirst(t *testing.T) {
	const users = 5000
	k := Keys{Users: users, First: true}
	var seen, later [users]int
	for i := range int64(users) {
		seen[k.User(i)]++
		later[k.User(users+i)]++
	}
	missing := 0
	for u, n := range seen {
		if n != 1 {
			t.Fatalf("user %d came %d times at first", u, n)
		}
		if later[u] == 0 {
			missing++
		}
	}
	if missing < users/4 || missing > users/2 {
		t.Errorf("later %d of %d users did not come in as many records", missing, users)
	}
}

func TestState(t *testing.T) {
	for _, size := range []int{LeastSize, 13, ValueSize, 5000} {
		a, b := AppendState(nil, 1, size), AppendState([]byte("x"), 2, size)
		if len(a) != size || len(b) != size+1 || bytes.Equal(a, b[1:]) || !bytes.Equal(a, AppendState(nil, 1, size)) {
			t.Errorf("%q\n%q", a, b)
		}
	}
}
