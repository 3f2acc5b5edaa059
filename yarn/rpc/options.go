package rpc

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/security"
)

// Protocol names what a connection speaks.
type Protocol struct {
	Name    string // the Java interface, in full: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"
	Version uint64 // 1 for every YARN protocol; 0 means 1
}

// Defaults of Options.
const (
	DefaultDialTimeout  = 20 * time.Second  // ipc.client.connect.timeout
	DefaultCallTimeout  = 120 * time.Second // ipc.client.rpc-timeout.ms
	DefaultPingInterval = 60 * time.Second  // ipc.ping.interval
	DefaultIdleTimeout  = 10 * time.Second  // ipc.client.connection.maxidletime
	DefaultMaxFrame     = 128 << 20         // ipc.maximum.data.length, ipc.maximum.response.length
)

// Options say how a Client logs in and how long it waits. The zero value is a
// SIMPLE client without a user name.
type Options struct {
	// User is the user of a SIMPLE or Kerberos connection (with Kerberos, the
	// whole principal). With a Token it must be empty, unless a server that
	// asks for no token at all (SIMPLE only) shall be accepted too: the token
	// itself tells the server who calls.
	User string

	// RealUser is the proxying user, where User is the one impersonated
	// (SIMPLE). Empty: none.
	RealUser string

	// Token, if not nil, is the token to log in with (SASL TOKEN, DIGEST-MD5).
	Token *security.Token

	// TokenSource, if not nil, is asked for the token at each new connection
	// and wins over Token: for tokens that are replaced while the client lives
	// (the application master's, every day).
	TokenSource func() *security.Token

	// Kerberos, if not nil, makes a SASL GSSAPI mechanism for the service
	// principal protocol/serverID that the server advertises; it must refuse
	// one that is not the configured server's. A client with Kerberos never
	// accepts SIMPLE unless FallbackToSimple.
	Kerberos func(ctx context.Context, protocol, serverID string) (Mechanism, error)

	// FallbackToSimple lets a client with Kerberos go on when the server asks
	// for no authentication (ipc.client.fallback-to-simple-auth-allowed).
	FallbackToSimple bool

	// Protection lists the acceptable protections in order of preference,
	// as security.QOPAuth, QOPIntegrity, QOPPrivacy (hadoop.rpc.protection).
	// Empty: whatever the server offers, in the server's order.
	Protection []security.QOP

	DialTimeout  time.Duration // TCP and SASL together; default DefaultDialTimeout
	CallTimeout  time.Duration // from send to answer; default DefaultCallTimeout, negative: none but the context's
	PingInterval time.Duration // silence after which a connection with open calls sends a ping; default DefaultPingInterval, negative: never
	IdleTimeout  time.Duration // a connection without calls is closed after it; default DefaultIdleTimeout, negative: never

	MaxFrame int // largest frame sent or accepted, in bytes; default DefaultMaxFrame

	// Dial connects; nil means net.Dialer, with TCP keep-alive.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// ClientID tells the server's retry cache which client a call id belongs
	// to; it must not be shared by two Clients. Zero: random.
	ClientID [16]byte

	// CallerContext stands in the ResourceManager's and NameNode's audit logs
	// beside each call. Empty: none.
	CallerContext string

	// Logger gets connection events at debug level; nil: none.
	Logger *slog.Logger
}

// Caller is what the protocols' clients need of a Client, so that tests can
// stand in for it.
type Caller interface {
	// Call sends req to the method and fills resp with the answer.
	Call(ctx context.Context, method string, req, resp proto.Message) error
	// Close ends the connection; calls under way fail with ErrClosed.
	Close() error
}

// A Mechanism is the client's side of a SASL mechanism.
type Mechanism interface {
	// Name is the SASL name: "DIGEST-MD5", "GSSAPI".
	Name() string
	// Initial returns the token of the first message. challenge is what the
	// server sent along with its offer, nil if nothing.
	Initial(challenge []byte) ([]byte, error)
	// Step answers a later challenge.
	Step(challenge []byte) ([]byte, error)
	// Finish takes the token that came with the server's success, nil if none,
	// and returns the protection of the connection from then on, nil if none.
	// It is an error if the mechanism was not done or the server did not prove
	// itself.
	Finish(token []byte) (security.Layer, error)
}

func (o Options) withDefaults() Options {
	o.DialTimeout = cmp.Or(o.DialTimeout, DefaultDialTimeout)
	o.CallTimeout = cmp.Or(o.CallTimeout, DefaultCallTimeout)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	o.MaxFrame = cmp.Or(o.MaxFrame, DefaultMaxFrame)
	if o.Dial == nil {
		d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6,
		}}
		o.Dial = d.DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// token returns the token for a new connection, nil if the client has none.
func (o *Options) token() *security.Token {
	if o.TokenSource != nil {
		return o.TokenSource()
	}
	return o.Token
}
