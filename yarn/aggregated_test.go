package yarn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// dump reads aggregated logs into a text: container, file, size and first bytes.
func dump(b []byte) (string, error) {
	text := ""
	err := ReadAggregatedLogs(bytes.NewReader(b), int64(len(b)), func(l AggregatedLog) error {
		head := make([]byte, 12)
		n, err := io.ReadFull(l.Content, head)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		text += fmt.Sprintf("%s %s %d %q\n", l.Container, l.Name, l.Size, head[:n])
		return nil
	})
	return text, err
}

// testdata/logs holds what NodeManagers of Hadoop 3.4.1 wrote, without and with
// yarn.nodemanager.log-aggregation.compression-type=gz.
func TestReadAggregatedLogs(t *testing.T) {
	for name, want := range map[string]string{
		"none": `container_e02_1795971166384_0001_01_000001 prelaunch.err 0 ""
container_e02_1795971166384_0001_01_000001 prelaunch.out 70 "Setting up e"
container_e02_1795971166384_0001_01_000001 stderr 0 ""
container_e02_1795971166384_0001_01_000001 stdout 704 "time=2026-11"
container_e02_1795971166384_0001_01_000002 prelaunch.err 0 ""
container_e02_1795971166384_0001_01_000002 prelaunch.out 70 "Setting up e"
container_e02_1795971166384_0001_01_000002 stderr 0 ""
container_e02_1795971166384_0001_01_000002 stdout 923 "time=2026-11"
`,
		"gz": `container_e03_1795971221001_0001_01_000003 prelaunch.err 0 ""
container_e03_1795971221001_0001_01_000003 prelaunch.out 70 "Setting up e"
container_e03_1795971221001_0001_01_000003 stderr 0 ""
container_e03_1795971221001_0001_01_000003 stdout 935 "time=2026-11"
container_e03_1795971221001_0001_01_000001 prelaunch.err 0 ""
container_e03_1795971221001_0001_01_000001 prelaunch.out 70 "Setting up e"
container_e03_1795971221001_0001_01_000001 stderr 0 ""
container_e03_1795971221001_0001_01_000001 stdout 704 "time=2026-11"
`,
	} {
		b, err := os.ReadFile("testdata/logs/aggregated-" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dump(b)
		if err != nil || got != want {
			t.Errorf("%s: %v\n%swant:\n%s", name, err, got, want)
		}
		for cut := range b {
			if _, err := dump(b[:cut]); !errors.Is(err, ErrLogFormat) {
				t.Fatalf("%s cut to %d bytes: %v", name, cut, err)
			}
		}
	}
}

// An error of the visitor is passed on as it is.
func TestReadAggregatedLogsEnds(t *testing.T) {
	b, err := os.ReadFile("testdata/logs/aggregated-none")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	enough := errors.New("enough")
	err = ReadAggregatedLogs(bytes.NewReader(b), int64(len(b)), func(AggregatedLog) error { calls++; return enough })
	if err != enough || calls != 1 { //nolint:errorlint // it must be the very one
		t.Errorf("%v after %d calls", err, calls)
	}
}

func FuzzReadAggregatedLogs(f *testing.F) {
	for _, name := range []string{"none", "gz"} {
		b, err := os.ReadFile("testdata/logs/aggregated-" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := dump(b); err != nil && !errors.Is(err, ErrLogFormat) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}
