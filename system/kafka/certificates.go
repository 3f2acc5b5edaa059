package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// trustOf reads the certificates that servers' must lead up to:
// ssl.truststore.certificates (PEM in the value) or ssl.truststore.location; nil,
// the system's, without either.
func trustOf(r *settingReader) (*x509.CertPool, error) {
	name := "ssl.truststore.certificates"
	text, ok := r.text(name)
	data := []byte(text)
	if !ok {
		name = "ssl.truststore.location"
		var err error
		if data, ok, err = pemFile(r, name); err != nil || !ok {
			return nil, err
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		r.fail(name, "no certificate in PEM was found")
		return nil, r.err
	}
	return pool, nil
}

// keyOf reads the client's own certificate: ssl.keystore.certificate.chain with
// ssl.keystore.key, or both from the PEM file ssl.keystore.location; nil without
// either.
func keyOf(r *settingReader) (*tls.Certificate, error) {
	name := "ssl.keystore.certificate.chain"
	chain, ok := r.text(name)
	key, hasKey := r.text("ssl.keystore.key")
	if ok != hasKey {
		r.fail(name, "ssl.keystore.certificate.chain and ssl.keystore.key must be set together")
		return nil, r.err
	}
	certPEM, keyPEM := []byte(chain), []byte(key)
	if !ok {
		name = "ssl.keystore.location"
		data, ok, err := pemFile(r, name)
		if err != nil || !ok {
			return nil, err
		}
		certPEM, keyPEM = data, data
	}
	if encryptedKey(keyPEM) {
		r.fail(name, "the private key is encrypted, which is not supported; decrypt it (openssl pkcs8 -in key.pem -out plain.pem) and protect the file")
		return nil, r.err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		r.fail(name, "certificate and private key cannot be used: %v", err)
		return nil, r.err
	}
	return &c, nil
}

// pemFile reads a file that must be PEM, whatever ssl.*.type says.
func pemFile(r *settingReader, name string) (data []byte, ok bool, err error) {
	path, ok := r.text(name)
	if !ok {
		return nil, false, nil
	}
	data, err = os.ReadFile(path)
	if err != nil {
		r.fail(name, "%v", err)
		return nil, false, r.err
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return data, true, nil
	}
	what := "a file in PEM"
	how := "keytool -exportcert -rfc -alias ALIAS -keystore %[1]s -file store.pem"
	if strings.HasSuffix(name, "keystore.location") {
		how = "keytool -importkeystore -srckeystore %[1]s -destkeystore store.p12 -deststoretype PKCS12, then openssl pkcs12 -in store.p12 -nodes -out store.pem"
	}
	switch {
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		what = "a Java keystore (JKS)"
	case len(data) > 1 && data[0] == 0x30:
		what = "a PKCS12 keystore"
		how = "openssl pkcs12 -in %[1]s -nodes -out store.pem"
	default:
		r.fail(name, "%s holds no certificate in PEM", path)
		return nil, false, r.err
	}
	r.fail(name, "%s is %s, and PEM is expected; convert it: "+how, path, what)
	if r.err != nil {
		return nil, false, r.err
	}
	return nil, false, nil
}

func encryptedKey(data []byte) bool {
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
		data = rest
	}
	return false
}

// verifyChain checks a server's certificate without its name.
func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(o); err != nil {
		return fmt.Errorf("verify the server's certificate: %w", err)
	}
	return nil
}
