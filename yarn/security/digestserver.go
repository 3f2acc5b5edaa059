package security

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// DigestServer is the server's side of DIGEST-MD5 as Hadoop's servers play it,
// for tests and fakes. One value serves one connection.
type DigestServer struct {
	// Realm is the server's id, "default" in Hadoop; it is also the last part
	// of the digest URI, after Protocol ("" in Hadoop) and a slash.
	Realm, Protocol string
	// Offer lists the qualities of protection in the server's order; empty
	// means QOPAuth.
	Offer []QOP
	// Ciphers are offered with QOPPrivacy; empty means all.
	Ciphers []Cipher
	// Password returns the password of the token with the identifier.
	Password func(identifier []byte) ([]byte, error)
	// Random is crypto/rand.Reader outside of tests.
	Random io.Reader

	nonce      string
	identifier []byte
	layer      Layer
}

// ErrNoPassword is wrapped by Evaluate's error when Password returned one.
var ErrNoPassword = errors.New("no password for the token")

// Challenge returns the first message.
func (s *DigestServer) Challenge() ([]byte, error) {
	var random [30]byte
	if _, err := io.ReadFull(s.Random, random[:]); err != nil {
		return nil, fmt.Errorf("random bytes: %w", err)
	}
	s.nonce = base64.StdEncoding.EncodeToString(random[:])
	var qops []string
	for _, q := range s.offer() {
		qops = append(qops, string(q))
	}
	c := fmt.Sprintf(`realm=%s,nonce=%s,qop="%s",charset=utf-8,algorithm=md5-sess`,
		quoteDirective(s.Realm), quoteDirective(s.nonce), strings.Join(qops, ","))
	if slices.Contains(s.offer(), QOPPrivacy) {
		var names []string
		for _, cipher := range s.ciphers() {
			names = append(names, string(cipher))
		}
		c += fmt.Sprintf(`,cipher="%s"`, strings.Join(names, ","))
	}
	return []byte(c), nil
}

func (s *DigestServer) offer() []QOP {
	if len(s.Offer) == 0 {
		return []QOP{QOPAuth}
	}
	return s.Offer
}

func (s *DigestServer) ciphers() []Cipher {
	if len(s.Ciphers) == 0 {
		return []Cipher{Cipher3DES, CipherRC4, CipherDES, CipherRC456, CipherRC440}
	}
	return s.Ciphers
}

// Evaluate checks the client's response and returns the server's proof, to be
// sent with the success.
func (s *DigestServer) Evaluate(response []byte) ([]byte, error) {
	proof, err := s.evaluate(response)
	if err != nil {
		return nil, fmt.Errorf("DIGEST-MD5 response: %w", err)
	}
	return proof, nil
}

func (s *DigestServer) evaluate(response []byte) ([]byte, error) {
	all, err := parseDirectives(response)
	if err != nil {
		return nil, err
	}
	get := func(name string) string {
		v, _, e := one(all, name)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	x := &exchange{
		username: get("username"), realm: get("realm"), nonce: get("nonce"), cnonce: get("cnonce"),
		uri: get("digest-uri"), qop: QOP(get("qop")),
	}
	count, proof, cipher, maxbuf := get("nc"), get("response"), Cipher(get("cipher")), get("maxbuf")
	switch {
	case err != nil:
		return nil, err
	case s.nonce == "" || x.nonce != s.nonce:
		return nil, errors.New("the nonce is not the one sent")
	case count != nonceCount:
		return nil, fmt.Errorf("nc is %q, not %s", count, nonceCount)
	case x.cnonce == "":
		return nil, errors.New("it has no cnonce")
	case x.realm != s.Realm:
		return nil, fmt.Errorf("realm is %q, not %q", x.realm, s.Realm)
	case x.uri != s.Protocol+"/"+s.Realm:
		return nil, fmt.Errorf("digest-uri is %q, not %q", x.uri, s.Protocol+"/"+s.Realm)
	}
	if x.qop == "" {
		x.qop = QOPAuth
	}
	if !slices.Contains(s.offer(), x.qop) {
		return nil, fmt.Errorf("qop %q was not offered", x.qop)
	}
	if x.qop == QOPPrivacy && !(slices.Contains(s.ciphers(), cipher) && cipher.known()) {
		return nil, fmt.Errorf("cipher %q was not offered", cipher)
	}
	maxBuffer := defaultMaxBuffer
	if maxbuf != "" {
		n, err := strconv.ParseUint(maxbuf, 10, 24)
		if err != nil {
			return nil, fmt.Errorf("maxbuf %q is no number", maxbuf)
		}
		maxBuffer = int(n)
	}
	identifier, err := base64.StdEncoding.DecodeString(x.username)
	if err != nil {
		return nil, errors.New("username is not base64")
	}
	password, err := s.Password(identifier)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPassword, err)
	}
	x.password = digestPassword(password)
	if subtle.ConstantTimeCompare([]byte(proof), []byte(x.response())) != 1 {
		return nil, errors.New("digest response does not match")
	}
	if s.layer, err = newDigestLayer(x, cipher, maxBuffer, serverSide); err != nil {
		return nil, err
	}
	s.identifier = identifier
	return []byte("rspauth=" + x.rspauth()), nil
}

// Identifier returns the identifier of the token that logged in, nil before
// Evaluate was content.
func (s *DigestServer) Identifier() []byte { return s.identifier }

// Layer returns the protection agreed on, nil for QOPAuth.
func (s *DigestServer) Layer() Layer { return s.layer }
