package config

import (
	"regexp"
	"strings"
)

// Mask stands for a secret value wherever a configuration is shown. Samza
// shows the same for its keys with the prefix "sensitive.".
const Mask = "********"

// secretWords mark a key as secret when it holds one of them and is not
// declared to be none. Kafka's own are password (ssl.*.password), jaas
// (sasl.jaas.config), secret (client.secret), token, and ssl.keystore.key, which
// is a private key in PEM.
var secretWords = []string{
	"password", "passwd", "passphrase", "secret", "jaas", "token", "keystore.key", "private.key",
	"access.key", "accesskey", "account.key", "api.key", "apikey", "basic.auth.user.info", "sas.key",
}

// plainSuffixes end keys that hold a secret's lifetime or address, not the
// secret.
var plainSuffixes = []string{
	".ms", ".seconds", ".url", ".urls", ".enabled", ".count", ".bytes", ".size", ".class", ".location", ".type",
}

// IsSecret tells whether the key's value must not be shown, sent over HTTP or
// written to a place that others can read: a declared key says so itself; of
// all others, those with the prefix "sensitive." and those that name a
// password, secret, token, JAAS configuration or private key.
func IsSecret(key string) bool {
	if strings.HasPrefix(key, "sensitive.") {
		return true
	}
	setting := key
	if d, s := match(key); d != nil {
		if !d.passThrough {
			return d.Secret
		}
		// Of a setting of another program only its own name counts: a topic may
		// be called password-resets.
		p := s.params(key)
		setting = p[len(p)-1]
	}
	lower := strings.ToLower(setting)
	for _, s := range plainSuffixes {
		if strings.HasSuffix(lower, s) {
			return false
		}
	}
	for _, w := range secretWords {
		if strings.Contains(lower, w) {
			return true
		}
	}
	return false
}

// Secrets returns the secret keys with their values, for the one way on which
// they may travel: the secret map of YARN's credentials, or a child's pipe.
func (c Config) Secrets() map[string]string {
	m := map[string]string{}
	for k, p := range c.m {
		if IsSecret(k) {
			m[k] = p.value
		}
	}
	return m
}

// WithoutSecrets returns c without its secret keys, for HTTP and the
// coordinator stream.
func (c Config) WithoutSecrets() Config {
	n := map[string]property{}
	for k, p := range c.m {
		if !IsSecret(k) {
			n[k] = p
		}
	}
	return newConfig(n)
}

// Redacted returns c with secret values replaced by Mask; in the values of
// other keys, the password of a URL and what follows "password=" and its like
// (JVM flags) are masked too.
func (c Config) Redacted() Config {
	n := make(map[string]property, len(c.m))
	for k, p := range c.m {
		p.value = redact(k, p.value)
		n[k] = p
	}
	return newConfig(n)
}

var (
	urlPassword  = regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+(@)`)
	flagPassword = regexp.MustCompile(`(?i)((?:password|passwd|secret|token)[a-z0-9_.-]*=)("[^"]*"|'[^']*'|[^\s,;]+)`)
)

func redact(key, value string) string {
	if IsSecret(key) {
		return Mask
	}
	value = urlPassword.ReplaceAllString(value, "${1}"+Mask+"${2}")
	return flagPassword.ReplaceAllString(value, "${1}"+Mask)
}
