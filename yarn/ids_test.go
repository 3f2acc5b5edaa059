package yarn

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestContainerIDText(t *testing.T) {
	app := ApplicationID{ClusterTimestamp: 1410901177871, Number: 1}
	attempt := AttemptID{Application: app, Attempt: 1}
	for _, c := range []struct {
		text string
		id   ContainerID
	}{
		{"container_1410901177871_0001_01_000005", ContainerID{attempt, 5}},
		{"container_e17_1410901177871_0001_01_000005", ContainerID{attempt, 17<<40 | 5}},
		{"container_e05_1410901177871_0001_01_000001", NewContainerID(attempt, 5, 1)},
		{"container_e100_1410901177871_0001_01_1234567", NewContainerID(attempt, 100, 1234567)},
		{"container_1410901177871_12345_100_1099511627775", ContainerID{AttemptID{ApplicationID{1410901177871, 12345}, 100}, 1<<40 - 1}},
	} {
		if got := c.id.String(); got != c.text {
			t.Errorf("String of %#v = %s, want %s", c.id, got, c.text)
		}
		got, err := ParseContainerID(c.text)
		if err != nil || got != c.id {
			t.Errorf("ParseContainerID(%s) = %#v, %v, want %#v", c.text, got, err, c.id)
		}
	}
}

func TestApplicationAndAttemptIDText(t *testing.T) {
	app, err := ParseApplicationID("application_1795446160676_0012")
	if err != nil || app != (ApplicationID{1795446160676, 12}) {
		t.Fatalf("got %#v, %v", app, err)
	}
	if got := app.String(); got != "application_1795446160676_0012" {
		t.Fatalf("got %s", got)
	}
	attempt, err := ParseAttemptID("appattempt_1795446160676_10012_000002")
	if err != nil || attempt != (AttemptID{ApplicationID{1795446160676, 10012}, 2}) {
		t.Fatalf("got %#v, %v", attempt, err)
	}
	if got := attempt.String(); got != "appattempt_1795446160676_10012_000002" {
		t.Fatalf("got %s", got)
	}
}

func TestBadIDs(t *testing.T) {
	for _, s := range []string{
		"", "_", "application", "application_", "application_1_", "application__1", "application_1_2_3", "app_1_2",
		"application_-1_1", "application_1_+1", "application_1_2147483648", "application_9223372036854775808_1", "application_1_0x1",
		strings.Repeat("application_", 1000),
	} {
		if id, err := ParseApplicationID(s); err == nil {
			t.Errorf("ParseApplicationID(%.40q) = %v, want an error", s, id)
		} else if len(err.Error()) > 250 {
			t.Errorf("error repeats %d bytes of input", len(err.Error()))
		}
	}
	for _, s := range []string{
		"", "container", "container_1_1_1", "container_1_1_1_1_1", "container_e_1_1_1_1", "container_17_1_1_1_1",
		"container_e8388608_1_1_1_1", "container_1_1_1_1099511627776", "container_e1_1_1_1", "container_1_1_1_-1",
	} {
		if id, err := ParseContainerID(s); err == nil {
			t.Errorf("ParseContainerID(%q) = %v, want an error", s, id)
		}
	}
	for _, s := range []string{"", "appattempt_1_1", "appattempt_1_1_1_1", "application_1_1_1", "appattempt_1_1_2147483648"} {
		if id, err := ParseAttemptID(s); err == nil {
			t.Errorf("ParseAttemptID(%q) = %v, want an error", s, id)
		}
	}
}

func TestIDsOrder(t *testing.T) {
	ids := []string{
		"container_1_0001_01_000002", "container_1_0001_01_000010", "container_e01_1_0001_01_000001",
		"container_1_0001_02_000001", "container_1_10000_01_000001", "container_2_0001_01_000001",
	}
	for i := range len(ids) - 1 {
		a, _ := ParseContainerID(ids[i])
		b, _ := ParseContainerID(ids[i+1])
		if a.Compare(b) != -1 || b.Compare(a) != 1 || a.Compare(a) != 0 {
			t.Errorf("%s is not ordered before %s", a, b)
		}
	}
}

func TestIDsInJSON(t *testing.T) {
	type record struct {
		App     ApplicationID
		Attempt AttemptID
		C       map[ContainerID]int
	}
	in := `{"App":"application_7_0001","Attempt":"appattempt_7_0001_000001","C":{"container_e02_7_0001_01_000003":1}}`
	var r record
	if err := json.Unmarshal([]byte(in), &r); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(r)
	if err != nil || string(out) != in {
		t.Fatalf("got %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"App":"x"}`), &r); err == nil || !strings.Contains(err.Error(), "application_1700000000000_0001") {
		t.Fatalf("got %v, want an error that shows an example", err)
	}
}

func FuzzParseContainerID(f *testing.F) {
	f.Add("container_1410901177871_0001_01_000005")
	f.Add("container_e17_1410901177871_0001_01_000005")
	f.Add("container_e8388607_9223372036854775807_2147483647_2147483647_1099511627775")
	f.Add("container_e00_0_0_0_0")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseContainerID(s)
		if err != nil {
			return
		}
		if id.ID < 0 || id.Epoch() < 0 {
			t.Fatalf("%q gave the negative id %#v", s, id)
		}
		again, err := ParseContainerID(id.String())
		if err != nil || again != id {
			t.Fatalf("%q gave %#v, whose text %s gave %#v, %v", s, id, id, again, err)
		}
	})
}

func FuzzParseApplicationID(f *testing.F) {
	f.Add("application_1410901177871_0001")
	f.Add("appattempt_1410901177871_0001_000001")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseApplicationID(s); err == nil {
			if again, err := ParseApplicationID(id.String()); err != nil || again != id {
				t.Fatalf("%q gave %#v, whose text %s gave %#v, %v", s, id, id, again, err)
			}
		}
		if id, err := ParseAttemptID(s); err == nil {
			if again, err := ParseAttemptID(id.String()); err != nil || again != id {
				t.Fatalf("%q gave %#v, whose text %s gave %#v, %v", s, id, id, again, err)
			}
		}
	})
}
