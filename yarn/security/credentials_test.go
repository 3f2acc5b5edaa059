package security

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Written by Hadoop 3.4.1.
const (
	goldenWritable = "48445453000105616c696173056964656e74057061737377044b494e440d31302e302e302e313a383032300102736b03010203"
	goldenProtobuf = "48445453" + "01" + "39" + "0a2c0a05616c69617312230a056964656e74120570617373771a044b494e44220d31302e302e302e313a3830323012090a02736b1a03010203"
	goldenURL      = "BWlkZW50BXBhc3N3BEtJTkQNMTAuMC4wLjE6ODAyMA"
)

func goldenCredentials() *Credentials {
	c := new(Credentials)
	c.AddToken("alias", &Token{Identifier: []byte("ident"), Password: []byte("passw"), Kind: "KIND", Service: "10.0.0.1:8020"})
	c.AddSecret("sk", []byte{1, 2, 3})
	return c
}

func diff(t *testing.T, got, want *Credentials) {
	t.Helper()
	if d := cmp.Diff(want.contents(), got.contents()); d != "" {
		t.Errorf("credentials (-want +got):\n%s", d)
	}
}

// contents is what the credentials hold, in a form that cmp may look into.
func (c *Credentials) contents() map[string]string {
	m := make(map[string]string)
	for alias, t := range c.Tokens() {
		m["token "+alias] = fmt.Sprintf("%q %q %q %q", t.Identifier, t.Password, t.Kind, t.Service)
	}
	for _, alias := range c.Secrets() {
		s, _ := c.Secret(alias)
		m["secret "+alias] = fmt.Sprintf("%q", s)
	}
	return m
}

func TestCredentialsGolden(t *testing.T) {
	want := goldenCredentials()
	if got := hex.EncodeToString(want.Encode()); got != goldenWritable {
		t.Errorf("Encode\ngot  %s\nwant %s", got, goldenWritable)
	}
	for _, golden := range []string{goldenWritable, goldenProtobuf} {
		b, _ := hex.DecodeString(golden)
		got, err := DecodeCredentials(b)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, got, want)
		for cut := range b {
			if _, err := DecodeCredentials(b[:cut]); err == nil {
				t.Errorf("%d bytes of %s are taken", cut, golden)
			}
		}
		if _, err := DecodeCredentials(append(b, 0)); err == nil {
			t.Errorf("a byte after %s is taken", golden)
		}
	}
	if got := want.Token("alias").EncodeURL(); got != goldenURL {
		t.Errorf("EncodeURL = %s, want %s", got, goldenURL)
	}
	for _, text := range []string{goldenURL, goldenURL + "=="} {
		if got, err := DecodeTokenURL(text); err != nil || !got.Equal(want.Token("alias")) {
			t.Errorf("DecodeTokenURL(%s): %v, %v", text, got, err)
		}
	}
}

// The file that a NodeManager gives an application master: one token with an
// empty alias and an empty service.
func TestCredentialsOfAnApplicationMaster(t *testing.T) {
	b := append([]byte("HDTS\x00\x01\x00\x03abc\x02pw"), "\x10YARN_AM_RM_TOKEN\x00\x00"...)
	c, err := DecodeCredentials(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &Token{Identifier: []byte("abc"), Password: []byte("pw"), Kind: KindAMRM}
	if got := c.FindToken(KindAMRM, ""); !got.Equal(want) {
		t.Errorf("got %v", got)
	}
	if got := c.FindToken(KindNM, ""); got != nil {
		t.Errorf("got %v", got)
	}
	if n := c.RemoveKind(KindAMRM); n != 1 || c.FindToken(KindAMRM, "") != nil {
		t.Errorf("removed %d", n)
	}
}

func TestCredentialsErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "not a Hadoop credentials file"},
		{"another file", "PK\x03\x04", "not a Hadoop credentials file"},
		{"no version", "HDTS", "too early"},
		{"unknown version", "HDTS\x02", "unknown version 2"},
		{"huge count", "HDTS\x00" + string(AppendVLong(nil, 1<<40)), "number of tokens at byte 12"},
		{"negative count", "HDTS\x00\xff", "negative length -1"},
		{"huge secret", "HDTS\x00\x00\x01\x01a" + string(AppendVLong(nil, 1<<30)), "secret at byte"},
		{"protobuf too long", "HDTS\x01\x7f", "length 127"},
		{"protobuf broken", "HDTS\x01\x01\x0a", "decode credentials"},
		{"protobuf without required", "HDTS\x01\x02\x0a\x00", "required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeCredentials([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCredentialsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if _, err := ReadCredentialsFile(path); err == nil || !strings.Contains(err.Error(), EnvTokenFile) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	// An older file with wide permissions must not keep them.
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCredentialsFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("broken file: %v", err)
	}
	if err := goldenCredentials().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	got, err := ReadCredentialsFile(path)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, got, goldenCredentials())
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := goldenCredentials().WriteFile(filepath.Join(path, "below", "a file")); err == nil {
		t.Error("no error for a folder that is none")
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	c := new(Credentials)
	tok := &Token{Identifier: []byte("IDENTIFIER"), Password: []byte("PASSWORD"), Kind: "KIND", Service: "host:1"}
	c.AddToken("alias", tok)
	c.AddSecret("job", []byte("HUSHHUSH"))
	type holder struct {
		T *Token
		C *Credentials
		V Token
	}
	h := holder{tok, c, *tok}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, x := range []any{tok, *tok, c, *c, h, &h, []*Token{tok}, map[string]Token{"x": *tok}} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("x", "token", tok, "value", *tok, "credentials", c, "holder", h)
	}
	if b, err := json.Marshal(h); err == nil {
		out.Write(b)
	}
	for _, secret := range []string{"PASSWORD", "HUSHHUSH", "IDENTIFIER", "50415353", "80 65 83", "UEFTU1DPUKQ", "SFVTSEHVU0"} {
		if strings.Contains(strings.ToUpper(out.String()), secret) {
			t.Errorf("%s is printed:\n%s", secret, out.String())
			break
		}
	}
	want := `credentials{"alias": token of kind KIND for host:1, "job": secret}`
	if got := c.String(); got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestClone(t *testing.T) {
	c := goldenCredentials()
	n := c.Clone()
	n.Token("alias").Password[0] = 'X'
	n.AddToken("more", &Token{})
	s, _ := n.Secret("sk")
	s[0] = 9
	diff(t, c, goldenCredentials())
}

func TestProto(t *testing.T) {
	tok := &Token{Kind: "K"} // required fields that are empty must travel all the same
	got := TokenFromProto(tok.Proto())
	if !got.Equal(tok) || tok.Proto().Identifier == nil || tok.Proto().Password == nil {
		t.Errorf("%v", tok.Proto())
	}
	if TokenFromProto(nil) != nil {
		t.Error("nil became a token")
	}
}

func TestFindToken(t *testing.T) {
	c := new(Credentials)
	add := func(alias, kind, service string) *Token {
		tok := &Token{Identifier: []byte(alias), Kind: kind, Service: service}
		c.AddToken(alias, tok)
		return tok
	}
	rm := add("a", KindRMDelegation, "10.0.0.1:8032,10.0.0.2:8032")
	nn := add("b", KindHDFSDelegation, "10.0.0.3:8020")
	ha := add("c", KindHDFSDelegation, HDFSServiceName("ns"))
	tests := []struct {
		kind, service string
		want          *Token
	}{
		{KindRMDelegation, "10.0.0.2:8032", rm},
		{KindRMDelegation, "10.0.0.2:80", nil},
		{KindRMDelegation, "", rm},
		{KindHDFSDelegation, "10.0.0.3:8020", nn},
		{KindHDFSDelegation, "ha-hdfs:ns", ha},
		{KindHDFSDelegation, "", nn},
		{KindAMRM, "", nil},
	}
	for _, tt := range tests {
		if got := c.FindToken(tt.kind, tt.service); got != tt.want {
			t.Errorf("FindToken(%q, %q) = %v, want %v", tt.kind, tt.service, got, tt.want)
		}
	}
}

func TestServiceName(t *testing.T) {
	resolve := func(host string) (string, error) {
		if host == "rm.example" {
			return "10.0.0.1", nil
		}
		return "", fmt.Errorf("unknown host %s", host)
	}
	tests := []struct {
		addr  string
		useIP bool
		want  string
	}{
		{"RM.example:8032", true, "10.0.0.1:8032"},
		{"RM.example:8032", false, "rm.example:8032"},
		{"10.1.1.1:8032", true, "10.1.1.1:8032"},
		{"gone.example:8032", true, "gone.example:8032"},
		{"no-port", true, "no-port"},
	}
	for _, tt := range tests {
		if got := ServiceName(tt.addr, tt.useIP, resolve); got != tt.want {
			t.Errorf("ServiceName(%q, %v) = %q, want %q", tt.addr, tt.useIP, got, tt.want)
		}
	}
}
