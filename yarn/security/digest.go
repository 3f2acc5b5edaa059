package security

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// MechanismDigestMD5 is the SASL name of the mechanism for tokens.
const MechanismDigestMD5 = "DIGEST-MD5"

// exchange is what both sides of a DIGEST-MD5 exchange (RFC 2831, algorithm
// md5-sess, one round: nc is always 1) compute from.
type exchange struct {
	username, realm, password string
	nonce, cnonce             string
	uri                       string
	qop                       QOP
}

const nonceCount = "00000001"

func hash(parts ...string) []byte {
	h := md5.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{':'})
		}
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// a1 is H(A1), the session's key.
func (x *exchange) a1() []byte {
	secret := hash(x.username, x.realm, x.password)
	return hash(string(secret), x.nonce, x.cnonce)
}

func (x *exchange) digest(method string) string {
	a2 := method + ":" + x.uri
	if x.qop != QOPAuth {
		a2 += ":" + strings.Repeat("0", 32)
	}
	return hex.EncodeToString(hash(
		hex.EncodeToString(x.a1()), x.nonce, nonceCount, x.cnonce, string(x.qop),
		hex.EncodeToString(hash(a2)),
	))
}

// response is the client's proof that it knows the password.
func (x *exchange) response() string { return x.digest("AUTHENTICATE") }

// rspauth is the server's proof.
func (x *exchange) rspauth() string { return x.digest("") }

// digestUser and digestPassword are a token's identifier and password as
// DIGEST-MD5 sees them (SaslRpcServer.encodeIdentifier): base64, with padding.
func digestUser(identifier []byte) string   { return base64.StdEncoding.EncodeToString(identifier) }
func digestPassword(password []byte) string { return base64.StdEncoding.EncodeToString(password) }

// A Cipher is one of DIGEST-MD5's ciphers for QOPPrivacy, by its name in the
// challenge. All are weak by today's measure: they keep out who reads along,
// not who records and has time.
type Cipher string

// The ciphers of RFC 2831.
const (
	CipherRC4   Cipher = "rc4"
	Cipher3DES  Cipher = "3des"
	CipherDES   Cipher = "des"
	CipherRC456 Cipher = "rc4-56"
	CipherRC440 Cipher = "rc4-40"
)

// cipherPreference is the order in which a client chooses among the ciphers
// that a server offers.
var cipherPreference = []Cipher{CipherRC4, Cipher3DES, CipherDES, CipherRC456, CipherRC440}

// keyBytes is how much of H(A1) goes into the sealing key.
func (c Cipher) keyBytes() int {
	switch c {
	case CipherRC456:
		return 7
	case CipherRC440:
		return 5
	}
	return 16
}

func (c Cipher) known() bool {
	switch c {
	case CipherRC4, Cipher3DES, CipherDES, CipherRC456, CipherRC440:
		return true
	}
	return false
}

func mac(key []byte, seq [4]byte, msg []byte) []byte {
	h := hmac.New(md5.New, key)
	h.Write(seq[:])
	h.Write(msg)
	return h.Sum(nil)[:macSize]
}
