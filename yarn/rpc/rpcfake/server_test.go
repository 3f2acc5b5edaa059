package rpcfake_test

import (
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"heddle/yarn/rpc/rpcfake"
)

// What the server says to bytes that no client of ours sends.
func TestRefusals(t *testing.T) {
	tokens := rpcfake.Config{Password: func([]byte) ([]byte, error) { return nil, errors.New("unknown") }}
	simple := rpcfake.Config{Simple: true}
	// Header of a packet for SASL, the connection context, and a call.
	const sasl, context, call = "08021000184122002801", "08021000180522002801", "08021000180022002801"
	tests := []struct {
		name   string
		conf   rpcfake.Config
		sent   string // hex after the preamble's first four bytes, or text if it begins with a slash
		answer string
	}{
		{"a browser", simple, "/GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404"},
		{"something else", simple, "/SSH-2.0-x\r\n", ""},
		{"an old version", simple, "68727063 07 00 00", "Server IPC version 9 cannot communicate with client version 7"},
		{"unknown authentication", simple, "68727063 09 00 42", "Unknown auth byte 0x42"},
		{"no token", tokens, "68727063 09 00 00", "SIMPLE authentication is not enabled.  Available:[TOKEN]"},
		{"a call before the context", simple, "68727063 09 00 00 0000000b 0a" + call, "Connection context not established"},
		{"a context twice", simple, "68727063 09 00 00 0000000c 0a" + context + "00 0000000c 0a" + context + "00", "Connection context already processed"},
		{"a header without kind and op", simple, "68727063 09 00 00 00000005 04 1800 2200", "invalid rpcKind or rpcOp"},
		{"a broken header", simple, "68727063 09 00 00 00000002 01 ff", "RpcServerException"},
		{"a huge packet", simple, "68727063 09 00 00 7fffffff", "longer than maximum"},
		{"a wrapped packet without protection", simple, "68727063 09 00 00 0000000e 0a" + sasl + "02 1005", "unexpected SASL message WRAP"},
		{"SASL begun in the middle", tokens, "68727063 09 00 df 0000000e 0a" + sasl + "02 1004", "unsupported state RESPONSE"},
		{"a choice that was not offered", tokens, "68727063 09 00 df 0000000e 0a" + sasl + "02 1001 0000001a 0a" + sasl + "0e 1002 220a 0a0653494d504c45 1200", "SIMPLE authentication is not enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := rpcfake.New(tt.conf)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			nc, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			sent, isText := strings.CutPrefix(tt.sent, "/")
			b := []byte(sent)
			if !isText {
				if b, err = hex.DecodeString(strings.Join(strings.Fields(sent), "")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := nc.Write(b); err != nil {
				t.Fatal(err)
			}
			// The server closes the connection after its answer. (With bytes
			// of ours unread, as a reset.)
			got, _ := io.ReadAll(nc)
			if !strings.Contains(string(got), tt.answer) {
				t.Errorf("answer %q, want %q", got, tt.answer)
			}
		})
	}
}
