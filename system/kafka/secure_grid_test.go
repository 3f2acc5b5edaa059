//go:build grid

package kafka

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"heddle/config"
	"heddle/internal/grid"
	"heddle/internal/heard"
	"heddle/system"
)

// secured is a system of a properties file as users have it, with @DIR@ for the
// secured grid's folder, @SSL@ and @SASL@ for its listeners, and what it logs.
func secured(t *testing.T, g *grid.Grid, properties string) (*System, *heard.Text, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.properties")
	text := strings.NewReplacer("@DIR@", g.SecureDir, "@SSL@", g.KafkaSSLAddress, "@SASL@", g.KafkaSASLAddress).Replace(properties)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.ParseFile(t.Context(), file)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	log := &heard.Text{}
	s, err := New("kafka", c, Options{JobName: "secured", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		return nil, log, err
	}
	s.o.ConnectTimeout = 3 * time.Second
	t.Cleanup(func() { s.Close() })
	return s, log, nil
}

const (
	trustJKS = `
systems.kafka.consumer.ssl.truststore.location=@DIR@/truststore.jks
systems.kafka.consumer.ssl.truststore.password=` + grid.StorePassword + `
`
	overSSL = `
systems.kafka.samza.factory=org.apache.samza.system.kafka.KafkaSystemFactory
systems.kafka.producer.bootstrap.servers=@SSL@
systems.kafka.consumer.security.protocol=SSL
`
	overSASL = `
systems.kafka.samza.factory=org.apache.samza.system.kafka.KafkaSystemFactory
systems.kafka.producer.bootstrap.servers=@SASL@
systems.kafka.consumer.security.protocol=SASL_SSL
` + trustJKS
	bobInFile = `bob \\"s3cr3t\\"; x=1\\\\` // escaped for JAAS, and that for the file
	krb5      = `systems.kafka.consumer.sasl.mechanism=GSSAPI
systems.kafka.consumer.sasl.kerberos.service.name=kafka
systems.kafka.consumer.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true \
  keyTab="@DIR@/grid.keytab" principal="%s@` + grid.Realm + `";
`
)

func loginBy(mechanism, module, options string) string {
	return overSASL + "systems.kafka.consumer.sasl.mechanism=" + mechanism +
		"\nsystems.kafka.consumer.sasl.jaas.config=org.apache.kafka.common.security." + module + " required \\\n    " + options + ";\n"
}

// TestGridSecured counts what goes out and comes in by every way to log in to a
// real Kafka.
func TestGridSecured(t *testing.T) {
	g := grid.Use(t, grid.Secure)
	g.Kerberos(t)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source, err := unsecuredToken(&settingReader{}, jaasLogin("unsecuredLoginStringClaim_sub", "alice"))
		if err != nil {
			t.Error(err)
		}
		token, err := source(r.Context())
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, token)
	}))
	defer tokens.Close()
	pemDir := pemOfKeystores(t, g)

	for _, tt := range []struct{ name, properties string }{
		{"SSL, JKS", overSSL + trustJKS + `
systems.kafka.consumer.ssl.keystore.location=@DIR@/client.jks
systems.kafka.consumer.ssl.keystore.password=store-s3cr3t
systems.kafka.consumer.ssl.key.password=store-s3cr3t
`},
		{"SSL, PKCS12, producer's keys", strings.ReplaceAll(overSSL+`
systems.kafka.consumer.ssl.truststore.type=PKCS12
systems.kafka.consumer.ssl.truststore.location=@DIR@/truststore.p12
systems.kafka.consumer.ssl.truststore.password=store-s3cr3t
systems.kafka.consumer.ssl.keystore.type=PKCS12
systems.kafka.consumer.ssl.keystore.location=@DIR@/client.p12
systems.kafka.consumer.ssl.keystore.password=store-s3cr3t
systems.kafka.consumer.ssl.enabled.protocols=TLSv1.2
`, "kafka.consumer.s", "kafka.producer.s")},
		{"SSL, PEM files", overSSL + `
systems.kafka.consumer.ssl.truststore.type=PEM
systems.kafka.consumer.ssl.truststore.location=@DIR@/ca.pem
systems.kafka.consumer.ssl.keystore.type=PEM
systems.kafka.consumer.ssl.keystore.location=` + filepath.Join(pemDir, "client.pem") + "\n"},
		{"SSL, PEM in the file", overSSL + `
systems.kafka.consumer.ssl.truststore.type=PEM
systems.kafka.consumer.ssl.truststore.certificates=` + inValue(t, g.SecureFile("ca.pem")) + `
systems.kafka.consumer.ssl.keystore.type=PEM
systems.kafka.consumer.ssl.keystore.certificate.chain=` + inValue(t, filepath.Join(pemDir, "chain.pem")) + `
systems.kafka.consumer.ssl.keystore.key=` + inValue(t, filepath.Join(pemDir, "key.pem")) + "\n"},
		{"PLAIN", loginBy("PLAIN", "plain.PlainLoginModule", `username="alice" password="alice-s3cr3t"`)},
		{"PLAIN, signs in the password", loginBy("PLAIN", "plain.PlainLoginModule", `username=bob password="`+bobInFile+`"`)},
		{"SCRAM-SHA-256", loginBy("SCRAM-SHA-256", "scram.ScramLoginModule", `username="alice" password="alice-s3cr3t"`)},
		{"SCRAM-SHA-512", loginBy("SCRAM-SHA-512", "scram.ScramLoginModule", `username="alice" password="alice-s3cr3t"`)},
		{"OAUTHBEARER, unsecured", loginBy("OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule", `unsecuredLoginStringClaim_sub="alice"`)},
		{"OAUTHBEARER, token endpoint", loginBy("OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule", `clientId="alice" clientSecret="client-s3cr3t" scope="kafka"`) +
			"systems.kafka.consumer.sasl.oauthbearer.token.endpoint.url=" + tokens.URL + "/token\n"},
		{"GSSAPI", overSASL + fmt.Sprintf(krb5, "alice")},
		{"GSSAPI, a service's principal", overSASL + fmt.Sprintf(krb5, "job/worker")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, log, err := secured(t, g, tt.properties)
			if err != nil {
				t.Fatal(err)
			}
			topic := g.Topic(t, "secured", 2)
			const n = 200
			for p := range int32(2) {
				fill(t, s, topic, p, n)
			}
			got := drain(t, consumerAt(t, s, topic, 0, 0), map[string]int64{topic + "/0": n, topic + "/1": n})
			want := make([]string, 0, 2*n)
			var values []string
			for p := range 2 {
				for i := range n {
					want = append(want, fmt.Sprint(p, " value ", i))
				}
				for _, m := range got[fmt.Sprint(topic, "/", p)] {
					values = append(values, fmt.Sprint(p, " ", string(m.ValueBytes)))
				}
			}
			if d := grid.Tally(want, values); !d.Exact() {
				t.Error(d)
			}
			g.NoSecrets(t, "the log", log.String())
			g.DeleteTopics(t, topic)
		})
	}
}

// TestGridSecuredRefusals: one line that names the key, and no secrets.
func TestGridSecuredRefusals(t *testing.T) {
	g := grid.Use(t, grid.Secure)
	g.Kerberos(t)
	other := newAuthority(t)
	wrongKeytab(t, filepath.Join(other.dir, "wrong.keytab"), "alice")
	for _, tt := range []struct {
		name, properties string
		want             []string
	}{
		{"PLAIN, a wrong password", loginBy("PLAIN", "plain.PlainLoginModule", `username="alice" password="wrong-s3cr3t"`),
			[]string{"systems.kafka.consumer.sasl.jaas.config", "PLAIN"}},
		{"SCRAM, a wrong password", loginBy("SCRAM-SHA-256", "scram.ScramLoginModule", `username="alice" password="wrong-s3cr3t"`),
			[]string{"systems.kafka.consumer.sasl.jaas.config", "SCRAM-SHA-256"}},
		{"SCRAM, an unknown user", loginBy("SCRAM-SHA-512", "scram.ScramLoginModule", `username="nobody" password="wrong-s3cr3t"`),
			[]string{"systems.kafka.consumer.sasl.jaas.config", "SCRAM-SHA-512"}},
		{"OAUTHBEARER, what is no token", loginBy("OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule", `scope=x`) +
			"systems.kafka.consumer.sasl.oauthbearer.token.endpoint.url=file://" + other.file("ca") + "\n",
			[]string{"systems.kafka.consumer.sasl.oauthbearer.token.endpoint.url", "OAUTHBEARER"}},
		{"GSSAPI, a principal that the keytab lacks", overSASL + fmt.Sprintf(krb5, "nobody"),
			[]string{"systems.kafka.consumer.sasl.jaas.config", "nobody@" + grid.Realm}},
		{"GSSAPI, a keytab with other keys", overSASL + strings.ReplaceAll(fmt.Sprintf(krb5, "alice"), "@DIR@/grid.keytab", filepath.Join(other.dir, "wrong.keytab")),
			[]string{"systems.kafka.consumer.sasl.jaas.config", "alice@" + grid.Realm}},
		{"GSSAPI, another service", overSASL + strings.ReplaceAll(fmt.Sprintf(krb5, "alice"), "service.name=kafka", "service.name=kafak"),
			[]string{"systems.kafka.consumer.sasl.kerberos.service.name", "kafak/localhost"}},
		{"another authority", strings.ReplaceAll(loginBy("PLAIN", "plain.PlainLoginModule", `username="alice" password="alice-s3cr3t"`),
			"@DIR@/truststore.jks", other.file("ca")),
			[]string{"systems.kafka.consumer.ssl.truststore.location", "certificate"}},
		{"nothing trusted but the system's", strings.ReplaceAll(loginBy("PLAIN", "plain.PlainLoginModule", `username="alice" password="alice-s3cr3t"`), trustJKS, ""),
			[]string{"systems.kafka.consumer.ssl.truststore.location", "certificate"}},
		{"no client certificate", overSSL + trustJKS, []string{"systems.kafka.consumer.ssl.keystore.location", "certificate"}},
		{"an unknown authority's client certificate", overSSL + trustJKS + "systems.kafka.consumer.ssl.keystore.location=" + other.file("client") + "\n",
			[]string{"systems.kafka.consumer.ssl.keystore.location", "certificate"}},
		{"no TLS", strings.ReplaceAll(overSSL, "=SSL", "=PLAINTEXT"), []string{"systems.kafka.consumer.security.protocol"}},
		{"TLS at a plain listener", strings.ReplaceAll(overSSL+trustJKS, "@SSL@", g.KafkaAddress), []string{"systems.kafka.consumer.security.protocol"}},
		{"no login", strings.ReplaceAll(overSASL, "=SASL_SSL", "=SSL"), []string{"systems.kafka.consumer.security.protocol"}},
		{"a wrong store password", strings.ReplaceAll(overSSL+trustJKS, grid.StorePassword, "wrong-s3cr3t"), []string{"systems.kafka.consumer.ssl.truststore.password"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other.issue(t, "client", &x509.Certificate{})
			began := time.Now()
			s, log, err := secured(t, g, tt.properties)
			if err == nil {
				a, adminErr := s.Admin()
				if adminErr != nil {
					t.Fatal(adminErr)
				}
				if _, err = a.Describe(testContext(t)); err == nil {
					t.Fatal("it was let in")
				}
				if !errors.Is(err, system.ErrUnreachable) {
					t.Errorf("it is not system.ErrUnreachable: %v", err)
				}
			}
			t.Logf("after %s: %v", time.Since(began).Round(time.Millisecond), err)
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %q", want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Error("the error is more than a line")
			}
			g.NoSecrets(t, "the error or the log", err.Error()+log.String())
		})
	}
}

func jaasLogin(options ...string) (l login) {
	l.options = map[string]string{}
	for i := 0; i < len(options); i += 2 {
		l.options[options[i]] = options[i+1]
	}
	return l
}

// pemOfKeystores writes the client's keystore as PEM: client.pem with both,
// chain.pem and key.pem.
func pemOfKeystores(t *testing.T, g *grid.Grid) (dir string) {
	t.Helper()
	data, err := os.ReadFile(g.SecureFile("client.p12"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := keystorePEM(data, grid.StorePassword, "")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	at := strings.Index(string(both), "-----BEGIN PRIVATE KEY")
	for name, text := range map[string]string{"client": string(both), "chain": string(both[:at]), "key": string(both[at:])} {
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inValue is a PEM file as the value of a properties file.
func inValue(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(b), "\r", "")), "\n", "\\n\\\n  ")
}

// wrongKeytab has a key for the principal that the KDC does not know.
func wrongKeytab(t *testing.T, file, principal string) {
	t.Helper()
	k := keytab.New()
	if err := k.AddEntry(principal, grid.Realm, "wrong-s3cr3t", time.Now(), 1, 18); err != nil {
		t.Fatal(err)
	}
	b, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
