package embedded

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func ensure(t *testing.T, home string) *Broker {
	t.Helper()
	b, err := Ensure(t.Context(), home, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestHandlesShareOneBroker(t *testing.T) {
	home := t.TempDir()
	a, b := ensure(t, home), ensure(t, filepath.Join(home, "x", ".."))
	if a.Addr() != b.Addr() || !a.Serves() || !b.Serves() {
		t.Errorf("%s and %s", a.Addr(), b.Addr())
	}
	for range 2 { // closing twice counts once
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !answers(t.Context(), b.Addr()) {
		t.Error("the broker ended with the first of two handles")
	}
	addr := b.Addr()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if answers(t.Context(), addr) {
		t.Error("the broker outlives its last handle")
	}
	if again := ensure(t, home); again.Addr() != addr {
		t.Errorf("served again at %s, before at %s: clients look there", again.Addr(), addr)
	}
}

func TestFilesAreTheOwners(t *testing.T) {
	home := t.TempDir()
	b := ensure(t, home)
	for name, want := range map[string]os.FileMode{"address": 0o600, "lock": 0o600, ".": 0o700} {
		info, err := os.Stat(filepath.Join(home, "kafka", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	content, err := os.ReadFile(filepath.Join(home, "kafka", "address"))
	if err != nil || strings.TrimSpace(string(content)) != b.Addr() || !strings.HasPrefix(b.Addr(), "127.0.0.1:") {
		t.Errorf("address %q, served at %s, %v", content, b.Addr(), err)
	}
}

// TestStaleAddress: the address of a process that is gone is of no matter, nor is
// a damaged one.
func TestStaleAddress(t *testing.T) {
	for _, stale := range []string{"127.0.0.1:1", "127.0.0.1:99999999", "nonsense", ""} {
		home := t.TempDir()
		if err := os.MkdirAll(filepath.Join(home, "kafka"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "kafka", addressFile), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		if b := ensure(t, home); !answers(t.Context(), b.Addr()) {
			t.Errorf("with the address %q: served at %s", stale, b.Addr())
		}
	}
}

// TestSomeoneHoldsTheLock: who cannot serve and finds nobody who does waits as
// long as the caller lets it.
func TestSomeoneHoldsTheLock(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "kafka"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(home, "kafka", lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if ok, err := tryLock(f); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Ensure(ctx, home, slog.New(slog.DiscardHandler)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ensure: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	ensure(t, home)
}

func TestFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), file, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Ensure: %v", err)
	}
}

func TestPortOf(t *testing.T) {
	for addr, want := range map[string]int{"127.0.0.1:9092": 9092, "": 0, "x": 0, "a:b": 0} {
		if got := portOf(addr); got != want {
			t.Errorf("portOf(%q) = %d, want %d", addr, got, want)
		}
	}
}
