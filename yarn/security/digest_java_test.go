package security

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "record the transcripts of the JDK's DIGEST-MD5 anew (needs java)")

// A transcript is one connection with the JDK's server.
type transcript struct {
	QOP       QOP
	Cipher    Cipher `json:",omitempty"`
	Challenge string
	Response  string
	Rspauth   string
	// Messages to and from the server, in the clear and as they travelled, hex.
	ToServer, FromServer []exchanged `json:",omitempty"`
}

type exchanged struct{ Plain, Wrapped string }

var javaToken = &Token{Identifier: []byte{10, 13, 0xff, 'i', 'd'}, Password: []byte("\x00secret\xfe"), Kind: KindAMRM}

// javaMessages have lengths around the block sizes. None is empty: the JDK wraps
// nothing as nothing, without a number, and RPC never sends it.
var javaMessages = []string{"first", "x", "0123456", "01234567", "a third, longer message: " + strings.Repeat("x", 100)}

var javaCases = []struct {
	qop    QOP
	cipher Cipher
}{
	{QOPAuth, ""}, {QOPIntegrity, ""},
	{QOPPrivacy, CipherRC4},
	{QOPPrivacy, Cipher3DES},
	{QOPPrivacy, CipherDES},
	{QOPPrivacy, CipherRC456},
	{QOPPrivacy, CipherRC440},
}

func TestJavaTranscripts(t *testing.T) {
	for _, tt := range javaCases {
		t.Run(fmt.Sprint(tt.qop, tt.cipher), func(t *testing.T) {
			path := filepath.Join("testdata", strings.TrimSuffix(fmt.Sprintf("jdk17-%s-%s", tt.qop, tt.cipher), "-")+".json")
			if *record {
				b, err := json.MarshalIndent(recordTranscript(t, tt.qop, tt.cipher), "", "\t")
				if err == nil {
					err = os.WriteFile(path, append(b, '\n'), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var tr transcript
			if err := json.Unmarshal(b, &tr); err != nil {
				t.Fatal(err)
			}
			replay(t, &tr)
		})
	}
}

// only makes the client choose the cipher, by offering it no other.
func only(challenge []byte, c Cipher) []byte {
	all, err := parseDirectives(challenge)
	if err != nil || c == "" {
		return challenge
	}
	var parts []string
	for _, d := range all {
		if d.name == "cipher" {
			d.value = string(c)
		}
		parts = append(parts, d.name+"="+quoteDirective(d.value))
	}
	return []byte(strings.Join(parts, ","))
}

// fixedRandom stands in for random bytes, so that a transcript can be repeated.
func fixedRandom() io.Reader { return bytes.NewReader(bytes.Repeat([]byte{0x5a}, 32)) }

func replay(t *testing.T, tr *transcript) {
	t.Helper()
	c := NewDigestClient(javaToken, "", "default", nil, fixedRandom())
	response, err := c.Initial(only([]byte(tr.Challenge), tr.Cipher))
	if err != nil || string(response) != tr.Response {
		t.Fatalf("response %s, %v\nwant %s", response, err, tr.Response)
	}
	layer, err := c.Finish([]byte(tr.Rspauth))
	if err != nil {
		t.Fatal(err)
	}
	if (layer == nil) != (tr.QOP == QOPAuth) {
		t.Fatalf("layer %v", layer)
	}
	for i, m := range tr.ToServer {
		plain, _ := hex.DecodeString(m.Plain)
		got, err := layer.Wrap(plain)
		if err != nil || hex.EncodeToString(got) != m.Wrapped {
			t.Errorf("message %d to the server: %x, %v; want %s", i, got, err, m.Wrapped)
		}
	}
	for i, m := range tr.FromServer {
		wrapped, _ := hex.DecodeString(m.Wrapped)
		got, err := layer.Unwrap(wrapped)
		if err != nil || hex.EncodeToString(got) != m.Plain {
			t.Errorf("message %d from the server: %x, %v; want %s", i, got, err, m.Plain)
		}
	}
}

// recordTranscript runs a connection with the JDK's server, which judges what
// the client sends.
func recordTranscript(t *testing.T, q QOP, c Cipher) *transcript {
	t.Helper()
	cmd := exec.Command("java", "testdata/DigestServer.java", string(q), digestPassword(javaToken.Password))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(out)
	read := func() []byte {
		if !lines.Scan() {
			t.Fatal("the JDK's server ended")
		}
		b, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ask := func(what string, b []byte) []byte {
		if _, err := fmt.Fprintf(in, "%s %x\n", what, b); err != nil {
			t.Fatal(err)
		}
		return read()
	}
	tr := &transcript{QOP: q, Cipher: c, Challenge: string(read())}
	client := NewDigestClient(javaToken, "", "default", nil, fixedRandom())
	response, err := client.Initial(only([]byte(tr.Challenge), c))
	if err != nil {
		t.Fatal(err)
	}
	tr.Response = string(response)
	tr.Rspauth = string(ask("respond", response))
	layer, err := client.Finish([]byte(tr.Rspauth))
	if err != nil {
		t.Fatal(err)
	}
	if layer == nil {
		return tr
	}
	for _, m := range javaMessages {
		w, err := layer.Wrap([]byte(m))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask("unwrap", w); string(got) != m {
			t.Errorf("the JDK unwraps %q as %q", m, got)
		}
		tr.ToServer = append(tr.ToServer, exchanged{hex.EncodeToString([]byte(m)), hex.EncodeToString(w)})
		tr.FromServer = append(tr.FromServer, exchanged{hex.EncodeToString([]byte(m)), hex.EncodeToString(ask("wrap", []byte(m)))})
	}
	return tr
}
