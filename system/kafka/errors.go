package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

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

	mechanism string // SASL's, if a login was tried
}

func (e *ConnectError) Error() string {
	where := fmt.Sprintf("%s (%s, %s)", strings.Join(e.Addresses, ","), e.Key, e.Origin)
	if e.Refused {
		return fmt.Sprintf("system %s: Kafka at %s refused the connection: %v", e.System, where, e.Err)
	}
	hint := "start it, or correct the address"
	var eof *kgo.ErrFirstReadEOF
	switch {
	case e.mechanism != "" && errors.Is(e.Err, io.EOF):
		hint = "the server closes the connection during the login by " + e.mechanism + ": check user, password and sasl.mechanism"
	case errors.As(e.Err, &eof):
		hint = "the server closes the connection at once, as one does that expects TLS or a login: see security.protocol"
	}
	return fmt.Sprintf("system %s: no Kafka answered at %s, tried for %s: %v; %s",
		e.System, where, e.Tried.Round(100*time.Millisecond), e.Err, hint)
}

// Unwrap gives system.ErrUnreachable and the cause.
func (e *ConnectError) Unwrap() []error { return []error{system.ErrUnreachable, e.Err} }

// ExitCode is 3: the contract's code for a service that could not be reached or
// refused.
func (e *ConnectError) ExitCode() int { return 3 }

// refused tells failures of connecting that more tries would not heal.
func refused(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		header    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState),
		errors.Is(err, kerr.ClusterAuthorizationFailed):
		return true
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &header), errors.As(err, &alert):
		return true
	}
	return false
}

// streamError gives a failure about a stream the sentinel that package system
// has for it, and the way out where there is one.
func streamError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("%w: %w", system.ErrNoStream, err)
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("%w: %w", system.ErrExists, err)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return fmt.Errorf("%w: %w", system.ErrOutOfRange, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("the user may not do that with this topic (see Kafka's ACLs): %w", err)
	}
	return err
}
