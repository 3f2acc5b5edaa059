package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
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
	password, _ := r.text("ssl.key.password")
	keyPEM, err := decryptKeys(keyPEM, password)
	if err != nil {
		r.fail(name, "the private key cannot be read: %v; see %s", err, r.key("ssl.key.password"))
		return nil, r.err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		r.fail(name, "certificate and private key cannot be used: %v", err)
		return nil, r.err
	}
	return &c, nil
}

// pemFile reads a file of certificates and keys as PEM, whatever of PEM, JKS and
// PKCS12 it is and whatever ssl.*.type says.
func pemFile(r *settingReader, name string) (data []byte, ok bool, err error) {
	kind := strings.TrimSuffix(name, ".location") // ssl.truststore or ssl.keystore
	password, _ := r.text(kind + ".password")
	keyPassword, _ := r.text("ssl.key.password")
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
	if data, err = keystorePEM(data, password, keyPassword); err != nil {
		hint := ""
		if errors.Is(err, errWrongPassword) {
			hint = "; see " + r.key(kind+".password")
		}
		r.fail(name, "%s cannot be read: %v%s", path, err, hint)
		return nil, false, r.err
	}
	return data, true, nil
}

// decryptKeys opens encrypted private keys (PKCS8) and leaves the rest of the PEM
// as it is.
func decryptKeys(data []byte, password string) ([]byte, error) {
	if !bytes.Contains(data, []byte("ENCRYPTED")) {
		return data, nil
	}
	var out bytes.Buffer
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return out.Bytes(), nil
		}
		data = rest
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errors.New("it is encrypted in the old way of OpenSSL (openssl pkcs8 -topk8 makes a new one)")
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			var e encryptedKeyInfo
			if _, err := asn1.Unmarshal(block.Bytes, &e); err != nil {
				return nil, errCutOff
			}
			key, err := decryptPBE(e.Algorithm, e.Data, password)
			if err != nil {
				return nil, err
			}
			block = &pem.Block{Type: "PRIVATE KEY", Bytes: key}
		}
		if err := pem.Encode(&out, block); err != nil {
			return nil, err
		}
	}
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
