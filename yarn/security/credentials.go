package security

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/securitypb"
)

// EnvTokenFile is the environment variable in which YARN tells a container
// where its credentials file is.
const EnvTokenFile = "HADOOP_TOKEN_FILE_LOCATION"

const (
	credentialsMagic = "HDTS"
	versionWritable  = 0
	versionProtobuf  = 1
)

// Credentials are Hadoop's org.apache.hadoop.security.Credentials: tokens by
// alias and secrets by name, as they stand in a container's credentials file
// and in the launch context from which YARN writes that file. The zero value is
// empty and ready. Not safe for concurrent changes.
type Credentials struct {
	tokens  map[string]*Token
	secrets map[string][]byte
}

// ReadCredentialsFile reads a file in Hadoop's format, such as the one that
// EnvTokenFile names.
func ReadCredentialsFile(path string) (*Credentials, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read credentials: %w (YARN names a container's file in %s)", err, EnvTokenFile)
		}
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	c, err := DecodeCredentials(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// DecodeCredentials reads what Encode writes, and the protobuf form (version 1)
// that newer tools can be told to write. Where an alias occurs twice the last
// one counts, as in Java. Bytes after the end are an error.
func DecodeCredentials(b []byte) (*Credentials, error) {
	rest, ok := bytes.CutPrefix(b, []byte(credentialsMagic))
	if !ok {
		return nil, fmt.Errorf("decode credentials: not a Hadoop credentials file: it does not begin with %s", credentialsMagic)
	}
	if len(rest) == 0 {
		return nil, fmt.Errorf("decode credentials: version: %w", ErrTruncated)
	}
	version, rest := rest[0], rest[1:]
	var c *Credentials
	var err error
	switch version {
	case versionWritable:
		c, err = decodeWritable(rest)
	case versionProtobuf:
		c, err = decodeProtobuf(rest)
	default:
		err = fmt.Errorf("unknown version %d (known are %d and %d)", version, versionWritable, versionProtobuf)
	}
	if err != nil {
		return nil, fmt.Errorf("decode credentials: %w", err)
	}
	return c, nil
}

func decodeWritable(b []byte) (*Credentials, error) {
	const minToken, minSecret = 5, 2 // that many lengths, each at least a byte
	c := new(Credentials)
	r := &writableReader{b: b, off: len(credentialsMagic) + 1}
	for range r.length(minToken, "number of tokens") {
		alias := r.text("token alias")
		t := r.token()
		if r.err != nil {
			break
		}
		c.AddToken(alias, t)
	}
	for range r.length(minSecret, "number of secrets") {
		alias := r.text("name of a secret")
		secret := r.bytes("secret")
		if r.err != nil {
			break
		}
		c.AddSecret(alias, secret)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("end", fmt.Errorf("%d bytes left over", len(r.b)))
	}
	return c, r.err
}

func decodeProtobuf(b []byte) (*Credentials, error) {
	size, n := binary.Uvarint(b)
	switch {
	case n <= 0:
		return nil, fmt.Errorf("length: %w", ErrTruncated)
	case size > uint64(len(b)-n):
		return nil, fmt.Errorf("%w: length %d, %d bytes left", ErrTruncated, size, len(b)-n)
	case size < uint64(len(b)-n):
		return nil, fmt.Errorf("%d bytes left over", uint64(len(b)-n)-size)
	}
	var p securitypb.CredentialsProto
	if err := proto.Unmarshal(b[n:], &p); err != nil {
		return nil, err
	}
	c := new(Credentials)
	for _, kv := range p.GetTokens() {
		if kv.GetToken() != nil {
			c.AddToken(kv.GetAlias(), TokenFromProto(kv.GetToken()))
		}
	}
	for _, kv := range p.GetSecrets() {
		c.AddSecret(kv.GetAlias(), kv.GetSecret())
	}
	return c, nil
}

// Encode returns the credentials in Hadoop's file format, version 0 (Writable),
// which every reader takes. Entries are in order of their alias, so that equal
// credentials have equal bytes. The same bytes, header and all, go into a
// launch context's tokens.
func (c *Credentials) Encode() []byte {
	b := append([]byte(credentialsMagic), versionWritable)
	b = AppendVLong(b, int64(len(c.tokens)))
	for _, alias := range slices.Sorted(maps.Keys(c.tokens)) {
		b = AppendText(b, alias)
		b = c.tokens[alias].AppendWritable(b)
	}
	b = AppendVLong(b, int64(len(c.secrets)))
	for _, alias := range slices.Sorted(maps.Keys(c.secrets)) {
		b = AppendText(b, alias)
		b = AppendBytes(b, c.secrets[alias])
	}
	return b
}

// WriteFile writes the credentials to path, readable by the owner alone (mode
// 0600, whatever mode an older file had). A reader sees the old file or the new
// one, never half of it.
func (c *Credentials) WriteFile(path string) (err error) {
	// os.CreateTemp makes files with mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write credentials: %w", err)
		}
	}()
	if _, err = f.Write(c.Encode()); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Token returns the token with the alias, nil if there is none. The alias of
// the token that YARN gives an application master is the empty string: look for
// that one by FindToken.
func (c *Credentials) Token(alias string) *Token { return c.tokens[alias] }

// Tokens iterates over the tokens in order of their alias.
func (c *Credentials) Tokens() iter.Seq2[string, *Token] {
	return func(yield func(string, *Token) bool) {
		for _, alias := range slices.Sorted(maps.Keys(c.tokens)) {
			if !yield(alias, c.tokens[alias]) {
				return
			}
		}
	}
}

// AddToken puts a token under the alias, in place of one that was there. A nil
// token removes it.
func (c *Credentials) AddToken(alias string, t *Token) {
	if t == nil {
		delete(c.tokens, alias)
		return
	}
	if c.tokens == nil {
		c.tokens = make(map[string]*Token)
	}
	c.tokens[alias] = t
}

// RemoveKind removes every token of the kind and tells how many there were. An
// application master removes KindAMRM from what it hands to its containers, who
// must not be able to speak in its name.
func (c *Credentials) RemoveKind(kind string) int {
	before := len(c.tokens)
	maps.DeleteFunc(c.tokens, func(_ string, t *Token) bool { return t.Kind == kind })
	return before - len(c.tokens)
}

// Secret returns the secret of that name and whether there is one.
func (c *Credentials) Secret(alias string) ([]byte, bool) {
	s, ok := c.secrets[alias]
	return s, ok
}

// Secrets returns the names of the secrets, sorted.
func (c *Credentials) Secrets() []string { return slices.Sorted(maps.Keys(c.secrets)) }

// AddSecret puts a secret under the name, in place of one that was there. A nil
// secret removes it.
func (c *Credentials) AddSecret(alias string, secret []byte) {
	if secret == nil {
		delete(c.secrets, alias)
		return
	}
	if c.secrets == nil {
		c.secrets = make(map[string][]byte)
	}
	c.secrets[alias] = secret
}

// Clone returns a copy that shares no memory with c.
func (c *Credentials) Clone() *Credentials {
	n := new(Credentials)
	for alias, t := range c.tokens {
		n.AddToken(alias, t.Clone())
	}
	for alias, s := range c.secrets {
		n.AddSecret(alias, append([]byte{}, s...))
	}
	return n
}

// String lists aliases, kinds and services, and the names of the secrets; never
// a password or a secret.
func (c Credentials) String() string {
	var b strings.Builder
	b.WriteString("credentials{")
	sep := ""
	for alias, t := range c.Tokens() {
		fmt.Fprintf(&b, "%s%q: %s", sep, alias, t)
		sep = ", "
	}
	for _, alias := range c.Secrets() {
		fmt.Fprintf(&b, "%s%q: secret", sep, alias)
		sep = ", "
	}
	b.WriteString("}")
	return b.String()
}

// GoString is String, so that %#v shows no secret either.
func (c Credentials) GoString() string { return c.String() }

// Format prints String whatever the verb, so that no verb shows a secret.
func (c Credentials) Format(s fmt.State, _ rune) { fmt.Fprint(s, c.String()) }

// LogValue is String as a log value.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String, so that credentials inside something that is logged as
// JSON show no secret. To store them use Encode.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
