package security

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

const (
	macSize     = 10
	trailerSize = macSize + 2 + 4 // MAC, message type, sequence number
	// maxOverhead is trailerSize and a block's worth of padding.
	maxOverhead = trailerSize + des.BlockSize
	// defaultMaxBuffer is the largest message a side takes that names no maxbuf.
	defaultMaxBuffer = 65536
)

// digestLayer is DIGEST-MD5's protection of a connection (RFC 2831 2.3, 2.4).
//
// A wrapped message has no length of its own in front: in Hadoop RPC the
// protobuf field around it knows. (HDFS's data transfer has one.)
type digestLayer struct {
	maxWrap         int
	seal, unseal    sealer // nil with QOPIntegrity
	macOut, macIn   []byte
	nextOut, nextIn uint32
}

// A sealer encrypts or decrypts in place; its state runs on from message to
// message.
type sealer interface {
	blockSize() int
	crypt(p []byte)
}

type side int

const (
	clientSide side = iota
	serverSide
)

// newDigestLayer returns the protection of an exchange, nil for QOPAuth.
// maxBuffer is the largest message that the other side takes.
func newDigestLayer(x *exchange, c Cipher, maxBuffer int, who side) (Layer, error) {
	if x.qop == QOPAuth {
		return nil, nil
	}
	if maxBuffer <= maxOverhead {
		return nil, fmt.Errorf("the other side takes messages of at most %d bytes, too few to protect any", maxBuffer)
	}
	a1 := x.a1()
	const (
		sign = "Digest session key to %s signing key magic constant"
		cs   = "client-to-server"
		sc   = "server-to-client"
	)
	signKey := func(direction string) []byte {
		return derive(a1, fmt.Sprintf(sign, direction))
	}
	out, in := cs, sc
	if who == serverSide {
		out, in = sc, cs
	}
	l := &digestLayer{maxWrap: maxBuffer - maxOverhead, macOut: signKey(out), macIn: signKey(in)}
	if x.qop == QOPIntegrity {
		return l, nil
	}
	sealKey := func(direction string) []byte {
		return derive(a1[:c.keyBytes()], "Digest H(A1) to "+direction+" sealing key magic constant")
	}
	var err error
	if l.seal, err = newSealer(c, sealKey(out), true); err != nil {
		return nil, err
	}
	if l.unseal, err = newSealer(c, sealKey(in), false); err != nil {
		return nil, err
	}
	return l, nil
}

func derive(key []byte, constant string) []byte {
	sum := md5.Sum(append(append([]byte{}, key...), constant...))
	return sum[:]
}

// MaxWrap returns how many bytes one Wrap may take.
func (l *digestLayer) MaxWrap() int { return l.maxWrap }

// Wrap returns msg with its MAC, sealed if so agreed.
func (l *digestLayer) Wrap(msg []byte) ([]byte, error) {
	var seq [4]byte
	binary.BigEndian.PutUint32(seq[:], l.nextOut)
	l.nextOut++
	out := make([]byte, 0, len(msg)+maxOverhead)
	out = append(out, msg...)
	if l.seal != nil {
		out = appendPadding(out, l.seal.blockSize())
	}
	out = append(out, mac(l.macOut, seq, msg)...)
	if l.seal != nil {
		l.seal.crypt(out)
	}
	out = append(out, 0, 1)
	return append(out, seq[:]...), nil
}

var errTampered = errors.New("a protected message does not verify: it was changed on the way, or came out of order")

// Unwrap checks a message of the other side and returns what is in it.
func (l *digestLayer) Unwrap(token []byte) ([]byte, error) {
	if len(token) < trailerSize {
		return nil, fmt.Errorf("a protected message of %d bytes is too short", len(token))
	}
	body, tail := token[:len(token)-6], token[len(token)-6:]
	if tail[0] != 0 || tail[1] != 1 {
		return nil, fmt.Errorf("a protected message has type %#x", tail[:2])
	}
	seq := [4]byte(tail[2:])
	if binary.BigEndian.Uint32(seq[:]) != l.nextIn {
		return nil, errTampered
	}
	l.nextIn++
	body = append([]byte{}, body...)
	if l.unseal != nil {
		if len(body)%l.unseal.blockSize() != 0 {
			return nil, errTampered
		}
		l.unseal.crypt(body)
	}
	msg, sum := body[:len(body)-macSize], body[len(body)-macSize:]
	ok := true
	if l.unseal != nil {
		msg, ok = cutPadding(msg, l.unseal.blockSize())
	}
	// The MAC is compared also under bad padding, so that both take as long.
	if !hmac.Equal(sum, mac(l.macIn, seq, msg)) || !ok {
		return nil, errTampered
	}
	return msg, nil
}

// appendPadding fills msg up so that, with the MAC, it is whole blocks: each
// byte of the padding is its length, from 1 to a block. Stream ciphers have
// none.
func appendPadding(msg []byte, block int) []byte {
	if block == 1 {
		return msg
	}
	n := block - (len(msg)+macSize)%block
	for range n {
		msg = append(msg, byte(n))
	}
	return msg
}

func cutPadding(msg []byte, block int) ([]byte, bool) {
	if block == 1 {
		return msg, true
	}
	if len(msg) == 0 {
		return msg, false
	}
	n := int(msg[len(msg)-1])
	if n < 1 || n > block || n > len(msg) {
		return msg, false
	}
	return msg[:len(msg)-n], true
}

type streamSealer struct{ cipher.Stream }

func (s streamSealer) blockSize() int { return 1 }
func (s streamSealer) crypt(p []byte) { s.XORKeyStream(p, p) }

type blockSealer struct{ cipher.BlockMode }

func (s blockSealer) blockSize() int { return s.BlockSize() }
func (s blockSealer) crypt(p []byte) { s.CryptBlocks(p, p) }

func newSealer(c Cipher, key []byte, encrypt bool) (sealer, error) {
	var block cipher.Block
	var err error
	switch c {
	case CipherRC4, CipherRC456, CipherRC440:
		s, err := rc4.NewCipher(key)
		return streamSealer{s}, err
	case CipherDES:
		block, err = des.NewCipher(desKey(key[:7]))
	case Cipher3DES:
		// Two keys, used K1 K2 K1.
		k1, k2 := desKey(key[:7]), desKey(key[7:14])
		block, err = des.NewTripleDESCipher(append(append(append([]byte{}, k1...), k2...), k1...))
	default:
		return nil, fmt.Errorf("unknown cipher %q", c)
	}
	if err != nil {
		return nil, err
	}
	iv := key[8:16]
	if encrypt {
		return blockSealer{cipher.NewCBCEncrypter(block, iv)}, nil
	}
	return blockSealer{cipher.NewCBCDecrypter(block, iv)}, nil
}

// desKey spreads 56 bits over eight bytes of seven bits, each with its bit of
// odd parity at the bottom.
func desKey(seven []byte) []byte {
	var v uint64
	for _, b := range seven {
		v = v<<8 | uint64(b)
	}
	key := make([]byte, 8)
	for i := range key {
		b := byte(v>>(49-7*i)) << 1
		key[i] = b | byte(1-bits.OnesCount8(b)&1)
	}
	return key
}
