package security

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Captured from a ResourceManager 3.4.1.
const (
	rmIdentifier = "0a0d0a09080210a4fab8c7a034100110dbf6f8b6fdffffffff01"
	rmPassword   = "842e9abdaa9e0cbee4b0981b0e53fc35051f8894"
	rmNonce      = "yIHCrnK73u2UzxS8PUSM3K0qYtBq6EcF2zCnC/Qw"
	rmCnonce     = "C3UfOO5vQgo1AkgcGuvA40H8WI5TxYOx"
	rmResponse   = "3f059e6673083273e7bbbaabe80bc16c"
	rmRspauth    = "44f54fb8842a10172455c5154837063f"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestDigestGolden(t *testing.T) {
	x := &exchange{
		username: digestUser(unhex(rmIdentifier)), password: digestPassword(unhex(rmPassword)),
		realm: "default", nonce: rmNonce, cnonce: rmCnonce, uri: "/default", qop: QOPAuth,
	}
	if want := "Cg0KCQgCEKT6uMegNBABENv2+Lb9/////wE="; x.username != want {
		t.Errorf("username %s, want %s", x.username, want)
	}
	if got := x.response(); got != rmResponse {
		t.Errorf("response %s, want %s", got, rmResponse)
	}
	if got := x.rspauth(); got != rmRspauth {
		t.Errorf("rspauth %s, want %s", got, rmRspauth)
	}
}

func TestParseDirectives(t *testing.T) {
	tests := []struct {
		in   string
		want string // name=value joined by |, or "error: ..."
	}{
		{``, ``},
		{` , ,`, ``},
		{`realm="default",nonce="a,b=c",qop="auth-int,auth",charset=utf-8`, `realm=default|nonce=a,b=c|qop=auth-int,auth|charset=utf-8`},
		{"A = \"x\" ,\r\n b=y", `a=x|b=y`},
		{`a="q\"uo\\te"`, `a=q"uo\te`},
		{`a=""`, `a=`},
		{`a=,b=1`, `a=|b=1`},
		{`a="open`, `error`},
		{`a="open\`, `error`},
		{`a`, `error`},
		{`=x`, `error`},
		{`a="x"y`, `error`},
		{`a=x y`, `error`},
		{`"a"=x`, `error`},
		{strings.Repeat("a=b,", maxDirectives+1), `error`},
		{strings.Repeat("x", maxChallenge+1), `error`},
	}
	for _, tt := range tests {
		all, err := parseDirectives([]byte(tt.in))
		var parts []string
		for _, d := range all {
			parts = append(parts, d.name+"="+d.value)
		}
		got := strings.Join(parts, "|")
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("parseDirectives(%.60q) = %q (%v), want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestChallengeErrors(t *testing.T) {
	tests := []struct{ challenge, want string }{
		{`realm="default",qop="auth",algorithm=md5-sess`, "no nonce"},
		{`nonce="a",nonce="b",algorithm=md5-sess`, "twice"},
		{`nonce="a"`, "not md5-sess"},
		{`nonce="a",algorithm=md5`, "not md5-sess"},
		{`nonce="a",algorithm=md5-sess,maxbuf=0`, "maxbuf"},
		{`nonce="a",algorithm=md5-sess,maxbuf=16777216`, "maxbuf"},
		{`nonce="a",algorithm=md5-sess,qop="auth-new"`, "no common quality"},
		{`nonce="a",algorithm=md5-sess,qop="auth-conf"`, "no cipher"},
		{`nonce="a",algorithm=md5-sess,qop="auth-conf",cipher="aes"`, "no cipher"},
	}
	for _, tt := range tests {
		c := NewDigestClient(javaToken, "", "default", nil, rand.Reader)
		if _, err := c.Initial([]byte(tt.challenge)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.challenge, err, tt.want)
		}
	}
}

func TestChooseQOP(t *testing.T) {
	offered := []QOP{QOPIntegrity, QOPAuth, QOPPrivacy}
	tests := []struct {
		wanted []QOP
		want   QOP
	}{
		{nil, QOPIntegrity},
		{[]QOP{QOPPrivacy}, QOPPrivacy},
		{[]QOP{"new", QOPAuth, QOPPrivacy}, QOPAuth},
	}
	for _, tt := range tests {
		c := &DigestClient{protection: tt.wanted}
		if got, err := c.chooseQOP(offered); got != tt.want || err != nil {
			t.Errorf("wanted %v: %v, %v", tt.wanted, got, err)
		}
	}
}

// connectDigest runs an exchange of our own client and server.
func connectDigest(t *testing.T, q QOP, c Cipher) (client, server Layer) {
	t.Helper()
	s := &DigestServer{
		Realm: "default", Offer: []QOP{q}, Ciphers: []Cipher{c}, Random: rand.Reader,
		Password: func(id []byte) ([]byte, error) {
			if bytes.Equal(id, javaToken.Identifier) {
				return javaToken.Password, nil
			}
			return nil, errors.New("unknown token")
		},
	}
	challenge, err := s.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	cl := NewDigestClient(javaToken, "", "default", nil, rand.Reader)
	response, err := cl.Initial(challenge)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := s.Evaluate(response)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Identifier(), javaToken.Identifier) {
		t.Errorf("identifier %q", s.Identifier())
	}
	layer, err := cl.Finish(proof)
	if err != nil {
		t.Fatal(err)
	}
	return layer, s.Layer()
}

func TestLayersRefuseWhatWasChanged(t *testing.T) {
	for _, tt := range javaCases[1:] {
		t.Run(fmt.Sprint(tt.qop, tt.cipher), func(t *testing.T) {
			const msg = "a message of some length"
			client, server := connectDigest(t, tt.qop, tt.cipher)
			w, err := client.Wrap([]byte(msg))
			if err != nil {
				t.Fatal(err)
			}
			if tt.qop == QOPPrivacy && bytes.Contains(w, []byte("message")) {
				t.Error("readable")
			}
			if got, err := server.Unwrap(w); err != nil || string(got) != msg {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := server.Unwrap(w); err == nil {
				t.Error("the same message is taken twice")
			}
			for i := range w {
				client, server := connectDigest(t, tt.qop, tt.cipher)
				w, _ := client.Wrap([]byte(msg))
				w[i] ^= 0x40
				if got, err := server.Unwrap(w); err == nil {
					t.Errorf("byte %d changed: %q", i, got)
				}
			}
			for cut := range w {
				_, server := connectDigest(t, tt.qop, tt.cipher)
				if _, err := server.Unwrap(w[:cut]); err == nil {
					t.Errorf("the first %d bytes are taken", cut)
				}
			}
			// What the client sent is nothing that the client takes.
			client, _ = connectDigest(t, tt.qop, tt.cipher)
			w, _ = client.Wrap([]byte(msg))
			if _, err := client.Unwrap(w); err == nil {
				t.Error("the client takes its own message")
			}
		})
	}
}

func TestServerMustProveItself(t *testing.T) {
	for _, proof := range []string{"", "rspauth=", "rspauth=00000000000000000000000000000000", "x", "rspauth=a,rspauth=b"} {
		c := NewDigestClient(javaToken, "", "default", nil, rand.Reader)
		if _, err := c.Finish([]byte(proof)); err == nil {
			t.Errorf("%q before a challenge is taken", proof)
		}
		if _, err := c.Initial([]byte(`nonce="a",algorithm=md5-sess`)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Finish([]byte(proof)); err == nil {
			t.Errorf("%q is taken", proof)
		}
	}
}

// The proof may come as a challenge of its own, to be answered with nothing.
func TestProofAsChallenge(t *testing.T) {
	s := &DigestServer{Realm: "default", Random: rand.Reader, Password: func([]byte) ([]byte, error) { return javaToken.Password, nil }}
	challenge, err := s.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	c := NewDigestClient(javaToken, "", "default", nil, rand.Reader)
	if token, err := c.Initial(nil); token != nil || err != nil {
		t.Errorf("%q, %v", token, err)
	}
	response, err := c.Step(challenge)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := s.Evaluate(response)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := c.Step(proof); token != nil || err != nil {
		t.Errorf("%q, %v", token, err)
	}
	if layer, err := c.Finish(nil); layer != nil || err != nil {
		t.Errorf("%v, %v", layer, err)
	}
}

func TestServerRefuses(t *testing.T) {
	good := func(nonce string) *exchange {
		return &exchange{
			username: digestUser(javaToken.Identifier), password: digestPassword(javaToken.Password),
			realm: "default", nonce: nonce, cnonce: "c", uri: "/default", qop: QOPAuth,
		}
	}
	tests := []struct {
		name   string
		change func(x *exchange)
		extra  string
		want   string
	}{
		{"nonce", func(x *exchange) { x.nonce = "other" }, "", "nonce is not the one"},
		{"cnonce", func(x *exchange) { x.cnonce = "" }, "", "no cnonce"},
		{"realm", func(x *exchange) { x.realm = "other" }, "", "realm"},
		{"uri", func(x *exchange) { x.uri = "hdfs/x" }, "", "digest-uri"},
		{"qop", func(x *exchange) { x.qop = QOPPrivacy }, "", "was not offered"},
		{"password", func(x *exchange) { x.password = "other" }, "", "does not match"},
		{"user", func(x *exchange) { x.username = "not base64!" }, "", "not base64"},
		{"unknown user", func(x *exchange) { x.username = digestUser([]byte("who")) }, "", "no password for the token"},
		{"twice", func(*exchange) {}, ",nonce=x", "twice"},
		{"maxbuf", func(*exchange) {}, ",maxbuf=many", "maxbuf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &DigestServer{Realm: "default", Random: rand.Reader, Password: func(id []byte) ([]byte, error) {
				if bytes.Equal(id, javaToken.Identifier) {
					return javaToken.Password, nil
				}
				return nil, errors.New("who?")
			}}
			if _, err := s.Challenge(); err != nil {
				t.Fatal(err)
			}
			x := good(s.nonce)
			tt.change(x)
			r := fmt.Sprintf("username=%s,realm=%s,nonce=%s,nc=00000001,cnonce=%s,digest-uri=%s,response=%s,qop=%s%s",
				quoteDirective(x.username), quoteDirective(x.realm), quoteDirective(x.nonce), quoteDirective(x.cnonce),
				quoteDirective(x.uri), x.response(), x.qop, tt.extra)
			if _, err := s.Evaluate([]byte(r)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseProtection(t *testing.T) {
	qops, unknown := ParseProtection(" privacy, Integrity,authentication,, best ")
	if fmt.Sprint(qops) != "[auth-conf auth-int auth]" || fmt.Sprint(unknown) != "[best]" {
		t.Errorf("%v, %v", qops, unknown)
	}
}

func TestMaxWrapLeavesRoom(t *testing.T) {
	client, server := connectDigest(t, QOPPrivacy, Cipher3DES)
	w, err := client.Wrap(make([]byte, client.MaxWrap()))
	if err != nil || len(w) > defaultMaxBuffer {
		t.Errorf("%d bytes, %v", len(w), err)
	}
	if got, err := server.Unwrap(w); err != nil || len(got) != client.MaxWrap() {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
