package rpc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
	"heddle/yarn/security"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// script answers one connection: expect reads exactly these bytes, say writes
// some. It runs in the test's own goroutine on the server's end.
type script struct {
	t  *testing.T
	nc net.Conn
}

func (s *script) expect(what string, want []byte) {
	s.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.nc, got); err != nil {
		s.t.Fatalf("%s: %v after %x", what, err, got)
	}
	if !bytes.Equal(got, want) {
		s.t.Fatalf("%s\ngot  %x\nwant %x", what, got, want)
	}
}

func (s *script) say(b []byte) {
	s.t.Helper()
	if _, err := s.nc.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// frame reads one packet.
func (s *script) frame() []byte {
	s.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(s.nc, size[:]); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(s.nc, b); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// listen returns an address and the connections that come in.
func listen(t *testing.T) (addr string, accept func() *script) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), func() *script {
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		return &script{t, nc}
	}
}

var wireClientID = [16]byte(unhex("23af327891aae600bad4fcfefa653fc3"))

const clientProtocol = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"

func answerOf(t *testing.T, id int32, body proto.Message) []byte {
	t.Helper()
	h := &rpcpb.RpcResponseHeaderProto{
		CallId: proto.Uint32(uint32(id)), Status: rpcpb.RpcResponseHeaderProto_SUCCESS.Enum(),
	}
	b, err := wire.AppendFrame(nil, h, body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func refusalOf(t *testing.T, id int32, class, message string) []byte {
	t.Helper()
	b, err := wire.AppendFrame(nil, &rpcpb.RpcResponseHeaderProto{
		CallId: proto.Uint32(uint32(id)), Status: rpcpb.RpcResponseHeaderProto_FATAL.Enum(),
		ExceptionClassName: &class, ErrorMsg: &message,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a SIMPLE client sends first, as Hadoop's servers took it: preamble,
// connection context and first call, then calls.
func TestFirstBytesOfSimple(t *testing.T) {
	addr, accept := listen(t)
	c := NewClient(addr, Protocol{Name: clientProtocol}, Options{User: "root", ClientID: wireClientID})
	defer func() { _ = c.Close() }()
	errs := make(chan error)
	go func() {
		var resp wrapperspb.StringValue
		errs <- c.Call(t.Context(), "getNewApplication", &wrapperspb.StringValue{}, &resp)
		errs <- c.Call(t.Context(), "getNewApplication", &wrapperspb.StringValue{}, &resp)
	}()
	s := accept()
	context := unhex(`68727063090000
		0000005c 1a 08021000180522 10 23af327891aae600bad4fcfefa653fc3 2801
		40 12060a04726f6f74 1a36` + hex.EncodeToString([]byte(clientProtocol)))
	s.expect("preamble and context", context)
	calls := func(zigzag string) []byte {
		// 67 bytes of header: the reference's 4 2 .. of the request header.
		b := unhex(`1a 080210001800 22 10 23af327891aae600bad4fcfefa653fc3 2800`)
		b[6] = unhex(zigzag)[0]
		rh := append(append([]byte("\x0a\x11getNewApplication\x12\x36"), clientProtocol...), 0x18, 0x01)
		b = append(append(b, byte(len(rh))), rh...)
		b = append(b, 0)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	s.expect("first call", calls("00"))
	s.say(answerOf(t, 0, wrapperspb.String("x")))
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	s.expect("second call", calls("02"))
	// The answer as a ResourceManager gives it, client id and all; 0800 is the
	// call id of the reference's capture, 0801 that of this call.
	s.say(unhex("0000001d 1a 0801 1000 1809 3a10 23af327891aae600bad4fcfefa653fc3 4000 01 00"))
	if err := <-errs; err == nil || Classify(err) != ClassRetryOther {
		t.Errorf("a body that is no message: %v", err)
	}
}

// The negotiation with a token server, byte for byte as captured from a
// ResourceManager 3.4.1.
func TestFirstBytesOfToken(t *testing.T) {
	addr, accept := listen(t)
	token := &security.Token{
		Identifier: unhex("0a0d0a09080210a4fab8c7a034100110dbf6f8b6fdffffffff01"),
		Password:   unhex("842e9abdaa9e0cbee4b0981b0e53fc35051f8894"),
		Kind:       security.KindAMRM,
	}
	c := NewClient(addr, Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"}, Options{Token: token, ClientID: wireClientID})
	defer func() { _ = c.Close() }()
	errs := make(chan error)
	go func() { errs <- c.Call(t.Context(), "allocate", &wrapperspb.StringValue{}, &wrapperspb.StringValue{}) }()
	s := accept()
	s.expect("preamble and NEGOTIATE", unhex("687270630900df 0000000e 0a 08021000184122002801 02 1001"))
	challenge := `realm="default",nonce="yIHCrnK73u2UzxS8PUSM3K0qYtBq6EcF2zCnC/Qw",qop="auth",charset=utf-8,algorithm=md5-sess`
	if len(challenge) != 0x6c {
		t.Fatal(len(challenge))
	}
	s.say(append(unhex(`000000a2 0e 08dfffffff0f100018093a004001 9101 1001
		228c01 0a05544f4b454e 120a4449474553542d4d4435 1a00 220764656661756c74 2a6c`), challenge...))
	b := s.frame()
	// Header, then INITIATE with a token, and the choice without its challenge.
	if want := unhex("0a 08021000184122002801"); !bytes.HasPrefix(b, want) {
		t.Fatalf("header %x", b[:11])
	}
	if want := unhex("221e 0a05544f4b454e 120a4449474553542d4d4435 1a00 220764656661756c74"); !bytes.HasSuffix(b, want) {
		t.Fatalf("choice\ngot  %x\nwant %x", b, want)
	}
	for _, part := range []string{
		`username="Cg0KCQgCEKT6uMegNBABENv2+Lb9/////wE="`, `realm="default"`, `digest-uri="/default"`, "qop=auth", "maxbuf=65536", "nc=00000001",
	} {
		if !bytes.Contains(b, []byte(part)) {
			t.Errorf("%q is not in %q", part, b)
		}
	}
	// A server that does not know the password.
	s.say(append(unhex("0000003c 0e 08dfffffff0f100018093a004001 2c 1000 1a28"), "rspauth="+strings.Repeat("0", 32)...))
	err := <-errs
	var ae *AuthError
	if !errors.As(err, &ae) || !strings.Contains(err.Error(), "does not know the token's password") {
		t.Errorf("%v", err)
	}
}

func frameOf(parts ...string) []byte {
	b := unhex(strings.Join(parts, ""))
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// Everything a server can answer that is no answer. No error may hang, panic,
// or take memory that was only announced.
func TestHostileAnswers(t *testing.T) {
	text := func(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }
	legacy := append(append(unhex("ffffffff ffffffff"), text("org.apache.hadoop.ipc.RPC$VersionMismatch")...), text("Server IPC version 7 cannot communicate with client version 9")...)
	tests := []struct {
		name   string
		answer []byte // then the connection is closed
		class  Class
		want   string
	}{
		{"nothing", nil, ClassRetryOther, "the server closed the connection"},
		{"half a length", unhex("0000"), ClassRetryOther, "the server closed the connection"},
		{"half a packet", unhex("00000010 0e08"), ClassRetryOther, "the server closed the connection"},
		{"a packet of 2 GiB", unhex("7fffffff 00"), ClassFatal, "beyond the limit"},
		{"a large packet that does not come", unhex("07ffffff 00"), ClassRetryOther, "the server closed the connection"},
		{"HTTP", []byte("HTTP/1.1 404 Not Found\r\n\r\n"), ClassFatal, "not Hadoop RPC but HTTP"},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.6\r\n"), ClassFatal, "not Hadoop RPC but SSH"},
		{"TLS alert", unhex("15030300020230"), ClassFatal, "TLS"},
		{"legacy", legacy, ClassFatal, "Server IPC version 7 cannot communicate with client version 9 (VersionMismatch)"},
		{"legacy cut off", legacy[:20], ClassFatal, "before 9"},
		{"legacy with a long text", append(unhex("ffffffff ffffffff 7fffffff"), "x"...), ClassFatal, "before 9"},
		{"empty packet", frameOf(""), ClassFatal, "response header"},
		{"header longer than the packet", frameOf("7f 0800"), ClassFatal, "response header"},
		{"header that is none", frameOf("02 ffff"), ClassFatal, "response header"},
		{"header without required", frameOf("00 00"), ClassFatal, "required"},
		{"success without a message", frameOf("04 0800 1000"), ClassFatal, "response message"},
		{"message longer than the packet", frameOf("04 0800 1000 05 00"), ClassFatal, "response message"},
		{"something after the message", frameOf("04 0800 1000 00 00"), ClassFatal, "1 bytes follow"},
		{"error with a message", frameOf("04 0800 1001 00"), ClassFatal, "1 bytes follow"},
		{"another client's id", frameOf("08 0800 1000 3a02 0102 00"), ClassRetryOther, "another client"},
		{"answer to the context", frameOf("0e 08fdffffff0f 1000 18093a004001 00"), ClassRetryOther, "has none"},
		{"error without a class", frameOf("04 0800 1001"), ClassFatal, "no message"},
		{"fatal, for the context", refusalOf(t, wire.CallContext, "org.apache.hadoop.security.authorize.AuthorizationException", "oops\n\tat x.y(Z.java)"), ClassFatal, "oops (AuthorizationException)"},
		{"retriable", frameOf("0d 0800 1001 2207", hex.EncodeToString([]byte("a.b$c.d"))), ClassFatal, "no message (d)"},
		{"unauthorized", unhex("0000007e 7d 08ffffffff0f 1002 1809 2231" +
			hex.EncodeToString([]byte("org.apache.hadoop.security.AccessControlException")) + "2a38" +
			hex.EncodeToString([]byte("SIMPLE authentication is not enabled.  Available:[TOKEN]")) + "300f 3a00 4001"),
			ClassFatal, "SIMPLE authentication is not enabled.  Available:[TOKEN] (AccessControlException)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, accept := listen(t)
			c := NewClient(addr, Protocol{Name: "p"}, Options{User: "u", ClientID: wireClientID})
			defer func() { _ = c.Close() }()
			errs := make(chan error)
			go func() { errs <- c.Call(t.Context(), "m", &wrapperspb.StringValue{}, &wrapperspb.StringValue{}) }()
			s := accept()
			s.expect("preamble", wire.Preamble(wire.AuthNone))
			s.frame()
			s.frame()
			s.say(tt.answer)
			_ = s.nc.Close()
			err := <-errs
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := Classify(err); got != tt.class {
				t.Errorf("class %v, want %v (%v)", got, tt.class, err)
			}
			if !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "m") {
				t.Errorf("error %q names not method and address", err)
			}
		})
	}
}

// A fatal answer to one call leaves open what became of the others.
func TestFatalAnswerToOneOfTwoCalls(t *testing.T) {
	addr, accept := listen(t)
	c := NewClient(addr, Protocol{Name: "p"}, Options{User: "u"})
	defer func() { _ = c.Close() }()
	errs := make(map[string]chan error)
	start := func(method string) {
		ch := make(chan error)
		errs[method] = ch
		go func() { ch <- c.Call(t.Context(), method, &wrapperspb.StringValue{}, &wrapperspb.StringValue{}) }()
	}
	start("one")
	s := accept()
	s.expect("preamble", wire.Preamble(wire.AuthNone))
	s.frame()
	s.frame()
	start("two")
	s.frame()
	s.say(refusalOf(t, 1, "org.apache.hadoop.ipc.RetriableException", "Server too busy - disconnecting"))
	one, two := <-errs["one"], <-errs["two"]
	if Classify(two) != ClassRetry || Ambiguous(two) || !strings.HasPrefix(two.Error(), "two at "+addr+": Server too busy") {
		t.Errorf("the call that was answered: %v, ambiguous %v", two, Ambiguous(two))
	}
	if Classify(one) != ClassRetry || !Ambiguous(one) || !strings.HasPrefix(one.Error(), "one at "+addr+": the server ended the connection") {
		t.Errorf("the other call: %v, ambiguous %v", one, Ambiguous(one))
	}
}

// The same while the negotiation runs.
func TestHostileNegotiation(t *testing.T) {
	sasl := func(m *rpcpb.RpcSaslProto) []byte { return answerOf(t, wire.CallSASL, m) }
	offer := func(auths ...*rpcpb.RpcSaslProto_SaslAuth) []byte {
		return sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_NEGOTIATE.Enum(), Auths: auths})
	}
	auth := func(method, mechanism, challenge string) *rpcpb.RpcSaslProto_SaslAuth {
		return &rpcpb.RpcSaslProto_SaslAuth{Method: &method, Mechanism: &mechanism, Challenge: []byte(challenge)}
	}
	const challenge = `realm="default",nonce="a",algorithm=md5-sess`
	digest := auth("TOKEN", "DIGEST-MD5", challenge)
	tests := []struct {
		name    string
		answers [][]byte // one for each message of the client
		class   Class
		want    string
	}{
		{"closed", nil, ClassRetryOther, "the server closed the connection"},
		{"HTTP", [][]byte{[]byte("HTTP/1.0 400\r\n")}, ClassFatal, "HTTP"},
		{"no SASL message", [][]byte{frameOf("0a 08dfffffff0f 1000 1809 02 ffff")}, ClassRetryOther, "SASL message"},
		{"answer to a call", [][]byte{answerOf(t, 0, wrapperspb.String(""))}, ClassFatal, "answer to call 0"},
		{"no offers", [][]byte{offer()}, ClassFatal, "the client has a token of kind"},
		{"offers nobody knows", [][]byte{offer(auth("PLAIN", "PLAIN", ""), auth("TOKEN", "SCRAM", ""))}, ClassFatal, "PLAIN, TOKEN"},
		{"Kerberos only", [][]byte{offer(auth("KERBEROS", "GSSAPI", ""))}, ClassFatal, "the server accepts KERBEROS"},
		{"challenge before an offer", [][]byte{sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_CHALLENGE.Enum()})}, ClassFatal, "before its offer"},
		{"success at once", [][]byte{sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_SUCCESS.Enum()})}, ClassFatal, "only a token"},
		{"wrapped at once", [][]byte{sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum()})}, ClassRetryOther, "unexpected SASL message WRAP"},
		{"broken challenge", [][]byte{offer(auth("TOKEN", "DIGEST-MD5", `nonce="`))}, ClassFatal, "DIGEST-MD5 challenge"},
		{"success without proof", [][]byte{offer(digest), sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_SUCCESS.Enum()})}, ClassFatal, "no proof"},
		{"offers for ever", [][]byte{offer(digest), offer(digest), offer(digest)}, ClassFatal, "does not accept any choice"},
		{"refusal", [][]byte{offer(digest), refusalOf(t, wire.CallSASL, "javax.security.sasl.SaslException", "oops")}, ClassFatal, "oops (SaslException)"},
		{"standby", [][]byte{refusalOf(t, wire.CallSASL, "org.apache.hadoop.ipc.StandbyException", "oops")}, ClassRetryOther, "oops (StandbyException)"},
		{"invalid token", [][]byte{offer(digest), refusalOf(t, wire.CallAuthorizationFailed, "org.apache.hadoop.security.token.SecretManager$InvalidToken", "old")}, ClassReauthenticate, "old (InvalidToken)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, accept := listen(t)
			c := NewClient(addr, Protocol{Name: "p"}, Options{Token: &security.Token{Identifier: []byte("i"), Password: []byte("p"), Kind: security.KindNM}})
			defer func() { _ = c.Close() }()
			errs := make(chan error)
			go func() { errs <- c.Call(t.Context(), "m", &wrapperspb.StringValue{}, &wrapperspb.StringValue{}) }()
			s := accept()
			s.expect("preamble", wire.Preamble(wire.AuthSASL))
			for _, a := range tt.answers {
				s.frame()
				s.say(a)
			}
			if len(tt.answers) == 0 {
				s.frame()
				_ = s.nc.Close()
			}
			err := <-errs
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := Classify(err); got != tt.class {
				t.Errorf("class %v, want %v (%v)", got, tt.class, err)
			}
			if Ambiguous(err) {
				t.Error("the call was not sent, and counts as ambiguous")
			}
		})
	}
}

// On a protected connection, an answer in the clear is nobody's word.
func TestUnprotectedAnswersAreRefused(t *testing.T) {
	plain := answerOf(t, 0, wrapperspb.String("forged"))
	refusal := frameOf("0c 0800 1001 2206", hex.EncodeToString([]byte("forged")))
	notWrapped := answerOf(t, wire.CallSASL, &rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_SUCCESS.Enum()})
	forged := answerOf(t, wire.CallSASL, &rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum(), Token: []byte("0123456789\x00\x01\x00\x00\x00\x00")})
	for name, answer := range map[string][]byte{"answer": plain, "refusal": refusal, "success": notWrapped, "forged": forged} {
		t.Run(name, func(t *testing.T) {
			u := &unwrapper{outer: newFrameReader(bytes.NewReader(answer), 1<<20), layer: testLayer(t), max: 1 << 20}
			b, err := u.next()
			var pe *ProtocolError
			if !errors.As(err, &pe) {
				t.Errorf("%x, %v", b, err)
			}
		})
	}
}

// testLayer is the client's end of a connection with integrity.
func testLayer(t testing.TB) security.Layer {
	t.Helper()
	c, _ := testLayers(t)
	return c
}

func testLayers(t testing.TB) (client, server security.Layer) {
	t.Helper()
	token := &security.Token{Identifier: []byte("i"), Password: []byte("p")}
	random := func() io.Reader { return bytes.NewReader(make([]byte, 64)) }
	s := &security.DigestServer{
		Realm: "default", Offer: []security.QOP{security.QOPIntegrity}, Random: random(),
		Password: func([]byte) ([]byte, error) { return token.Password, nil },
	}
	challenge, err := s.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	c := security.NewDigestClient(token, "", "default", nil, random())
	r, err := c.Initial(challenge)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := s.Evaluate(r)
	if err != nil {
		t.Fatal(err)
	}
	if client, err = c.Finish(proof); err != nil {
		t.Fatal(err)
	}
	return client, s.Layer()
}

// Inside the protection runs a stream: packets may be cut anywhere.
func TestUnwrapperTakesAnyCut(t *testing.T) {
	packets := append(append(answerOf(t, 0, wrapperspb.String("first")), answerOf(t, 1, wrapperspb.String(strings.Repeat("x", 300)))...), answerOf(t, 2, wrapperspb.String(""))...)
	for cut := 1; cut < len(packets); cut += 7 {
		client, server := testLayers(t)
		var stream []byte
		for rest := packets; len(rest) > 0; {
			n := min(cut, len(rest))
			token, err := server.Wrap(rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			stream = append(stream, answerOf(t, wire.CallSASL, &rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum(), Token: token})...)
		}
		u := &unwrapper{outer: newFrameReader(bytes.NewReader(stream), 1<<20), layer: client, max: 1 << 20}
		var got []byte
		for {
			b, err := u.next()
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(binary.BigEndian.AppendUint32(got, uint32(len(b))), b...)
		}
		if !bytes.Equal(got, packets) {
			t.Fatalf("cut every %d bytes: %d bytes came out, want %d", cut, len(got), len(packets))
		}
	}
}

func TestReadSizedTakesNoMoreThanComes(t *testing.T) {
	before, after := new(runtime.MemStats), new(runtime.MemStats)
	runtime.ReadMemStats(before)
	if _, err := wire.ReadSized(strings.NewReader("a little"), 1<<30); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	runtime.ReadMemStats(after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("%d bytes taken for eight", got)
	}
	b, err := wire.ReadSized(strings.NewReader(strings.Repeat("x", 3<<20)), 3<<20)
	if err != nil || len(b) != 3<<20 {
		t.Errorf("%d, %v", len(b), err)
	}
}

func TestCallIDsWrapAround(t *testing.T) {
	c := NewClient("a:1", Protocol{Name: "p"}, Options{User: "u"})
	defer func() { _ = c.Close() }()
	c.lastID = 0x7ffffffe
	for _, want := range []int32{0x7fffffff, 0, 1} {
		k, err := c.newCall("m", &wrapperspb.StringValue{})
		if err != nil || k.id != want {
			t.Errorf("id %d, %v; want %d", k.id, err, want)
		}
	}
}

func TestRequestsThatLackFields(t *testing.T) {
	c := NewClient("a:1", Protocol{Name: "p"}, Options{User: "u"})
	defer func() { _ = c.Close() }()
	err := c.Call(t.Context(), "m", &rpcpb.RequestHeaderProto{}, &wrapperspb.StringValue{})
	if !errors.Is(err, ErrBadRequest) || Classify(err) != ClassFatal {
		t.Errorf("%v", err)
	}
}
