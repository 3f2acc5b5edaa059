package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
)

func TestRemedies(t *testing.T) {
	alert := func(text string) error {
		return fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: errors.New("tls: " + text)})
	}
	const prefix = "systems.k.producer."
	for _, tt := range []struct {
		name     string
		settings map[string]string
		err      error
		want     string // the setting named; "" for none
		refused  bool
	}{
		{"a wrong password", nil, kerr.SaslAuthenticationFailed, "sasl.jaas.config", true},
		{"a wrong token", map[string]string{"sasl.oauthbearer.token.endpoint.url": "file:///t"}, kerr.SaslAuthenticationFailed, "sasl.oauthbearer.token.endpoint.url", true},
		{"another mechanism", nil, kerr.UnsupportedSaslMechanism, "sasl.mechanism", true},
		{"an old broker's wrong password", nil, io.EOF, "sasl.jaas.config", false},
		{"an unknown authority", nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "ssl.truststore.location", true},
		{"an unknown authority, PEM in the value", map[string]string{"ssl.truststore.certificates": "x"}, x509.UnknownAuthorityError{}, "ssl.truststore.certificates", true},
		{"another name", nil, x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, "ssl.endpoint.identification.algorithm", true},
		{"an old certificate", nil, &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Cert: &x509.Certificate{}}}, "ssl.truststore.location", true},
		{"no client certificate", nil, alert("bad certificate"), "ssl.keystore.location", true},
		{"an unknown client certificate", map[string]string{"ssl.keystore.certificate.chain": "x"}, alert("unknown certificate authority"), "ssl.keystore.certificate.chain", true},
		{"no common version", nil, alert("protocol version not supported"), "ssl.enabled.protocols", true},
		{"a server in trouble", nil, alert("internal error"), "", false},
		{"TLS there", nil, errors.New("invalid large response size; the first three bytes received appear to be a tls alert record"), "security.protocol", false},
		{"no TLS there", nil, tls.RecordHeaderError{}, "security.protocol", true},
		{"closed at once", nil, &kgo.ErrFirstReadEOF{}, "security.protocol", false},
		{"no ticket", nil, &loginError{setting: "sasl.jaas.config", err: errors.New("x")}, "sasl.jaas.config", true},
		{"no KDC", nil, &loginError{setting: "sasl.jaas.config", err: errors.New("x"), passing: true}, "sasl.jaas.config", false},
		{"nobody listens", nil, &net.OpError{Op: "dial", Err: errors.New("refused")}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := map[string]string{prefix + "sasl.mechanism": "PLAIN"}
			r := &settingReader{system: "k", side: producerSide, seen: map[string]bool{"sasl.mechanism": true}}
			for k, v := range tt.settings {
				m[prefix+k] = v
				r.seen[k] = true
			}
			r.c = config.New(m)
			p := postureOf(r, "PLAIN")
			e := &ConnectError{System: "k", Addresses: []string{"a:1"}, Err: tt.err, Refused: refused(tt.err), remedy: p.remedy(tt.err)}
			if e.Refused != tt.refused {
				t.Errorf("refused: %v", e.Refused)
			}
			if got := e.Error(); tt.want != "" && !strings.Contains(got, prefix+tt.want) || tt.want == "" && strings.Contains(got, prefix) {
				t.Errorf("%s; want %q named", got, tt.want)
			}
		})
	}
}

func TestWhatLastsInKerberos(t *testing.T) {
	for text, want := range map[string]bool{
		"KRB Error: (6) KDC_ERR_C_PRINCIPAL_UNKNOWN Client not found in Kerberos database": true,
		"KRB Error: (29) KDC_ERR_SVC_UNAVAILABLE A service is not available":               false,
		"[Root cause: Networking_Error] dial tcp: connection refused":                      false,
	} {
		if got := lastsKerberos(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !lastsKerberos(fmt.Errorf("read: %w", fs.ErrNotExist)) {
		t.Error("a missing keytab is tried on")
	}
}
