package coordinator

import (
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heddle/system"
	"heddle/system/memory"
)

// The hosts are written as Samza writes them, the newest one of each container
// counts, and what the stream held at the start is kept.
func TestLocalityIsWritten(t *testing.T) {
	ctx := t.Context()
	sys := memory.New("kafka", memory.NewBroker())
	s := openMade(t, sys)
	if err := s.Write(ctx, SetHost("0", "old"), SetHost("1", "h1")); err != nil {
		t.Fatal(err)
	}
	l := NewLocality(s, map[string]string{"0": "old", "1": "h1"}, slog.New(slog.DiscardHandler))
	l.Set("0", "h0")
	l.Set("0", "h2")
	want := map[string]string{"0": "h2", "1": "h1"}
	if got := l.Hosts(); !maps.Equal(got, want) {
		t.Errorf("hosts %v, want %v", got, want)
	}
	l.Close(ctx)
	snap, err := s.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := snap.Locality(); !maps.Equal(got, want) {
		t.Errorf("the stream says %v, want %v", got, want)
	}
	v := snap.All(TypeHost)["0"]
	if v.Source != "SamzaContainer" || !maps.Equal(v.Values, map[string]string{"host": "h2", "jmx-url": "", "jmx-tunneling-url": ""}) {
		t.Errorf("not as Samza writes it: %+v", v)
	}
}

// A stream that cannot be written at first is tried again; nobody waits for it.
func TestLocalityIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		sys := &refusing{System: memory.New("kafka", memory.NewBroker())}
		s := openMade(t, sys)
		sys.refuse.Store(2)
		l := NewLocality(s, nil, slog.New(slog.DiscardHandler))
		l.Set("0", "h0")
		synctest.Wait()
		l.Set("1", "h1")
		l.Set("0", "h3")
		for sys.refuse.Load() >= 0 {
			synctest.Wait()
			<-time.After(localityRetry)
		}
		synctest.Wait()
		snap, err := s.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := snap.Locality(), (map[string]string{"0": "h3", "1": "h1"}); !maps.Equal(got, want) {
			t.Errorf("the stream says %v, want %v", got, want)
		}
		l.Close(ctx)
	})
}

func openMade(t *testing.T, sys system.System) *Stream {
	t.Helper()
	admin, err := sys.Admin()
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Create(t.Context(), system.StreamSpec{Name: TopicName("j", "1"), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStream(t.Context(), sys, "j", "1", WithIdentity(Identity{"127.0.0.1", "u"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// refusing refuses to open a producer for a while.
type refusing struct {
	system.System
	refuse atomic.Int32
}

func (r *refusing) Producer() (system.Producer, error) {
	if r.refuse.Add(-1) >= 0 {
		return nil, errors.New("no broker")
	}
	return r.System.Producer()
}
