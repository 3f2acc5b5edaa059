package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/security"
)

// Methods of authentication, as servers offer them.
const (
	methodSimple   = "SIMPLE"
	methodToken    = "TOKEN"
	methodKerberos = "KERBEROS"
)

const (
	maxSASLSteps = 32 // messages in one negotiation; no mechanism needs ten
	maxOffers    = 64
)

// A negotiation is the client's side of the SASL exchange that precedes the
// connection context: messages in, messages out, no I/O but what a Kerberos
// mechanism does to get its ticket.
type negotiation struct {
	opt   *Options
	token *security.Token

	mech   Mechanism
	offers int // times the server sent its offer
	steps  int

	// Results, valid when step says done.
	method string // methodSimple, methodToken, methodKerberos
	layer  security.Layer
}

// start returns the first message.
func (n *negotiation) start() *rpcpb.RpcSaslProto {
	return &rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_NEGOTIATE.Enum()}
}

// step takes a message of the server and returns the next to send, nil if none,
// and whether the negotiation is over once that is sent.
func (n *negotiation) step(ctx context.Context, in *rpcpb.RpcSaslProto) (out *rpcpb.RpcSaslProto, done bool, err error) {
	if n.steps++; n.steps > maxSASLSteps {
		return nil, false, &AuthError{Reason: "the server keeps asking for more"}
	}
	switch in.GetState() {
	case rpcpb.RpcSaslProto_NEGOTIATE:
		return n.choose(ctx, in.GetAuths())
	case rpcpb.RpcSaslProto_CHALLENGE:
		if n.mech == nil {
			return nil, false, &AuthError{Reason: "the server sent a challenge before its offer"}
		}
		token, err := n.mech.Step(in.GetToken())
		if err != nil {
			return nil, false, authError(err)
		}
		return &rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_RESPONSE.Enum(), Token: nonNil(token)}, false, nil
	case rpcpb.RpcSaslProto_SUCCESS:
		if n.mech == nil {
			// A server that knows SIMPLE only.
			if err := n.simpleAllowed(); err != nil {
				return nil, false, err
			}
			n.method = methodSimple
			return nil, true, nil
		}
		if n.layer, err = n.mech.Finish(in.GetToken()); err != nil {
			return nil, false, authError(err)
		}
		return nil, true, nil
	}
	return nil, false, &ProtocolError{Reason: fmt.Sprintf("unexpected SASL message %v", in.GetState())}
}

// choose takes the first of the server's offers for which there are
// credentials, as Java does.
func (n *negotiation) choose(ctx context.Context, auths []*rpcpb.RpcSaslProto_SaslAuth) (*rpcpb.RpcSaslProto, bool, error) {
	// A server offers again when it did not take the choice; once is enough.
	if n.offers++; n.offers > 2 || len(auths) > maxOffers {
		return nil, false, &AuthError{Reason: "the server does not accept any choice among its own offers"}
	}
	var names, reasons []string
	for _, a := range auths {
		names = append(names, a.GetMethod())
		switch {
		case a.GetMethod() == methodToken && a.GetMechanism() == security.MechanismDigestMD5 && n.token != nil:
			n.mech = security.NewDigestClient(n.token, a.GetProtocol(), a.GetServerId(), n.opt.Protection, rand.Reader)
			n.method = methodToken
		case a.GetMethod() == methodKerberos && a.GetMechanism() == "GSSAPI" && n.opt.Kerberos != nil:
			m, err := n.opt.Kerberos(ctx, a.GetProtocol(), a.GetServerId())
			if err != nil {
				return nil, false, authError(err)
			}
			n.mech = m
			n.method = methodKerberos
		case a.GetMethod() == methodSimple:
			if err := n.simpleAllowed(); err != nil {
				reasons = append(reasons, err.Error())
				continue
			}
			// The server sends no answer to this choice.
			n.method, n.mech = methodSimple, nil
			return initiate(a, nil), true, nil
		default:
			continue
		}
		token, err := n.mech.Initial(a.GetChallenge())
		if err != nil {
			return nil, false, authError(err)
		}
		return initiate(a, nonNil(token)), false, nil
	}
	msg := fmt.Sprintf("the server accepts %s; the client has %s", strings.Join(names, ", "), n.credentials())
	if len(reasons) > 0 {
		msg += ": " + strings.Join(reasons, "; ")
	}
	return nil, false, &AuthError{Reason: msg}
}

// simpleAllowed says why the client does not go on without authentication.
func (n *negotiation) simpleAllowed() error {
	switch {
	case n.opt.Kerberos != nil && !n.opt.FallbackToSimple:
		return &AuthError{Reason: "the server asks for no authentication, which a client with Kerberos refuses (ipc.client.fallback-to-simple-auth-allowed)"}
	case n.opt.User == "":
		return &AuthError{Reason: "the server asks for a user name and no token, and the client has only a token"}
	}
	return nil
}

// credentials says what the client could have logged in with.
func (n *negotiation) credentials() string {
	var have []string
	if n.token != nil {
		have = append(have, "a "+n.token.String())
	}
	if n.opt.Kerberos != nil {
		have = append(have, "Kerberos")
	}
	if n.opt.User != "" {
		have = append(have, "the user name "+n.opt.User)
	}
	return strings.Join(have, ", ")
}

// initiate answers an offer. The server compares what comes back with what it
// sent, but for the challenge, field by field, presence included.
func initiate(a *rpcpb.RpcSaslProto_SaslAuth, token []byte) *rpcpb.RpcSaslProto {
	echo := proto.CloneOf(a)
	echo.Challenge = nil
	return &rpcpb.RpcSaslProto{
		State: rpcpb.RpcSaslProto_INITIATE.Enum(),
		Token: token,
		Auths: []*rpcpb.RpcSaslProto_SaslAuth{echo},
	}
}

// context returns the connection context for what was negotiated.
func (n *negotiation) context(protocol string) *rpcpb.IpcConnectionContextProto {
	return connectionContext(protocol, n.method, n.opt)
}

func connectionContext(protocol, method string, o *Options) *rpcpb.IpcConnectionContextProto {
	user := &rpcpb.UserInformationProto{}
	// A token says who calls; a name beside it is refused unless it is the same.
	if method != methodToken && o.User != "" {
		user.EffectiveUser = &o.User
		if o.RealUser != "" && method == methodSimple {
			user.RealUser = &o.RealUser
		}
	}
	return &rpcpb.IpcConnectionContextProto{UserInfo: user, Protocol: &protocol}
}

func authError(err error) error {
	var ae *AuthError
	if errors.As(err, &ae) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &AuthError{Reason: err.Error(), Err: err}
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
