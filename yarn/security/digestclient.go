package security

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// DigestClient is the client's side of DIGEST-MD5 (RFC 2831) as Hadoop uses it:
// the token's identifier is the user, its password the password. One value
// serves one connection.
type DigestClient struct {
	token      *Token
	uri        string
	protection []QOP
	random     io.Reader

	x        *exchange // nil until the challenge was answered
	cipher   Cipher
	maxSend  int
	verified bool // the server has proven that it knows the password
}

// NewDigestClient returns a client for the token. protocol and serverID are
// those of the server's offer (usually "" and "default"). protection lists what
// is acceptable in order of preference; empty means all that the server offers,
// in its order. random is crypto/rand.Reader outside of tests.
func NewDigestClient(t *Token, protocol, serverID string, protection []QOP, random io.Reader) *DigestClient {
	return &DigestClient{token: t, uri: protocol + "/" + serverID, protection: protection, random: random}
}

// Name returns "DIGEST-MD5".
func (c *DigestClient) Name() string { return MechanismDigestMD5 }

// Initial answers the challenge that came with the server's offer; without one
// it returns nothing, and the server sends it next.
func (c *DigestClient) Initial(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 {
		return nil, nil
	}
	return c.Step(challenge)
}

// Step answers a challenge, or takes the server's proof when that comes as one.
func (c *DigestClient) Step(challenge []byte) ([]byte, error) {
	if c.x != nil {
		return nil, c.verify(challenge)
	}
	response, err := c.respond(challenge)
	if err != nil {
		return nil, fmt.Errorf("DIGEST-MD5 challenge: %w", err)
	}
	return response, nil
}

// Finish checks the server's proof and returns the protection agreed on, nil
// for QOPAuth.
func (c *DigestClient) Finish(token []byte) (Layer, error) {
	if c.x == nil {
		return nil, errors.New("DIGEST-MD5: the server claims success before it asked for anything")
	}
	if len(token) > 0 || !c.verified {
		if err := c.verify(token); err != nil {
			return nil, err
		}
	}
	return newDigestLayer(c.x, c.cipher, c.maxSend, clientSide)
}

func (c *DigestClient) verify(proof []byte) error {
	all, err := parseDirectives(proof)
	if err != nil {
		return fmt.Errorf("DIGEST-MD5 rspauth: %w", err)
	}
	got, ok, err := one(all, "rspauth")
	if err != nil || !ok {
		return errors.New("DIGEST-MD5: the server sent no proof that it knows the token's password")
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(c.x.rspauth())) != 1 {
		return errors.New("DIGEST-MD5: the server does not know the token's password: it is not the one that issued the token")
	}
	c.verified = true
	return nil
}

func (c *DigestClient) respond(challenge []byte) ([]byte, error) {
	ch, err := parseChallenge(challenge)
	if err != nil {
		return nil, err
	}
	qop, err := c.chooseQOP(ch.qops)
	if err != nil {
		return nil, err
	}
	if qop == QOPPrivacy {
		for _, p := range cipherPreference {
			if slices.Contains(ch.ciphers, p) {
				c.cipher = p
				break
			}
		}
		if c.cipher == "" {
			return nil, fmt.Errorf("the server offers no cipher that is known here, only %q", ch.ciphers)
		}
	}
	var random [32]byte
	if _, err := io.ReadFull(c.random, random[:]); err != nil {
		return nil, fmt.Errorf("random bytes: %w", err)
	}
	x := &exchange{
		username: digestUser(c.token.Identifier),
		password: digestPassword(c.token.Password),
		realm:    ch.realm,
		nonce:    ch.nonce,
		cnonce:   base64.StdEncoding.EncodeToString(random[:]),
		uri:      c.uri,
		qop:      qop,
	}
	c.x = x
	c.maxSend = ch.maxBuffer

	var b strings.Builder
	b.WriteString("charset=utf-8,username=" + quoteDirective(x.username))
	if ch.hasRealm {
		b.WriteString(",realm=" + quoteDirective(x.realm))
	}
	fmt.Fprintf(&b, ",nonce=%s,nc=%s,cnonce=%s,digest-uri=%s,maxbuf=%d,response=%s,qop=%s",
		quoteDirective(x.nonce), nonceCount, quoteDirective(x.cnonce), quoteDirective(x.uri),
		defaultMaxBuffer, x.response(), x.qop)
	if c.cipher != "" {
		b.WriteString(",cipher=" + quoteDirective(string(c.cipher)))
	}
	return []byte(b.String()), nil
}

func (c *DigestClient) chooseQOP(offered []QOP) (QOP, error) {
	wanted := c.protection
	if len(wanted) == 0 {
		wanted = offered
	}
	for _, q := range wanted {
		if !slices.Contains(offered, q) {
			continue
		}
		switch q {
		case QOPAuth, QOPIntegrity, QOPPrivacy:
			return q, nil
		}
	}
	return "", fmt.Errorf("no common quality of protection: the server offers %q, wanted is %q (hadoop.rpc.protection)", offered, wanted)
}

// A challenge is the server's first message.
type challenge struct {
	realm     string
	hasRealm  bool
	nonce     string
	qops      []QOP
	ciphers   []Cipher
	maxBuffer int
}

func parseChallenge(b []byte) (*challenge, error) {
	all, err := parseDirectives(b)
	if err != nil {
		return nil, err
	}
	ch := &challenge{maxBuffer: defaultMaxBuffer}
	// Several realms may be offered; the first is as good as any.
	for _, d := range all {
		if d.name == "realm" {
			ch.realm, ch.hasRealm = d.value, true
			break
		}
	}
	single := make(map[string]string)
	for _, name := range []string{"nonce", "algorithm", "maxbuf", "charset"} {
		value, ok, err := one(all, name)
		if err != nil {
			return nil, err
		}
		if ok {
			single[name] = value
		}
	}
	if ch.nonce = single["nonce"]; ch.nonce == "" {
		return nil, errors.New("it has no nonce")
	}
	if a := single["algorithm"]; !strings.EqualFold(a, "md5-sess") {
		return nil, fmt.Errorf("algorithm %q is not md5-sess", a)
	}
	if m, ok := single["maxbuf"]; ok {
		n, err := strconv.ParseUint(m, 10, 24)
		if err != nil || n <= trailerSize {
			return nil, fmt.Errorf("maxbuf %q is not a number from %d to %d", m, trailerSize+1, 1<<24-1)
		}
		ch.maxBuffer = int(n)
	}
	qop := "auth" // when the challenge names none
	for _, d := range all {
		switch d.name {
		case "qop":
			qop = cmp.Or(d.value, qop)
		case "cipher":
			for _, name := range list(d.value) {
				ch.ciphers = append(ch.ciphers, Cipher(name))
			}
		}
	}
	for _, name := range list(qop) {
		ch.qops = append(ch.qops, QOP(name))
	}
	return ch, nil
}
