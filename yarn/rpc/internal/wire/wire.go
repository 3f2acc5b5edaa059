// Package wire has what client and fake server share of Hadoop RPC version 9's
// framing: lengths, call ids, taking packets apart. It decides nothing.
package wire

import (
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Call ids with a meaning of their own.
const (
	CallAuthorizationFailed int32 = -1
	CallInvalid             int32 = -2
	CallContext             int32 = -3
	CallPing                int32 = -4
	CallSASL                int32 = -33
)

// The last byte of the preamble.
const (
	AuthNone = 0x00
	AuthSASL = 0xDF
)

// PreambleSize is the length of Preamble.
const PreambleSize = 7

// Preamble is what a client sends first: magic, version 9, service class 0,
// the kind of authentication.
func Preamble(auth byte) []byte { return []byte{'h', 'r', 'p', 'c', 9, 0, auth} }

// AppendFrame appends a packet: the length of what follows, then each message
// with its own length in front.
func AppendFrame(b []byte, messages ...proto.Message) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, m := range messages {
		b = protowire.AppendVarint(b, uint64(proto.Size(m)))
		var err error
		if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b, m); err != nil {
			return nil, err
		}
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b, nil
}

// TakeMessage takes a message with its length in front off b.
func TakeMessage(b []byte, m proto.Message) (rest []byte, err error) {
	body, rest, err := TakeBytes(b)
	if err != nil {
		return nil, err
	}
	return rest, proto.Unmarshal(body, m)
}

// TakeBytes takes bytes with their length in front off b. They are a part of b.
func TakeBytes(b []byte) (body, rest []byte, err error) {
	body, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, nil, protowire.ParseError(n)
	}
	return body, b[n:], nil
}

// CutPacket takes a packet off b: its content, nil if b does not hold it all.
// size is what its length says.
func CutPacket(b []byte) (packet, rest []byte, size uint32) {
	if len(b) < 4 {
		return nil, b, 0
	}
	size = binary.BigEndian.Uint32(b)
	if uint64(len(b)-4) < uint64(size) {
		return nil, b, size
	}
	end := 4 + int(size)
	return b[4:end:end], b[end:], size
}

// ReadSized reads n bytes. Memory grows with what arrives, so that a length
// that is a lie costs nothing.
func ReadSized(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		k, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+k]
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}
