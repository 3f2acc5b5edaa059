package kafka

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"heddle/config"
	"heddle/system"
)

func transactional(t *testing.T, c *kfake.Cluster, settings map[string]string) *System {
	t.Helper()
	m := map[string]string{"systems.kafka.producer.bootstrap.servers": c.ListenAddrs()[0]}
	for k, v := range settings {
		m[k] = v
	}
	s, err := New("kafka", config.New(m), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What would keep a take-over from succeeding is known by asking, and both say
// the same.
func TestCheckTransactions(t *testing.T) {
	options := system.TransactionOptions{ID: "heddle-j-1-Partition 0", Name: `task "Partition 0"`, Timeout: time.Minute}
	both := func(t *testing.T, s *System) []error {
		t.Helper()
		checked := s.CheckTransactions(testContext(t), options)
		_, taken := s.TakeOver(testContext(t), options)
		return []error{checked, taken}
	}
	t.Run("fine", func(t *testing.T) {
		for _, err := range both(t, transactional(t, fake(t), nil)) {
			if err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("brokers without", func(t *testing.T) {
		for _, err := range both(t, transactional(t, fake(t, kfake.MaxVersions(kversion.V0_10_2())), nil)) {
			if !errors.Is(err, system.ErrNoTransactions) || !strings.Contains(err.Error(), "0.11") || !strings.Contains(err.Error(), "at-least-once") {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("no right to the id", func(t *testing.T) {
		c := fake(t)
		c.ControlKey(int16(kmsg.FindCoordinator), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
			resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			for _, key := range req.(*kmsg.FindCoordinatorRequest).CoordinatorKeys {
				rc := kmsg.NewFindCoordinatorResponseCoordinator()
				rc.Key, rc.ErrorCode = key, resp.ErrorCode
				resp.Coordinators = append(resp.Coordinators, rc)
			}
			return resp, nil, true
		})
		for _, err := range both(t, transactional(t, c, nil)) {
			if err == nil || !strings.Contains(err.Error(), "ACLs") || !strings.Contains(err.Error(), options.ID) {
				t.Errorf("%v", err)
			}
		}
	})
}

// The key that a time-out comes from is named.
func TestTimeoutErrorNamesTheKey(t *testing.T) {
	for key, settings := range map[string]map[string]string{
		"task.commit.ms":           {"task.commit.ms": "600000", "task.commit.max.delay.ms": "600000"},
		"task.commit.max.delay.ms": {"task.commit.max.delay.ms": "6000000"},
	} {
		s := transactional(t, fake(t), settings)
		err := s.timeoutError(system.TransactionOptions{Name: "each task", Timeout: time.Hour}, "900000")
		var wrong *config.Error
		if !errors.As(err, &wrong) || wrong.Key != key || !strings.Contains(err.Error(), "transaction.max.timeout.ms (900000)") {
			t.Errorf("%v: %v", settings, err)
		}
	}
}
