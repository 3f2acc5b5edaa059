package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/config"
	"heddle/system"
)

const secret = "s3cr3t\\\"; x"

// authority is a certificate authority of a test, in PEM files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes name.pem with certificate and key.
func (a *authority) issue(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := os.WriteFile(a.file(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// server is a broker's TLS configuration.
func (a *authority) server(t *testing.T, host string) *tls.Config {
	t.Helper()
	name := "broker-" + host
	c := &x509.Certificate{DNSNames: []string{host}}
	if ip := net.ParseIP(host); ip != nil {
		c.DNSNames, c.IPAddresses = nil, []net.IP{ip}
	}
	a.issue(t, name, c)
	pair, err := tls.LoadX509KeyPair(a.file(name), a.file(name))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func jaas(module string, options ...string) string {
	text := "org.apache.kafka.common.security." + module + " required"
	for i := 0; i < len(options); i += 2 {
		text += fmt.Sprintf(` %s="%s"`, options[i], strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(options[i+1]))
	}
	return text + ";"
}

// connects says if the system reaches its broker; secrets must be nowhere.
func connects(t *testing.T, cluster *kfake.Cluster, settings map[string]string) error {
	t.Helper()
	s, log := newSystemWithLog(t, cluster, settings)
	s.o.ConnectTimeout = 2 * time.Second // a login takes long under the race detector
	a, err := s.Admin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Describe(testContext(t))
	if strings.Contains(fmt.Sprint(err, log), "s3cr3t") {
		t.Errorf("a secret shows: %v %s", err, log)
	}
	if err == nil {
		// Both halves follow the settings of the one.
		topic := fmt.Sprint("t", time.Now().UnixNano())
		create(t, s, topic, 1)
		fill(t, s, topic, 0, 3)
		drain(t, consumerAt(t, s, topic, 0), map[string]int64{topic + "/0": 3})
	}
	return err
}

func TestSASL(t *testing.T) {
	const plainModule, scramModule = "plain.PlainLoginModule", "scram.ScramLoginModule"
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel() // most of it waits
			module := scramModule
			if mechanism == "PLAIN" {
				module = plainModule
			}
			cluster := fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "alice", secret))
			settings := func(user, password string) map[string]string {
				return map[string]string{
					"consumer.security.protocol": "SASL_PLAINTEXT",
					"consumer.sasl.mechanism":    mechanism,
					"consumer.sasl.jaas.config":  jaas(module, "username", user, "password", password),
				}
			}
			if err := connects(t, cluster, settings("alice", secret)); err != nil {
				t.Error(err)
			}
			err := connects(t, cluster, settings("alice", "s3cr3t-wrong"))
			if !errors.Is(err, system.ErrUnreachable) || !strings.Contains(err.Error(), "login by "+mechanism) {
				t.Errorf("a wrong password: %v", err)
			}
			if err := connects(t, cluster, nil); !errors.Is(err, system.ErrUnreachable) {
				t.Errorf("nobody logs in: %v", err)
			}
		})
	}
}

// A server that refuses a login by closing the connection is believed after a few
// times, long before the time to connect is over; once or twice is no answer.
func TestClosedLogins(t *testing.T) {
	for _, tt := range []struct {
		closes int32
		lets   bool
	}{{closedLogins - 1, true}, {1 << 30, false}} {
		cluster := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", "x"))
		var logins atomic.Int32
		cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			return nil, errors.New("closed"), logins.Add(1) <= tt.closes
		})
		s := newSystem(t, cluster, map[string]string{
			"consumer.security.protocol": "SASL_PLAINTEXT",
			"consumer.sasl.mechanism":    "PLAIN",
			"consumer.sasl.jaas.config":  jaas("plain.PlainLoginModule", "username", "alice", "password", "x"),
		})
		s.o.ConnectTimeout = 5 * time.Minute // longer than the test may take
		_, err := s.ask(t.Context())
		if tt.lets {
			if err != nil {
				t.Errorf("closed %d times: %v", tt.closes, err)
			}
			continue
		}
		var e *ConnectError
		if !errors.As(err, &e) || !e.Refused || e.ExitCode() != 3 || logins.Load() > 4*closedLogins {
			t.Errorf("closed always: %d logins, %v", logins.Load(), err)
		} else if text := e.Error(); !strings.Contains(text, "closes the connection during the login by PLAIN: see systems.kafka.consumer.sasl.jaas.config") || strings.Contains(text, "\n") {
			t.Error(text)
		}
	}
}

func TestProducerSecurityStandsForBoth(t *testing.T) {
	cluster := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", "x"))
	err := connects(t, cluster, map[string]string{
		"producer.security.protocol": "sasl_plaintext",
		"producer.sasl.mechanism":    "PLAIN",
		"producer.sasl.jaas.config":  jaas("plain.PlainLoginModule", "username", "alice", "password", "x"),
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue(t, "client", &x509.Certificate{})
	cluster := fake(t, kfake.TLS(a.server(t, "127.0.0.1")))
	misnamed := fake(t, kfake.TLS(a.server(t, "kafka.example")))
	both := a.server(t, "127.0.0.1")
	both.ClientAuth, both.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	both.ClientCAs.AddCert(a.cert)
	mutual := fake(t, kfake.TLS(both))
	text, err := os.ReadFile(a.file("ca"))
	if err != nil {
		t.Fatal(err)
	}

	trust := func(more ...string) map[string]string {
		m := map[string]string{"consumer.security.protocol": "SSL", "consumer.ssl.truststore.location": a.file("ca"), "consumer.ssl.truststore.type": "PEM"}
		for i := 0; i < len(more); i += 2 {
			m["consumer."+more[i]] = more[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name     string
		cluster  *kfake.Cluster
		settings map[string]string
		problem  string
	}{
		{"trusted", cluster, trust(), ""},
		{"TLS 1.3 only", cluster, trust("ssl.enabled.protocols", "TLSv1.3"), ""},
		{"certificates in the value", cluster, map[string]string{"consumer.security.protocol": "SSL", "consumer.ssl.truststore.certificates": string(text)}, ""},
		{"another authority", cluster, map[string]string{"consumer.security.protocol": "SSL", "consumer.ssl.truststore.location": other.file("ca")}, "certificate"},
		{"another host's certificate", misnamed, trust(), "127.0.0.1"},
		{"the name is not checked", misnamed, trust("ssl.endpoint.identification.algorithm", "none"), ""},
		{"but the chain is", misnamed, map[string]string{"consumer.security.protocol": "SSL", "consumer.ssl.truststore.location": other.file("ca"), "consumer.ssl.endpoint.identification.algorithm": "none"}, "certificate"},
		{"the client shows none", mutual, trust(), "certificate"},
		{"the client shows one", mutual, trust("ssl.keystore.location", a.file("client"), "ssl.keystore.type", "PEM"), ""},
		{"without TLS", cluster, nil, "no Kafka answered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := connects(t, tt.cluster, tt.settings)
			if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%v; want %q", err, tt.problem)
			}
		})
	}
}

func TestKeystoresThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ key, value, problem string }{
		{"ssl.truststore.location", filepath.Join(dir, "missing"), "no such file"},
		{"ssl.truststore.location", write("t.jks", "\xfe\xed\xfe\xed\x00\x00\x00\x02"), "cut off or damaged"},
		{"ssl.truststore.location", write("t.jceks", "\xce\xce\xce\xce\x00\x00\x00\x02"), "JCEKS"},
		{"ssl.truststore.location", write("t.p12", "\x30\x82\x01\x00"), "neither PEM nor a keystore"},
		{"ssl.truststore.location", write("t.txt", "hello"), "neither PEM nor a keystore"},
		{"ssl.truststore.location", "testdata/keystores/trust.p12", "ssl.truststore.password"},
		{"ssl.truststore.location", write("t.pem", "-----BEGIN NOTHING-----\n-----END NOTHING-----\n"), "no certificate"},
		{"ssl.truststore.certificates", "hello", "no certificate"},
		{"ssl.keystore.location", "testdata/keystores/key.jks", "ssl.keystore.password"},
		{"ssl.keystore.location", "testdata/keystores/client.pem", "private key"},
		{"ssl.keystore.location", write("k.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "ssl.key.password"},
		{"ssl.keystore.location", write("o.pem", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n"), "old way"},
		{"ssl.keystore.key", "s3cr3t", "must be set together"},
	} {
		c := config.New(map[string]string{
			"systems.k.producer.bootstrap.servers": "a:1", "systems.k.consumer.security.protocol": "SSL", "systems.k.consumer." + tt.key: tt.value,
		})
		_, err := New("k", c, Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s=%q: %v; want %q", tt.key, tt.value, err, tt.problem)
		}
	}
}

func TestSASLSettings(t *testing.T) {
	for _, tt := range []struct{ mechanism, config, problem string }{
		{"PLAIN", "", "PlainLoginModule required username"},
		{"PLAIN", "s3cr3t", "cannot be read"},
		{"PLAIN", `a.PlainLoginModule required username="alice";`, "no username or no password"},
		{"SCRAM-SHA-512", `a.Scram required password="s3cr3t";`, "no username or no password"},
		{"", `a.Krb5LoginModule required;`, "useKeyTab=true"},
		{"GSSAPI", `a.Krb5LoginModule required useKeyTab=true keyTab="/k";`, "principal"},
		{"GSSAPI", `a.Krb5LoginModule required useKeyTab=true keyTab="/k" principal="a@B";`, ""},
		{"GSSAPI", `a.Krb5LoginModule required useTicketCache=true;`, ""},
		{"OAUTHBEARER", `a.OAuth required clientId="a" clientSecret="s3cr3t";`, "sasl.oauthbearer.token.endpoint.url"},
		{"OAUTHBEARER", `a.OAuth required unsecuredLoginStringClaim_sub="alice";`, ""},
		{"NTLM", `a.B required;`, "expected one of plain, scram-sha-256, scram-sha-512, oauthbearer, gssapi"},
	} {
		m := map[string]string{"systems.k.producer.bootstrap.servers": "a:1", "systems.k.consumer.security.protocol": "SASL_SSL"}
		if tt.mechanism != "" {
			m["systems.k.consumer.sasl.mechanism"] = tt.mechanism
		}
		if tt.config != "" {
			m["systems.k.consumer.sasl.jaas.config"] = tt.config
		}
		_, err := New("k", config.New(m), Options{Logger: slog.New(slog.DiscardHandler)})
		if (err == nil) != (tt.problem == "") || err != nil && (!strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s %s: %v; want %q", tt.mechanism, tt.config, err, tt.problem)
		}
	}
}

// TestGSSAPIFailsWhenItConnects: what Kerberos needs is read when it is used.
func TestGSSAPIFailsWhenItConnects(t *testing.T) {
	t.Setenv("KRB5_CONFIG", filepath.Join(t.TempDir(), "krb5.conf"))
	cluster := fake(t, kfake.EnableSASL())
	err := connects(t, cluster, map[string]string{
		"consumer.security.protocol": "SASL_PLAINTEXT",
		"consumer.sasl.jaas.config":  `com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab="/k" principal="a@B";`,
	})
	if !errors.Is(err, system.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestOAuthTokens(t *testing.T) {
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		user, password, _ := r.BasicAuth()
		if user != "me" || password != url.QueryEscape(secret) || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":100}`, asked)
	}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	g := &credentialsGrant{endpoint: u, id: "me", secret: secret, scope: "kafka", client: server.Client(), now: func() time.Time { return now }}
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, "token-1"}, {79 * time.Second, "token-1"}, {2 * time.Second, "token-2"}} {
		now = now.Add(tt.after)
		if got, err := g.token(t.Context()); got != tt.want || err != nil {
			t.Errorf("after %s: %q, %v; want %q", tt.after, got, err, tt.want)
		}
	}
	g = &credentialsGrant{endpoint: u, id: "me", secret: "s3cr3t", client: server.Client(), now: time.Now}
	if _, err := g.token(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("with a wrong secret: %v", err)
	}
}

func TestTokenFileAndUnsecuredToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &settingReader{c: config.New(map[string]string{"systems.k.consumer.sasl.oauthbearer.token.endpoint.url": "file://" + path}), system: "k", side: consumerSide, seen: map[string]bool{}}
	source, err := tokenSource(r, login{})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := source(t.Context()); token != "abc" || err != nil {
		t.Errorf("the file's token: %q, %v", token, err)
	}

	r = &settingReader{system: "k", side: consumerSide, seen: map[string]bool{}}
	source, err = tokenSource(r, login{options: map[string]string{"unsecuredLoginStringClaim_sub": "alice"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] != "" {
		t.Fatalf("token %q", token)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Sub string
		Exp int64
	}
	if err := json.Unmarshal(body, &claims); err != nil || claims.Sub != "alice" || claims.Exp < time.Now().Unix() {
		t.Errorf("claims %s, %v", body, err)
	}
}

// TestRefused: what Kafka answers to a wrong password ends the tries at once.
func TestRefused(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("unable to dial: %w", kerr.SaslAuthenticationFailed), kerr.UnsupportedSaslMechanism, x509.UnknownAuthorityError{}, tls.RecordHeaderError{},
	} {
		if !refused(err) {
			t.Errorf("%v is tried on", err)
		}
	}
	for _, err := range []error{net.ErrClosed, kerr.LeaderNotAvailable, errors.New("x")} {
		if refused(err) {
			t.Errorf("%v is not tried on", err)
		}
	}
}
