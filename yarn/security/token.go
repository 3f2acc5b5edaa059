package security

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"

	"heddle/yarn/internal/securitypb"
)

// Kinds of tokens, as Token.Kind has them.
const (
	KindAMRM             = "YARN_AM_RM_TOKEN"    // application master to ResourceManager
	KindNM               = "NMToken"             // application master to one NodeManager
	KindContainer        = "ContainerToken"      // inside StartContainers; never used to log in
	KindRMDelegation     = "RM_DELEGATION_TOKEN" // client to ResourceManager
	KindClientToAM       = "YARN_CLIENT_TOKEN"   // client to application master
	KindTimeline         = "TIMELINE_DELEGATION_TOKEN"
	KindHDFSDelegation   = "HDFS_DELEGATION_TOKEN" // client to NameNode
	KindWebHDFS          = "WEBHDFS delegation"
	KindSecureWebHDFS    = "SWEBHDFS delegation"
	KindDockerCredential = "DOCKER_CLIENT_CREDENTIAL_TOKEN"
)

// A Token is what Hadoop's org.apache.hadoop.security.token.Token is: an
// identifier signed by its issuer, the signature (the password), the kind of
// service that takes it, and which one.
type Token struct {
	Identifier []byte // opaque, signed: never change or re-encode it
	Password   []byte // secret
	Kind       string
	Service    string // "ip:port" by default, may be empty; see ServiceName
}

// String names the token without its password or identifier (some identifiers
// are enough to recognise a user).
func (t Token) String() string {
	if t.Service == "" {
		return fmt.Sprintf("token of kind %s", t.Kind)
	}
	return fmt.Sprintf("token of kind %s for %s", t.Kind, t.Service)
}

// GoString is String, so that %#v shows no password either.
func (t Token) GoString() string { return t.String() }

// LogValue is String as a log value.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText is String, so that a token inside something that is logged as
// JSON shows no password. It is not a way to store a token: see
// AppendWritable.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Format prints String whatever the verb, so that no verb shows a password.
func (t Token) Format(s fmt.State, _ rune) { fmt.Fprint(s, t.String()) }

// Equal tells whether both tokens are the same in all four parts.
func (t *Token) Equal(o *Token) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.Kind == o.Kind && t.Service == o.Service &&
		bytes.Equal(t.Identifier, o.Identifier) && bytes.Equal(t.Password, o.Password)
}

// Clone returns a copy that shares no memory with t.
func (t *Token) Clone() *Token {
	if t == nil {
		return nil
	}
	return &Token{
		Identifier: bytes.Clone(t.Identifier),
		Password:   bytes.Clone(t.Password),
		Kind:       t.Kind,
		Service:    t.Service,
	}
}

// Proto returns the token as it travels inside YARN's messages.
func (t *Token) Proto() *securitypb.TokenProto {
	return &securitypb.TokenProto{
		// Required fields: a nil slice would count as missing.
		Identifier: append([]byte{}, t.Identifier...),
		Password:   append([]byte{}, t.Password...),
		Kind:       &t.Kind,
		Service:    &t.Service,
	}
}

// TokenFromProto returns the token of a message, nil for nil.
func TokenFromProto(p *securitypb.TokenProto) *Token {
	if p == nil {
		return nil
	}
	return &Token{
		Identifier: bytes.Clone(p.GetIdentifier()),
		Password:   bytes.Clone(p.GetPassword()),
		Kind:       p.GetKind(),
		Service:    p.GetService(),
	}
}

// AppendWritable appends the token as Java's Token.write does.
func (t *Token) AppendWritable(b []byte) []byte {
	b = AppendBytes(b, t.Identifier)
	b = AppendBytes(b, t.Password)
	b = AppendText(b, t.Kind)
	return AppendText(b, t.Service)
}

// DecodeToken reads a token written by AppendWritable (Java's Token.write);
// bytes left over are an error.
func DecodeToken(b []byte) (*Token, error) {
	r := &writableReader{b: b}
	t := r.token()
	if r.err == nil && len(r.b) > 0 {
		r.fail("token", fmt.Errorf("%d bytes left over", len(r.b)))
	}
	if r.err != nil {
		return nil, fmt.Errorf("decode token: %w", r.err)
	}
	return t, nil
}

func (r *writableReader) token() *Token {
	return &Token{
		Identifier: r.bytes("token identifier"),
		Password:   r.bytes("token password"),
		Kind:       r.text("token kind"),
		Service:    r.text("token service"),
	}
}

// EncodeURL returns the token as text for URLs (Java's
// Token.encodeToUrlString): WebHDFS's delegation parameter, the
// ResourceManager's REST tokens. The text holds the password: it is a secret.
func (t *Token) EncodeURL() string {
	return base64.RawURLEncoding.EncodeToString(t.AppendWritable(nil))
}

// DecodeTokenURL reads the text of EncodeURL. Padding is allowed.
func DecodeTokenURL(s string) (*Token, error) {
	for len(s) > 0 && s[len(s)-1] == '=' {
		s = s[:len(s)-1]
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		// The text itself is a secret and must not stand in the error.
		return nil, fmt.Errorf("decode token: not URL-safe base64")
	}
	return DecodeToken(b)
}
