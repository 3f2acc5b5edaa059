package rpc

import (
	"errors"
	"fmt"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
	"heddle/yarn/security"
)

// A packetReader returns the server's packets, one by one.
type packetReader interface {
	next() ([]byte, error)
}

// unwrapper takes the packets out of the protected messages that carry them
// once integrity or privacy was negotiated. What is inside is a stream: a packet
// may lie in several messages, and one message may hold several packets.
type unwrapper struct {
	outer packetReader
	layer security.Layer
	max   int
	inner []byte // unwrapped and not yet returned
}

func (u *unwrapper) next() ([]byte, error) {
	for {
		packet, rest, size := wire.CutPacket(u.inner)
		if uint64(size) > uint64(u.max) {
			return nil, &ProtocolError{Reason: fmt.Sprintf("a packet of %d bytes is beyond the limit of %d", size, u.max)}
		}
		if packet != nil {
			u.inner = rest
			return packet, nil
		}
		frame, err := u.outer.next()
		if err != nil {
			if len(u.inner) > 0 {
				err = noEOF(err)
			}
			return nil, err
		}
		b, err := u.unwrap(frame)
		if err != nil {
			return nil, err
		}
		if len(u.inner) == 0 {
			u.inner = b
		} else {
			u.inner = append(u.inner, b...)
		}
	}
}

// unwrap opens one message. One that is not protected is refused whatever it
// says: it may be from anyone.
func (u *unwrapper) unwrap(frame []byte) ([]byte, error) {
	r, err := parseResponse(frame)
	if err != nil {
		return nil, &ProtocolError{Reason: err.Error()}
	}
	if r.id != wire.CallSASL || r.body == nil {
		reason := "an unprotected message came over a connection on which protection was agreed"
		if e := r.remoteError(""); e != nil {
			reason += fmt.Sprintf(" (it says: %s %s)", e.Class, e.Message)
		}
		return nil, &ProtocolError{Reason: reason}
	}
	m, err := parseSASL(r.body)
	if err != nil {
		return nil, err
	}
	if m.GetState() != rpcpb.RpcSaslProto_WRAP {
		return nil, &ProtocolError{Reason: fmt.Sprintf("SASL message %v after the negotiation was over", m.GetState())}
	}
	b, err := u.layer.Unwrap(m.GetToken())
	if err != nil {
		return nil, &ProtocolError{Reason: err.Error()}
	}
	return b, nil
}

// appendWrapped appends packets (whole ones, lengths and all) to dst as the
// protected messages that carry them, each of at most what the server takes.
func appendWrapped(dst, packets []byte, layer security.Layer) ([]byte, error) {
	if layer.MaxWrap() <= 0 {
		return nil, errors.New("the server takes no protected messages")
	}
	for len(packets) > 0 {
		n := min(len(packets), layer.MaxWrap())
		token, err := layer.Wrap(packets[:n])
		if err != nil {
			return nil, err
		}
		packets = packets[n:]
		dst, err = wire.AppendFrame(dst, requestHeader(wire.CallSASL, nil, -1),
			&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum(), Token: token})
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}
