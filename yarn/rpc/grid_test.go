//go:build grid

package rpc_test

import (
	"context"
	"errors"
	"os/user"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/internal/grid"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// The tests of this file need a real YARN: bin/grid.sh start yarn, then
// eval "$(bin/grid.sh env)" and go test -tags grid ./yarn/rpc/. Started with
// --set hadoop.rpc.protection=privacy,integrity,authentication it offers every
// protection; those that it does not offer are logged and left out.

// TestGridProtection speaks to a ResourceManager's scheduler with the token of
// an application master, at every protection.
func TestGridProtection(t *testing.T) {
	conf, err := hadoopconf.Load(grid.Use(t, grid.YARN).HadoopConfDir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	token := masterToken(ctx, t, conf)
	addr := conf.ResourceManagerAddresses()[0].Scheduler
	marker := strings.Repeat("a-name-to-look-for-", 2)
	for _, q := range []security.QOP{security.QOPAuth, security.QOPIntegrity, security.QOPPrivacy} {
		t.Run(string(q), func(t *testing.T) {
			var wire recorder
			c := rpc.NewClient(addr, rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"}, rpc.Options{
				Token: token, Protection: []security.QOP{q}, Dial: wire.dial,
			})
			defer func() { _ = c.Close() }()
			// Small, and larger than one protected message. The master is not
			// registered, and so the scheduler says: its answer is an error that
			// leaves the connection.
			for _, n := range []int{1, 1, 5000, 1} {
				req := &pb.AllocateRequestProto{ResponseId: proto.Int32(0), TrackingUrl: proto.String(strings.Repeat(marker, n))}
				err := c.Call(ctx, "allocate", req, &pb.AllocateResponseProto{})
				var ae *rpc.AuthError
				if errors.As(err, &ae) && strings.Contains(err.Error(), "no common quality") {
					t.Logf("not offered by this ResourceManager: %v", err)
					return
				}
				if rpc.Classify(err) != rpc.ClassResync {
					t.Fatalf("allocate of %d markers: %v", n, err)
				}
			}
			if clear := wire.contains(marker); clear != (q != security.QOPPrivacy) {
				t.Errorf("readable on the wire: %v", clear)
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		wrong := token.Clone()
		wrong.Password[0] ^= 1
		c := rpc.NewClient(addr, rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"}, rpc.Options{Token: wrong})
		defer func() { _ = c.Close() }()
		err := c.Call(ctx, "allocate", &pb.AllocateRequestProto{}, &pb.AllocateResponseProto{})
		if rpc.Classify(err) != rpc.ClassFatal {
			t.Error(err)
		}
		t.Log(err)
	})
	t.Run("no token", func(t *testing.T) {
		c := rpc.NewClient(addr, rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"}, rpc.Options{User: "ann"})
		defer func() { _ = c.Close() }()
		err := c.Call(ctx, "allocate", &pb.AllocateRequestProto{}, &pb.AllocateResponseProto{})
		if rpc.Classify(err) != rpc.ClassFatal || !strings.Contains(err.Error(), "Available:[TOKEN]") {
			t.Error(err)
		}
	})
	t.Run("web port", func(t *testing.T) {
		c := rpc.NewClient(conf.ResourceManagerAddresses()[0].Web, rpc.Protocol{Name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"}, rpc.Options{User: "ann"})
		defer func() { _ = c.Close() }()
		err := c.Call(ctx, "getClusterMetrics", &pb.GetClusterMetricsRequestProto{}, &pb.GetClusterMetricsResponseProto{})
		if rpc.Classify(err) != rpc.ClassFatal {
			t.Error(err)
		}
		t.Log(err)
	})
}

// masterToken returns the token of an application whose master runs nowhere.
func masterToken(ctx context.Context, t *testing.T, conf *hadoopconf.Conf) *security.Token {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	o, err := yarn.ClientOptionsFrom(conf, rpc.Options{User: u.Username})
	if err != nil {
		t.Fatal(err)
	}
	c, err := yarn.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	id, _, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Submit(ctx, yarn.Submission{
		ID: id, Name: "rpc-protection-test", Unmanaged: true, Resource: yarn.Resource{MemoryMiB: 128, VCores: 1}, MaxAttempts: 1,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Kill(context.WithoutCancel(ctx), id, "test over") })
	for {
		report, err := c.Report(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if report.AMRMToken != nil {
			return report.AMRMToken
		}
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
