package kafka

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Java keeps certificates and keys in keystores of two formats; Samza's users
// have them beside their properties. Both become PEM, of which the rest of the
// package makes what it needs.

// keystorePEM reads a keystore in JKS or PKCS12: the certificates, and the
// private key if there is one. storePassword opens it, keyPassword the key (""
// for the same). Errors hold no passwords.
func keystorePEM(data []byte, storePassword, keyPassword string) ([]byte, error) {
	if keyPassword == "" {
		keyPassword = storePassword
	}
	var (
		found keystoreContent
		err   error
	)
	switch {
	case bytes.HasPrefix(data, jksMagic):
		found, err = readJKS(data, storePassword, keyPassword)
	case bytes.HasPrefix(data, jceksMagic):
		return nil, errors.New("it is a JCEKS keystore, of which nothing is read here")
	default:
		found, err = readPKCS12(data, storePassword, keyPassword)
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	// The key's own certificate comes first, as tls.X509KeyPair wants it.
	for _, der := range found.ordered() {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	if found.key != nil {
		if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: found.key}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// keystoreContent is what a keystore holds, in DER.
type keystoreContent struct {
	certs [][]byte
	key   []byte // PKCS8
}

// ordered puts the certificate that belongs to the key first.
func (k keystoreContent) ordered() [][]byte {
	if k.key == nil {
		return k.certs
	}
	key, err := x509.ParsePKCS8PrivateKey(k.key)
	if err != nil {
		return k.certs
	}
	own, ok := key.(crypto.Signer)
	if !ok {
		return k.certs
	}
	want, err := x509.MarshalPKIXPublicKey(own.Public())
	if err != nil {
		return k.certs
	}
	for i, der := range k.certs {
		if c, err := x509.ParseCertificate(der); err == nil && bytes.Equal(c.RawSubjectPublicKeyInfo, want) {
			out := [][]byte{der}
			out = append(out, k.certs[:i]...)
			return append(out, k.certs[i+1:]...)
		}
	}
	return k.certs
}

var (
	jksMagic   = []byte{0xfe, 0xed, 0xfe, 0xed}
	jceksMagic = []byte{0xce, 0xce, 0xce, 0xce}

	errWrongPassword = errors.New("the password is wrong, or the file is damaged")
	errCutOff        = errors.New("the file is cut off or damaged")
)

// jksProtection is the algorithm of private keys in JKS.
var jksProtection = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1}

// readJKS reads Sun's own format: a count of entries, each a key with its chain
// or a trusted certificate, and a digest over all and the password.
func readJKS(data []byte, storePassword, keyPassword string) (keystoreContent, error) {
	var out keystoreContent
	if len(data) < 12+sha1.Size {
		return out, errCutOff
	}
	body, digest := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	if storePassword != "" { // Java, too, reads certificates without one
		h := sha1.New()
		h.Write(utf16Bytes(storePassword))
		h.Write([]byte("Mighty Aphrodite"))
		h.Write(body)
		if subtle.ConstantTimeCompare(h.Sum(nil), digest) != 1 {
			return out, errWrongPassword
		}
	}
	r := &jksReader{rest: body[4:]}
	version, count := r.u32(), r.u32()
	if version != 1 && version != 2 {
		return out, fmt.Errorf("version %d of the JKS format is unknown", version)
	}
	for range count {
		tag := r.u32()
		r.text()  // alias
		r.skip(8) // date
		switch tag {
		case 1:
			protected := r.block()
			chain := r.u32()
			for range chain {
				out.certs = append(out.certs, r.certificate(version))
				if r.failed {
					return out, errCutOff
				}
			}
			if r.failed || out.key != nil {
				break
			}
			key, err := unprotectJKS(protected, keyPassword)
			if err != nil {
				return out, err
			}
			out.key = key
		case 2:
			out.certs = append(out.certs, r.certificate(version))
		default:
			return out, fmt.Errorf("an entry of type %d is unknown", tag)
		}
		if r.failed {
			return out, errCutOff
		}
	}
	return out, nil
}

type jksReader struct {
	rest   []byte
	failed bool
}

func (r *jksReader) skip(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *jksReader) u32() uint32 {
	b := r.skip(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (r *jksReader) text() {
	if b := r.skip(2); b != nil {
		r.skip(int(binary.BigEndian.Uint16(b)))
	}
}

func (r *jksReader) block() []byte { return r.skip(int(int32(r.u32()))) }

func (r *jksReader) certificate(version uint32) []byte {
	if version == 2 {
		r.text() // "X.509"
	}
	return r.block()
}

// unprotectJKS opens a private key: 20 bytes of salt, the key under a stream of
// SHA-1 digests that begins with it, and a digest of password and key.
func unprotectJKS(der []byte, password string) ([]byte, error) {
	var info encryptedKeyInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, errCutOff
	}
	if !info.Algorithm.Algorithm.Equal(jksProtection) {
		return nil, fmt.Errorf("the private key is protected by %s, which is unknown", info.Algorithm.Algorithm)
	}
	data := info.Data
	if len(data) < 2*sha1.Size {
		return nil, errCutOff
	}
	secret := utf16Bytes(password)
	last, sealed, check := data[:sha1.Size], data[sha1.Size:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	key := make([]byte, len(sealed))
	for i := 0; i < len(key); i += sha1.Size {
		d := sha1.Sum(append(bytes.Clone(secret), last...))
		last = d[:]
		subtle.XORBytes(key[i:], sealed[i:], last)
	}
	if d := sha1.Sum(append(bytes.Clone(secret), key...)); subtle.ConstantTimeCompare(d[:], check) != 1 {
		return nil, errWrongPassword
	}
	return key, nil
}

// utf16Bytes is text as Java hands passwords to digests: UTF-16, big end first.
func utf16Bytes(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return out
}
