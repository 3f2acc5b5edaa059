package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/security"
)

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 4, 8, 0, 16, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b'})
	f.Add([]byte("HTTP/1.1 200"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		fr := newFrameReader(bytes.NewReader(b), limit)
		taken := 0
		for {
			frame, err := fr.next()
			if err != nil {
				_ = Classify(err)
				return
			}
			if taken += 4 + len(frame); taken > len(b) || len(frame) > limit {
				t.Fatalf("a frame of %d bytes out of %d", len(frame), len(b))
			}
			r, err := parseResponse(frame)
			if err != nil {
				return
			}
			fr.first = false
			if e := r.remoteError("a:1"); e != nil {
				_ = e.Error()
				_ = Classify(e)
			} else if r.body == nil {
				t.Fatal("a success without a body")
			}
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	_, server := testLayers(f)
	token, err := server.Wrap([]byte{0, 0, 0, 1, 9})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Fuzz(func(t *testing.T, token []byte) {
		client, server := testLayers(t)
		// What is inside is the fuzzer's, honestly wrapped.
		inside, err := server.Wrap(token)
		if err != nil {
			t.Fatal(err)
		}
		m, err := proto.Marshal(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum(), Token: inside})
		if err != nil {
			t.Fatal(err)
		}
		body, err := parseSASL(m)
		if err != nil {
			t.Fatal(err)
		}
		frame := frameWith(t, body)
		u := &unwrapper{outer: newFrameReader(bytes.NewReader(frame), 1<<20), layer: client, max: 1 << 10}
		for {
			b, err := u.next()
			if err != nil {
				return
			}
			if len(b) > 1<<10 {
				t.Fatalf("%d bytes", len(b))
			}
		}
	})
}

func frameWith(t *testing.T, m *rpcpb.RpcSaslProto) []byte {
	t.Helper()
	return answerOf(t, -33, m)
}

func FuzzNegotiation(f *testing.F) {
	for _, m := range []*rpcpb.RpcSaslProto{
		{State: rpcpb.RpcSaslProto_SUCCESS.Enum()},
		{State: rpcpb.RpcSaslProto_NEGOTIATE.Enum(), Auths: []*rpcpb.RpcSaslProto_SaslAuth{
			{Method: proto.String("TOKEN"), Mechanism: proto.String("DIGEST-MD5"), Challenge: []byte(`nonce="a",algorithm=md5-sess`)},
			{Method: proto.String("SIMPLE"), Mechanism: proto.String("")},
		}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		n := &negotiation{opt: &Options{User: "u"}, token: &security.Token{Identifier: []byte("i"), Password: []byte("p")}}
		for _, b := range [][]byte{first, second} {
			m, err := parseSASL(b)
			if err != nil {
				return
			}
			out, done, err := n.step(t.Context(), m)
			if err != nil {
				return
			}
			if done {
				if n.method == methodToken {
					t.Fatal("logged in with a token although nobody proved to know its password")
				}
				return
			}
			if out == nil {
				t.Fatal("neither an answer nor an end")
			}
		}
	})
}
