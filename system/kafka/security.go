package kafka

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"heddle/config"
)

// isSecuritySetting tells the settings of which one side's stand for both,
// unless the other has its own.
func isSecuritySetting(name string) bool {
	return name == "security.protocol" || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "ssl.")
}

// securitySide is the side whose security settings count for s.
func securitySide(c config.Config, system string, s side) side {
	for _, s := range []side{s, s.other()} {
		if slices.ContainsFunc(c.Subset(settingKey(system, s, ""), true).Keys(), isSecuritySetting) {
			return s
		}
	}
	return s
}

// security is how a client shows who it is and whom it trusts.
type security struct {
	protocol  string
	mechanism string // "" without SASL
	posture   posture
	opts      []kgo.Opt
	warnings  []string
}

// securityOf translates security.protocol, ssl.* and sasl.*. The error is a
// *config.Error that holds no secret.
func securityOf(c config.Config, system string, s side) (security, error) {
	r := &settingReader{c: c, system: system, side: securitySide(c, system, s), seen: map[string]bool{}}
	out := security{protocol: "plaintext"}
	if v, ok := r.oneOf("security.protocol", "plaintext", "ssl", "sasl_plaintext", "sasl_ssl"); ok {
		out.protocol = v
	}
	_, hasJAAS := r.text("sasl.jaas.config")
	switch {
	case r.err != nil:
		return out, r.err
	case hasJAAS && !strings.HasPrefix(out.protocol, "sasl_"):
		out.warnings = append(out.warnings, fmt.Sprintf("%s is set, but without %s=SASL_PLAINTEXT or SASL_SSL nobody logs in",
			r.key("sasl.jaas.config"), r.key("security.protocol")))
	}
	if strings.HasSuffix(out.protocol, "ssl") {
		t, err := tlsOf(r)
		if err != nil {
			return out, err
		}
		out.opts = append(out.opts, kgo.DialTLSConfig(t))
	}
	if strings.HasPrefix(out.protocol, "sasl_") {
		m, err := saslOf(r)
		if err != nil {
			return out, err
		}
		out.mechanism = m.Name()
		out.opts = append(out.opts, kgo.SASL(m))
		if out.mechanism == "PLAIN" && out.protocol == "sasl_plaintext" {
			out.warnings = append(out.warnings, r.key("security.protocol")+"=SASL_PLAINTEXT with PLAIN sends the password readably over the network; SASL_SSL does not")
		}
	}
	out.posture = postureOf(r, out.mechanism)
	return out, nil
}

func saslOf(r *settingReader) (sasl.Mechanism, error) {
	mechanism, ok := r.oneOf("sasl.mechanism", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer", "gssapi")
	if !ok {
		mechanism = "gssapi" // Kafka's default
	}
	if r.err != nil {
		return nil, r.err
	}
	var l login
	if text, ok := r.text("sasl.jaas.config"); ok {
		var err error
		if l, err = parseJAAS(text); err != nil {
			r.fail("sasl.jaas.config", "the value (not shown) cannot be read: %v", err)
			return nil, r.err
		}
	} else if mechanism != "oauthbearer" {
		key := r.key("sasl.jaas.config")
		return nil, &config.Error{Key: key, Origin: r.c.Origin(r.key("sasl.mechanism")), Problem: "missing: SASL is asked for, but not who logs in",
			Hint: `set it to: ` + jaasExample[mechanism]}
	}
	switch mechanism {
	case "plain":
		user, password, err := userOf(r, l)
		if err != nil {
			return nil, err
		}
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "scram-sha-256", "scram-sha-512":
		user, password, err := userOf(r, l)
		if err != nil {
			return nil, err
		}
		a := scram.Auth{User: user, Pass: password, IsToken: l.options["tokenauth"] == "true"}
		if mechanism == "scram-sha-256" {
			return a.AsSha256Mechanism(), nil
		}
		return a.AsSha512Mechanism(), nil
	case "oauthbearer":
		return oauthOf(r, l)
	default:
		return gssapiOf(r, l)
	}
}

// jaasExample shows what sasl.jaas.config looks like.
var jaasExample = map[string]string{
	"plain":         `org.apache.kafka.common.security.plain.PlainLoginModule required username="..." password="...";`,
	"scram-sha-256": `org.apache.kafka.common.security.scram.ScramLoginModule required username="..." password="...";`,
	"scram-sha-512": `org.apache.kafka.common.security.scram.ScramLoginModule required username="..." password="...";`,
	"oauthbearer":   `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="..." clientSecret="...";`,
	"gssapi":        `com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab="/path/to/keytab" principal="user@REALM";`,
}

func userOf(r *settingReader, l login) (user, password string, err error) {
	user, password = l.options["username"], l.options["password"]
	if user == "" || password == "" {
		r.fail("sasl.jaas.config", "the value (not shown) has no username or no password; it looks like: %s", jaasExample["plain"])
		return "", "", r.err
	}
	return user, password, nil
}

func tlsOf(r *settingReader) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if v, ok := r.text("ssl.enabled.protocols"); ok {
		lowest, highest := uint16(0), uint16(0)
		for p := range strings.SplitSeq(v, ",") {
			version, known := tlsVersions[strings.TrimSpace(p)]
			if !known {
				r.fail("ssl.enabled.protocols", "%q is not valid: expected TLSv1.2, TLSv1.3 or both", v)
				return nil, r.err
			}
			if lowest == 0 || version < lowest {
				lowest = version
			}
			highest = max(highest, version)
		}
		out.MinVersion, out.MaxVersion = lowest, highest
	}
	if v, ok := r.oneOf("ssl.endpoint.identification.algorithm", "https", "none"); ok && v == "none" {
		// The chain is still checked, only the host's name is not.
		out.InsecureSkipVerify = true
		out.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, out.RootCAs) }
	}
	roots, err := trustOf(r)
	if err != nil {
		return nil, err
	}
	out.RootCAs = roots
	own, err := keyOf(r)
	if err != nil {
		return nil, err
	}
	if own != nil {
		out.Certificates = []tls.Certificate{*own}
	}
	return out, r.err
}

var tlsVersions = map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
