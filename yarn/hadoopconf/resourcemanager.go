package hadoopconf

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Ports of the ResourceManager where an address has none.
const (
	DefaultClientPort    = 8032
	DefaultSchedulerPort = 8030
	DefaultAdminPort     = 8033
	DefaultWebPort       = 8088
	DefaultSecureWebPort = 8090
	DefaultNameNodePort  = 8020
)

// RMAddress is where one ResourceManager listens, each as "host:port".
type RMAddress struct {
	ID        string // its id in yarn.resourcemanager.ha.rm-ids; "" where there is but one
	Client    string // yarn.resourcemanager.address: ApplicationClientProtocol
	Scheduler string // yarn.resourcemanager.scheduler.address: ApplicationMasterProtocol
	Admin     string // yarn.resourcemanager.admin.address
	Web       string // yarn.resourcemanager.webapp.address, or webapp.https.address
	Secure    bool   // Web speaks HTTPS (yarn.http.policy=HTTPS_ONLY)
}

// WebURL is the base of the web pages and of the REST API: "http://host:8088".
func (a RMAddress) WebURL() string {
	if a.Secure {
		return "https://" + a.Web
	}
	return "http://" + a.Web
}

// ResourceManagerAddresses returns the ResourceManagers in the order in which
// clients try them: those of yarn.resourcemanager.ha.rm-ids where
// yarn.resourcemanager.ha.enabled is true, else the one. Addresses are as
// configured; ResourceManagers also checks that they are.
func (c *Conf) ResourceManagerAddresses() []RMAddress {
	ids := []string{""}
	if ha, _ := c.Bool("yarn.resourcemanager.ha.enabled", false); ha {
		if l := c.Strings("yarn.resourcemanager.ha.rm-ids"); len(l) > 0 {
			ids = l
		}
	}
	secure := strings.EqualFold(c.String("yarn.http.policy", ""), "HTTPS_ONLY")
	var all []RMAddress
	for _, id := range ids {
		a := RMAddress{
			ID:        id,
			Client:    c.rmAddress("yarn.resourcemanager.address", id, DefaultClientPort),
			Scheduler: c.rmAddress("yarn.resourcemanager.scheduler.address", id, DefaultSchedulerPort),
			Admin:     c.rmAddress("yarn.resourcemanager.admin.address", id, DefaultAdminPort),
			Secure:    secure,
		}
		if secure {
			a.Web = c.rmAddress("yarn.resourcemanager.webapp.https.address", id, DefaultSecureWebPort)
		} else {
			a.Web = c.rmAddress("yarn.resourcemanager.webapp.address", id, DefaultWebPort)
		}
		// A web address on all interfaces is reached where the rest is.
		if host, port, _ := net.SplitHostPort(a.Web); isUnspecified(host) {
			if clientHost, _, _ := net.SplitHostPort(a.Client); !isUnspecified(clientHost) {
				a.Web = net.JoinHostPort(clientHost, port)
			}
		}
		all = append(all, a)
	}
	return all
}

// ResourceManagers is ResourceManagerAddresses, with an error where the
// configuration leaves open where a ResourceManager is (0.0.0.0, Hadoop's
// default) or contradicts itself.
func (c *Conf) ResourceManagers() ([]RMAddress, error) {
	const enabled, ids = "yarn.resourcemanager.ha.enabled", "yarn.resourcemanager.ha.rm-ids"
	ha, err := c.Bool(enabled, false)
	if err != nil {
		return nil, err
	}
	if ha && len(c.Strings(ids)) == 0 {
		return nil, fmt.Errorf("%s is true but %s names no ResourceManager", c.where(enabled), c.where(ids))
	}
	all := c.ResourceManagerAddresses()
	for _, a := range all {
		suffix := ""
		if a.ID != "" {
			suffix = "." + a.ID
		}
		host, port, err := net.SplitHostPort(a.Client)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not host:port", c.where("yarn.resourcemanager.address"+suffix), a.Client)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, fmt.Errorf("%s: %q has no valid port", c.where("yarn.resourcemanager.address"+suffix), a.Client)
		}
		if isUnspecified(host) {
			return nil, fmt.Errorf("no ResourceManager is configured: set yarn.resourcemanager.hostname%s in the yarn-site.xml of %s (%s)",
				suffix, EnvHadoopConfDir, strings.Join(c.dirs, ", "))
		}
	}
	return all, nil
}

// rmAddress returns the address under the key for the ResourceManager id, with
// Hadoop's fallbacks: key.id, then hostname.id with the default port; the plain
// key only where there are no ids.
func (c *Conf) rmAddress(key, id string, port int) string {
	if id == "" {
		return withPort(c.String(key, ""), port)
	}
	if a := c.String(key+"."+id, ""); a != "" {
		return withPort(a, port)
	}
	return withPort(c.String("yarn.resourcemanager.hostname."+id, "0.0.0.0"), port)
}

// ProxyAddress returns where applications' tracking URLs lead ("host:port"):
// yarn.web-proxy.address, or, where that is not set, the first
// ResourceManager's web address, which then runs the proxy itself.
func (c *Conf) ProxyAddress() string {
	if a := c.String("yarn.web-proxy.address", ""); a != "" {
		return a
	}
	return c.ResourceManagerAddresses()[0].Web
}

// DefaultFS returns fs.defaultFS, the file system of paths without a scheme:
// "hdfs://namenode:8020", "file:///".
func (c *Conf) DefaultFS() string { return c.String("fs.defaultFS", "file:///") }

// NameNodes returns the addresses ("host:port") of the NameNodes behind an HDFS
// URI such as DefaultFS: all of a nameservice's, in order, or the host itself.
// It is nil where the URI is not hdfs or names no host.
func (c *Conf) NameNodes(uri string) []string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "hdfs" || u.Host == "" {
		return nil
	}
	ns := u.Hostname()
	if u.Port() == "" {
		var all []string
		for _, nn := range c.Strings("dfs.ha.namenodes." + ns) {
			if a := c.String("dfs.namenode.rpc-address."+ns+"."+nn, ""); a != "" {
				all = append(all, withPort(a, DefaultNameNodePort))
			}
		}
		if len(all) > 0 {
			return all
		}
		if a := c.String("dfs.namenode.rpc-address."+ns, ""); a != "" {
			return []string{withPort(a, DefaultNameNodePort)}
		}
	}
	return []string{withPort(u.Host, DefaultNameNodePort)}
}

// withPort adds the port to an address that has none.
func withPort(addr string, port int) string {
	if addr == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), strconv.Itoa(port))
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
