package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeystores reads what keytool and openssl wrote (testdata/keystores/make.sh).
func TestKeystores(t *testing.T) {
	for _, tt := range []struct {
		file, password, keyPassword string
		certs                       int
		key                         bool
	}{
		{"key.jks", "store-password", "key-password", 1, true},
		{"trust.jks", "store-password", "", 2, false},
		{"trust.jks", "", "", 2, false},
		{"key.p12", "store-password", "", 1, true},
		{"trust.p12", "store-password", "", 2, false},
		{"key-old.p12", "store-password", "", 1, true},
		{"trust-old.p12", "store-password", "", 2, false},
		{"openssl.p12", "store-password", "", 1, true},
		{"openssl-mixed.p12", "store-password", "", 1, true},
		{"openssl-plain.p12", "", "", 1, true},
	} {
		t.Run(tt.file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata/keystores", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			text, err := keystorePEM(data, tt.password, tt.keyPassword)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rest := text; ; n++ {
				var b *pem.Block
				if b, rest = pem.Decode(rest); b == nil || b.Type != "CERTIFICATE" {
					break
				}
				if c, err := x509.ParseCertificate(b.Bytes); err != nil || c.Subject.CommonName != "client" {
					t.Errorf("certificate %d: %v, %v", n, c.Subject, err)
				}
			}
			if n != tt.certs {
				t.Errorf("%d certificates, want %d", n, tt.certs)
			}
			if _, err := tls.X509KeyPair(text, text); (err == nil) != tt.key {
				t.Errorf("with its key: %v", err)
			}
			if tt.password == "" {
				return
			}
			if _, err := keystorePEM(data, "s3cr3t", ""); !errors.Is(err, errWrongPassword) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}

// TestEncryptedKeyInPEM reads a key that openssl pkcs8 -topk8 encrypted.
func TestEncryptedKeyInPEM(t *testing.T) {
	text, err := os.ReadFile("testdata/keystores/encrypted.pem")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := decryptKeys(text, "key-password")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(plain, plain); err != nil {
		t.Error(err)
	}
	if _, err := decryptKeys(text, "s3cr3t"); !errors.Is(err, errWrongPassword) {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestOwnCertificateComesFirst(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "client", &x509.Certificate{})
	text, err := os.ReadFile(a.file("client"))
	if err != nil {
		t.Fatal(err)
	}
	own, rest := pem.Decode(text)
	key, _ := pem.Decode(rest)
	k := keystoreContent{certs: [][]byte{a.cert.Raw, own.Bytes}, key: key.Bytes}
	if got := k.ordered(); !bytes.Equal(got[0], own.Bytes) || !bytes.Equal(got[1], a.cert.Raw) || len(got) != 2 {
		t.Error("the key's own certificate is not the first")
	}
}

// TestRC2 decrypts the examples of RFC 2268, section 5, whose keys count in full.
func TestRC2(t *testing.T) {
	for _, tt := range [][3]string{
		{"ffffffffffffffff", "278b27e42e2f0d49", "ffffffffffffffff"},
		{"3000000000000000", "30649edf9be7d2c2", "1000000000000001"},
		{"88bca90e90875a7f0f79c384627bafb2", "2269552ab0f85ca6", "0000000000000000"},
	} {
		key, in := unhex(t, tt[0]), unhex(t, tt[1])
		c, err := newRC2(key)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 8)
		c.Decrypt(out, in)
		if hex.EncodeToString(out) != tt[2] {
			t.Errorf("key %s: %x, want %s", tt[0], out, tt[2])
		}
	}
	if _, err := newRC2(nil); err == nil {
		t.Error("a key without bits is taken")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzKeystore: whatever the bytes, no panic.
func FuzzKeystore(f *testing.F) {
	files, err := filepath.Glob("testdata/keystores/*.[jp]*")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	defer func(n int) { mostIterations = n }(mostIterations)
	mostIterations = 20
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = keystorePEM(data, "store-password", "") // it returns
	})
}
