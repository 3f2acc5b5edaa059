package security

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzDecodeCredentials(f *testing.F) {
	f.Add(unhex(goldenWritable))
	f.Add(unhex(goldenProtobuf))
	f.Add([]byte("HDTS\x00\x00\x00"))
	f.Add([]byte("HDTS\x00\x8c\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCredentials(b)
		if err != nil {
			return
		}
		again, err := DecodeCredentials(c.Encode())
		if err != nil {
			t.Fatalf("what Encode writes does not decode: %v", err)
		}
		diff(t, again, c)
		_ = c.String()
	})
}

func FuzzDecodeToken(f *testing.F) {
	f.Add((&Token{Identifier: []byte("i"), Password: []byte("p"), Kind: "k", Service: "s"}).AppendWritable(nil))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := DecodeToken(b)
		if err != nil {
			return
		}
		// A length may be written in more bytes than it needs; the value holds.
		again, err := DecodeToken(tok.AppendWritable(nil))
		if err != nil || !again.Equal(tok) {
			t.Fatalf("%v, %v", again, err)
		}
		if url, err := DecodeTokenURL(tok.EncodeURL()); err != nil || !url.Equal(tok) {
			t.Fatalf("%v, %v", url, err)
		}
	})
}

func FuzzVLong(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(-113))
	f.Fuzz(func(t *testing.T, v int64) {
		r := &writableReader{b: AppendVLong(nil, v)}
		if got := r.vlong("v"); got != v || r.err != nil || len(r.b) != 0 {
			t.Fatalf("%d became %d, %v, %d bytes left", v, got, r.err, len(r.b))
		}
	})
}

func FuzzDigestChallenge(f *testing.F) {
	f.Add([]byte(`realm="default",nonce="abc",qop="auth-int,auth,auth-conf",charset=utf-8,cipher="3des,rc4",algorithm=md5-sess`))
	f.Add([]byte(`nonce="a\"",algorithm=md5-sess,maxbuf=17`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewDigestClient(javaToken, "", "default", nil, fixedRandom())
		response, err := c.Initial(b)
		if err != nil || len(response) == 0 {
			return
		}
		all, err := parseDirectives(response)
		if err != nil {
			t.Fatalf("our own response %q does not parse: %v", response, err)
		}
		nonce, _, err := one(all, "nonce")
		if err != nil || nonce != c.x.nonce {
			t.Fatalf("nonce %q, %v; want %q", nonce, err, c.x.nonce)
		}
		if _, err := c.Finish([]byte("rspauth=" + c.x.rspauth())); err != nil && c.x.qop == QOPAuth {
			t.Fatal(err)
		}
	})
}

func FuzzDigestUnwrap(f *testing.F) {
	for i := range javaCases[1:] {
		f.Add(i, []byte("0123456789012345\x00\x01\x00\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		if which < 0 || which >= len(javaCases)-1 {
			return
		}
		client, _ := connectDigest(t, javaCases[which+1].qop, javaCases[which+1].cipher)
		if got, err := client.Unwrap(slices.Clone(b)); err == nil {
			t.Fatalf("%q is taken as %q", b, got)
		}
	})
}

func FuzzIdentifiers(f *testing.F) {
	f.Add(unhex(rmIdentifier))
	f.Fuzz(func(_ *testing.T, b []byte) {
		before := bytes.Clone(b)
		_, _ = DecodeAMRMIdentifier(b)
		_, _ = DecodeNMIdentifier(b)
		_, _ = DecodeContainerIdentifier(b)
		if !bytes.Equal(b, before) {
			panic("the identifier was changed")
		}
	})
}
