package kafka

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"heddle/config"
	"heddle/system"
)

// ConnectError says that Kafka gave no answer, or refused to talk. It matches
// system.ErrUnreachable and its cause.
type ConnectError struct {
	// System is the system's name.
	System string
	// Addresses were tried; Key is the configuration key that they come from
	// and Origin the place where it stands.
	Addresses []string
	Key       string
	Origin    config.Origin
	// Tried is for how long.
	Tried time.Duration
	// Refused: a server answered, and did not accept the login or the
	// connection's protection; more tries would not help.
	Refused bool
	// Err is the last attempt's failure.
	Err error

	// remedy says which security setting to look at, if it is one.
	remedy string
}

func (e *ConnectError) Error() string {
	where := fmt.Sprintf("%s (%s, %s)", strings.Join(e.Addresses, ","), e.Key, e.Origin)
	var login *loginError
	var text string
	switch {
	case errors.As(e.Err, &login):
		text = fmt.Sprintf("system %s: cannot log in to Kafka at %s: %v", e.System, where, e.Err)
	case e.Refused:
		text = fmt.Sprintf("system %s: Kafka at %s refused the connection: %v", e.System, where, e.Err)
	default:
		text = fmt.Sprintf("system %s: no Kafka answered at %s, tried for %s: %v", e.System, where, e.Tried.Round(100*time.Millisecond), e.Err)
	}
	remedy := e.remedy
	if remedy == "" && !e.Refused {
		remedy = "start it, or correct the address"
	}
	if remedy != "" {
		text += "; " + remedy
	}
	// A server's or a KDC's words may have ends of lines in them.
	return strings.Join(strings.Fields(text), " ")
}

// Unwrap gives system.ErrUnreachable and the cause.
func (e *ConnectError) Unwrap() []error { return []error{system.ErrUnreachable, e.Err} }

// ExitCode is 3: the contract's code for a service that could not be reached or
// refused.
func (e *ConnectError) ExitCode() int { return 3 }

// streamError gives a failure about a stream the sentinel that package system
// has for it, and the way out where there is one.
func streamError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%w: %w", system.ErrNoStream, brokerError{err})
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("%w: %w", system.ErrExists, brokerError{err})
	case errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("%w: %w", system.ErrOutOfRange, brokerError{err})
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("the user may not do that with this topic (see Kafka's ACLs): %w", err)
	}
	return err
}

// brokerError is a broker's error as a part of a longer line: its full stop is left
// out.
type brokerError struct{ error }

func (e brokerError) Error() string { return strings.TrimSuffix(e.error.Error(), ".") }

// Unwrap gives the broker's error itself.
func (e brokerError) Unwrap() error { return e.error }

// oldBrokersError: the brokers do not know a request that Heddle cannot do without.
type oldBrokersError struct{ error }

func (e oldBrokersError) Error() string {
	return "the brokers are older than Kafka 0.11, the oldest that Heddle works with; update them: " + e.error.Error()
}

// Unwrap gives the client's error.
func (e oldBrokersError) Unwrap() error { return e.error }

// ExitCode is that of a service that refused.
func (oldBrokersError) ExitCode() int { return 3 }

// tooOld tells that a request failed because no broker knows it. The client has
// no error of its own for that, but words.
func tooOld(err error) error {
	if err != nil && strings.Contains(err.Error(), "broker is too old") {
		return oldBrokersError{err}
	}
	return err
}
