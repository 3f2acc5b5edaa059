package hadoopconf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func yarn(t *testing.T, keys ...string) *Conf {
	t.Helper()
	var text string
	for i := 0; i < len(keys); i += 2 {
		text += property(keys[i], keys[i+1])
	}
	return load(t, map[string]string{"yarn-site.xml": text})
}

func TestResourceManagerAddresses(t *testing.T) {
	tests := []struct {
		name string
		keys []string
		want []RMAddress
		err  string
	}{
		{"nothing set", nil, []RMAddress{{
			Client: "0.0.0.0:8032", Scheduler: "0.0.0.0:8030", Admin: "0.0.0.0:8033", Web: "0.0.0.0:8088",
		}}, "no ResourceManager is configured: set yarn.resourcemanager.hostname in"},
		{"host name", []string{"yarn.resourcemanager.hostname", "rm"}, []RMAddress{{
			Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, ""},
		{"addresses, one without a port", []string{
			"yarn.resourcemanager.address", "rm:1", "yarn.resourcemanager.scheduler.address", " sched ",
			"yarn.resourcemanager.admin.address", "rm:3",
		}, []RMAddress{{Client: "rm:1", Scheduler: "sched:8030", Admin: "rm:3", Web: "rm:8088"}}, ""},
		{"HTTPS", []string{"yarn.resourcemanager.hostname", "rm", "yarn.http.policy", "HTTPS_ONLY"}, []RMAddress{{
			Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8090", Secure: true,
		}}, ""},
		{"two, by host name and by address", []string{
			"yarn.resourcemanager.ha.enabled", "true", "yarn.resourcemanager.ha.rm-ids", "rm1, rm2",
			"yarn.resourcemanager.hostname.rm1", "h1", "yarn.resourcemanager.hostname.rm2", "h2",
			"yarn.resourcemanager.address.rm2", "h2:9032", "yarn.resourcemanager.webapp.address.rm2", "w2:9088",
		}, []RMAddress{
			{ID: "rm1", Client: "h1:8032", Scheduler: "h1:8030", Admin: "h1:8033", Web: "h1:8088"},
			{ID: "rm2", Client: "h2:9032", Scheduler: "h2:8030", Admin: "h2:8033", Web: "w2:9088"},
		}, ""},
		{"two, one nowhere", []string{
			"yarn.resourcemanager.ha.enabled", "true", "yarn.resourcemanager.ha.rm-ids", "rm1,rm2", "yarn.resourcemanager.hostname.rm1", "h1",
		}, []RMAddress{
			{ID: "rm1", Client: "h1:8032", Scheduler: "h1:8030", Admin: "h1:8033", Web: "h1:8088"},
			{ID: "rm2", Client: "0.0.0.0:8032", Scheduler: "0.0.0.0:8030", Admin: "0.0.0.0:8033", Web: "0.0.0.0:8088"},
		}, "yarn.resourcemanager.hostname.rm2"},
		{"HA without ids", []string{"yarn.resourcemanager.ha.enabled", "true", "yarn.resourcemanager.hostname", "rm"}, []RMAddress{{
			Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, "names no ResourceManager"},
		{"ids without HA", []string{"yarn.resourcemanager.ha.rm-ids", "rm1", "yarn.resourcemanager.hostname", "rm"}, []RMAddress{{
			Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, ""},
		{"IPv6", []string{"yarn.resourcemanager.hostname", "rm", "yarn.resourcemanager.address", "[::1]:8032"}, []RMAddress{{
			Client: "[::1]:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, ""},
		{"no port number", []string{"yarn.resourcemanager.hostname", "rm", "yarn.resourcemanager.address", "rm:http"}, []RMAddress{{
			Client: "rm:http", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, "has no valid port"},
		{"HA is no boolean", []string{"yarn.resourcemanager.ha.enabled", "perhaps", "yarn.resourcemanager.hostname", "rm"}, []RMAddress{{
			Client: "rm:8032", Scheduler: "rm:8030", Admin: "rm:8033", Web: "rm:8088",
		}}, `"perhaps" is not true or false`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := yarn(t, tt.keys...)
			if d := cmp.Diff(tt.want, c.ResourceManagerAddresses()); d != "" {
				t.Error(d)
			}
			got, err := c.ResourceManagers()
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err == "":
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
			case err == nil || !strings.Contains(err.Error(), tt.err):
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestWebURLAndProxy(t *testing.T) {
	c := yarn(t, "yarn.resourcemanager.hostname", "rm")
	if got := c.ResourceManagerAddresses()[0].WebURL(); got != "http://rm:8088" {
		t.Error(got)
	}
	if got := c.ProxyAddress(); got != "rm:8088" {
		t.Error(got)
	}
	c = yarn(t, "yarn.resourcemanager.hostname", "rm", "yarn.http.policy", "HTTPS_ONLY", "yarn.web-proxy.address", "proxy:9999")
	if got := c.ResourceManagerAddresses()[0].WebURL(); got != "https://rm:8090" {
		t.Error(got)
	}
	if got := c.ProxyAddress(); got != "proxy:9999" {
		t.Error(got)
	}
}

func TestNameNodes(t *testing.T) {
	c := load(t, map[string]string{"hdfs-site.xml": property("dfs.nameservices", "ns,one") +
		property("dfs.ha.namenodes.ns", "nn1, nn2") + property("dfs.namenode.rpc-address.ns.nn1", "h1:9000") +
		property("dfs.namenode.rpc-address.ns.nn2", "h2") + property("dfs.namenode.rpc-address.one", "h3:9000")})
	tests := []struct {
		uri  string
		want []string
	}{
		{"hdfs://ns", []string{"h1:9000", "h2:8020"}},
		{"hdfs://ns/path", []string{"h1:9000", "h2:8020"}},
		{"hdfs://one/path", []string{"h3:9000"}},
		{"hdfs://nn.example:8021/path", []string{"nn.example:8021"}},
		{"hdfs://nn.example", []string{"nn.example:8020"}},
		{"file:///x", nil},
		{"hdfs:///x", nil},
		{"://", nil},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, c.NameNodes(tt.uri)); d != "" {
			t.Errorf("%s: %s", tt.uri, d)
		}
	}
}
