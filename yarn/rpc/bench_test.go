package rpc_test

import (
	"testing"

	"heddle/yarn/rpc"
	"heddle/yarn/rpc/rpcfake"
	"heddle/yarn/security"
)

// BenchmarkCall measures a small call over loopback, client and fake server
// together; at privacy the ciphers' share is seen.
func BenchmarkCall(b *testing.B) {
	for _, bb := range []struct {
		name   string
		server rpcfake.Config
		client rpc.Options
	}{
		{"simple", rpcfake.Config{Simple: true}, rpc.Options{User: "ann"}},
		{"integrity", rpcfake.Config{Password: passwordOf(testToken), Protection: []security.QOP{security.QOPIntegrity}}, rpc.Options{Token: testToken}},
		{"privacy", rpcfake.Config{Password: passwordOf(testToken), Protection: []security.QOP{security.QOPPrivacy}}, rpc.Options{Token: testToken}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := echoServer(b, bb.server)
			c := newClient(b, s.Addr(), bb.client)
			for _, parallel := range []bool{false, true} {
				name := "one at a time"
				if parallel {
					name = "many at a time"
				}
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					do := func() {
						if _, err := call(b.Context(), c, "echo", "hello"); err != nil {
							b.Error(err)
						}
					}
					if !parallel {
						for b.Loop() {
							do()
						}
						return
					}
					b.SetParallelism(16)
					b.RunParallel(func(p *testing.PB) {
						for p.Next() {
							do()
						}
					})
				})
			}
		})
	}
}
