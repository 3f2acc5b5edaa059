package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// loginError says that a client could not make itself ready to log in: no
// ticket, no token. Kafka has no part in it.
type loginError struct {
	// setting is the one to look at: sasl.jaas.config, or another.
	setting string
	err     error
	// passing: another try may go better.
	passing bool
}

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// lastingKerberos are answers of a KDC that the next try would get, too.
var lastingKerberos = []string{
	"KDC_ERR_C_PRINCIPAL_UNKNOWN", "KDC_ERR_S_PRINCIPAL_UNKNOWN", "KDC_ERR_PREAUTH_FAILED", "KDC_ERR_CLIENT_REVOKED",
	"KDC_ERR_KEY_EXPIRED", "KDC_ERR_ETYPE_NOSUPP", "KDC_ERR_WRONG_REALM", "matching key not found in keytab",
}

// lastsKerberos tells failures of Kerberos that more tries would not heal.
func lastsKerberos(err error) bool {
	text := err.Error() // the library's errors hold their causes as text only
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		slices.ContainsFunc(lastingKerberos, func(s string) bool { return strings.Contains(text, s) })
}

// posture is what the security settings say, as far as it matters when a
// connection fails: never a secret.
type posture struct {
	mechanism string // SASL's, or ""
	// set are the settings that are set; key is the whole key of one, with the
	// place where it stands.
	set map[string]bool
	key func(setting string) string
}

func postureOf(r *settingReader, mechanism string) posture {
	p := posture{mechanism: mechanism, set: map[string]bool{}}
	for name := range r.seen {
		if _, ok := r.text(name); ok {
			p.set[name] = true
		}
	}
	p.key = func(name string) string {
		key := r.key(name)
		if !p.set[name] {
			return key
		}
		return fmt.Sprintf("%s (%s)", key, r.c.Origin(key))
	}
	return p
}

// first is the key of the first setting that is set, else of the last.
func (p posture) first(settings ...string) string {
	for _, s := range settings {
		if p.set[s] {
			return p.key(s)
		}
	}
	return p.key(settings[len(settings)-1])
}

// remedy says which setting to look at after a connection failed so; "" where
// it is none of the security's.
func (p posture) remedy(err error) string {
	var (
		login     *loginError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		verify    *tls.CertificateVerificationError
		header    tls.RecordHeaderError
		eof       *kgo.ErrFirstReadEOF
	)
	alert, alerted := remoteAlert(err)
	switch {
	case errors.As(err, &login):
		return "see " + p.key(login.setting)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("this server does not take %s: see %s", p.mechanism, p.key("sasl.mechanism"))
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.IllegalSaslState):
		return fmt.Sprintf("the login by %s failed: see %s", p.mechanism, p.first("sasl.oauthbearer.token.endpoint.url", "sasl.jaas.config"))
	case errors.As(err, &authority):
		return fmt.Sprintf("the server's certificate leads up to none that %s has", p.first("ssl.truststore.certificates", "ssl.truststore.location"))
	case errors.As(err, &host):
		return fmt.Sprintf("use a name that the certificate has, or do not compare names: %s=none", p.key("ssl.endpoint.identification.algorithm"))
	case errors.As(err, &verify):
		return "see " + p.first("ssl.truststore.certificates", "ssl.truststore.location")
	case alerted && strings.Contains(alert, "certificate") && !p.set["ssl.keystore.location"] && !p.set["ssl.keystore.certificate.chain"]:
		return "the server wants a certificate of this client: set " + p.key("ssl.keystore.location")
	case alerted && strings.Contains(alert, "certificate"):
		return "the server does not take the certificate of " + p.first("ssl.keystore.certificate.chain", "ssl.keystore.location")
	case alerted && (strings.Contains(alert, "protocol version") || strings.Contains(alert, "handshake failure")):
		return fmt.Sprintf("the server takes no TLS version or cipher of these: see %s", p.key("ssl.enabled.protocols"))
	case errors.As(err, &header):
		return fmt.Sprintf("the server does not speak TLS there: see %s", p.key("security.protocol"))
	case strings.Contains(err.Error(), "tls alert record"): // the library's guess; it has no type for it
		return fmt.Sprintf("the server speaks TLS there: see %s", p.key("security.protocol"))
	case errors.As(err, &eof):
		return fmt.Sprintf("the server closes the connection at once, as one does that expects TLS, none, or a login: see %s", p.key("security.protocol"))
	case p.closedAtLogin(err):
		return fmt.Sprintf("the server closes the connection during the login by %s: see %s and %s", p.mechanism, p.key("sasl.jaas.config"), p.key("sasl.mechanism"))
	}
	return ""
}

// closedLogins is how often in a row a server may close the connection during the
// login until that is its answer: old brokers, and proxies, refuse a login so. One
// that is about to end does it, too, but not again and again: it no longer listens.
const closedLogins = 4

// closedAtLogin tells the end of a connection that came once the server had
// answered, and before it had let this client in.
func (p posture) closedAtLogin(err error) bool {
	var first *kgo.ErrFirstReadEOF
	return p.mechanism != "" && errors.Is(err, io.EOF) && !errors.As(err, &first)
}

// remoteAlert is the TLS alert by which the other side ended a connection. Go's
// own type for it is not exported.
func remoteAlert(err error) (text string, ok bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" && op.Err != nil {
		return op.Err.Error(), true
	}
	return "", false
}

// refused tells failures of connecting that more tries would not heal.
func refused(err error) bool {
	var (
		login     *loginError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		header    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &login):
		return !login.passing
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState),
		errors.Is(err, kerr.ClusterAuthorizationFailed):
		return true
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &header), errors.As(err, &alert):
		return true
	}
	text, _ := remoteAlert(err)
	return strings.Contains(text, "certificate") || strings.Contains(text, "handshake failure") || strings.Contains(text, "protocol version")
}
