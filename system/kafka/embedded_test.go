package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// Environment variables that turn the test binary into a child process.
const (
	childHome = "HEDDLE_TEST_EMBEDDED_HOME"
	childRole = "HEDDLE_TEST_EMBEDDED_ROLE"
)

func TestMain(m *testing.M) {
	home, role := os.Getenv(childHome), os.Getenv(childRole)
	switch {
	case role == "bench":
		benchBroker()
		return
	case home != "":
		child(home, role)
		return
	}
	os.Exit(m.Run())
}

// child serves or uses the embedded Kafka of home until it is killed. With the
// role write it prints each offset after the record was acknowledged.
func child(home, role string) {
	fail := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	s, err := embeddedSystem(home)
	if err != nil {
		fail(err)
	}
	ctx := context.Background()
	addrs, err := s.Addresses(ctx)
	if err != nil {
		fail(err)
	}
	fmt.Println("address", addrs[0])
	if role != "write" {
		<-ctx.Done()
		select {}
	}
	p, err := s.Producer()
	if err != nil {
		fail(err)
	}
	o, err := p.Outbox("child")
	if err != nil {
		fail(err)
	}
	for i := 0; ; i++ {
		for j := range 10 {
			if err := o.Send(system.Record{Stream: "made-by-itself", At: 1, Value: fmt.Append(nil, i*10+j)}); err != nil {
				fail(err)
			}
		}
		if err := o.Flush(ctx); err != nil {
			fail(err)
		}
		offset, _ := o.Acked("made-by-itself", 0)
		fmt.Println("acked", offset)
	}
}

func embeddedSystem(home string) (*System, error) {
	return New("kafka", config.New(map[string]string{"heddle.home": home}), Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}

// startChild runs the test binary as a child and gives its lines.
func startChild(t *testing.T, home, role string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childHome+"="+home, childRole+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

func line(t *testing.T, lines *bufio.Scanner, word string) string {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the child ended: %v", lines.Err())
	}
	rest, ok := strings.CutPrefix(lines.Text(), word+" ")
	if !ok {
		t.Fatalf("the child said %q", lines.Text())
	}
	return rest
}

// TestEmbeddedKeepsWhatItAcknowledged kills a process that serves and writes,
// again and again, and looks for every acknowledged record each time.
func TestEmbeddedKeepsWhatItAcknowledged(t *testing.T) {
	home := t.TempDir()
	var acked int64 = -1
	for round := range 3 {
		cmd, lines := startChild(t, home, "write")
		line(t, lines, "address")
		for range 5 + 5*round {
			n, err := strconv.ParseInt(line(t, lines, "acked"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			acked = n
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still said before it died counts too
			if n, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "acked "), 10, 64); err == nil {
				acked = n
			}
		}
		_ = cmd.Wait() // it was killed

		s, err := embeddedSystem(home)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := s.Admin()
		infos, err := a.Describe(testContext(t), "made-by-itself")
		if err != nil || infos["made-by-itself"].Partitions != 4 {
			t.Fatalf("Describe: %+v, %v", infos, err)
		}
		var offsets int64
		end, err := s.Read(testContext(t), "made-by-itself", 0, system.Oldest, system.End, func(ms []task.Message) error {
			for _, m := range ms {
				if m.Offset != offsets {
					return fmt.Errorf("offset %d follows %d", m.Offset, offsets-1)
				}
				offsets++
			}
			return nil
		})
		if err != nil || end <= acked || offsets != end {
			t.Fatalf("round %d: %d records, end %d, %v; %d was acknowledged", round, offsets, end, err, acked)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEmbeddedIsTakenOver uses a child's broker and goes on when it is killed.
func TestEmbeddedIsTakenOver(t *testing.T) {
	home := t.TempDir()
	cmd, lines := startChild(t, home, "serve")
	addr := line(t, lines, "address")

	s, err := embeddedSystem(home)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addrs, err := s.Addresses(testContext(t))
	if err != nil || addrs[0] != addr {
		t.Fatalf("Addresses: %v, %v; the child serves at %s", addrs, err, addr)
	}
	if s.broker.Serves() {
		t.Fatal("two processes serve one folder")
	}
	fill(t, s, "t", 0, 100)
	c, err := s.Consumer()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Assign(source("t", 0), system.Oldest); err != nil {
		t.Fatal(err)
	}
	drain(t, c, map[string]int64{"t/0": 100})

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	// The first record to a topic waits for the next to serve as any other does.
	fill(t, s, "new", 0, 10)
	fill(t, s, "t", 0, 100)
	got := drain(t, c, map[string]int64{"t/0": 200})
	if n := len(got["t/0"]); n != 100 {
		t.Errorf("%d messages after the change, want 100", n)
	}
	if !s.broker.Serves() {
		t.Error("nobody serves")
	}
}

func TestEmbeddedHasOneServerInAProcess(t *testing.T) {
	home := t.TempDir()
	a, err := embeddedSystem(home)
	if err != nil {
		t.Fatal(err)
	}
	b, err := embeddedSystem(home + "/../" + home[strings.LastIndexByte(home, '/')+1:])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	fill(t, a, "t", 2, 10)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	end, err := b.Read(testContext(t), "t", 2, 0, system.End, func([]task.Message) error { return nil })
	if err != nil || end != 10 {
		t.Errorf("Read by the other system: %d, %v", end, err)
	}
	if _, err := a.Addresses(testContext(t)); !errors.Is(err, errClosed) {
		t.Errorf("Addresses of a closed system: %v", err)
	}
}

func TestEmbeddedStartsFast(t *testing.T) {
	s, err := embeddedSystem(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	fill(t, s, "t", 0, 1)
	t.Logf("first record acknowledged after %s", time.Since(start))
	start = time.Now()
	for range 20 {
		fill(t, s, "t", 0, 1)
	}
	t.Logf("20 synced writes, one after the other: %s", time.Since(start))
	start = time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("closed after %s", time.Since(start))
}
