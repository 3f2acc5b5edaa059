package security

import (
	"net"
	"slices"
	"strings"
)

// ServiceName returns what Hadoop writes into the service of a token for the
// server at host:port: "ip:port" when useIP (hadoop.security.token.service.use_ip,
// true by default), else the lower-case host and the port. resolve turns the
// host into an IP address and is asked only when useIP and the host is a name;
// when it fails, the name is used, as in Java.
func ServiceName(addr string, useIP bool, resolve func(host string) (string, error)) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return strings.ToLower(addr)
	}
	host = strings.ToLower(host)
	if useIP && net.ParseIP(host) == nil && resolve != nil {
		if ip, err := resolve(host); err == nil && ip != "" {
			host = ip
		}
	}
	// Java joins with a colon and never brackets IPv6.
	return host + ":" + port
}

// HDFSServiceName returns the service of a token for the HDFS nameservice with
// several NameNodes: one token serves all of them.
func HDFSServiceName(nameservice string) string { return "ha-hdfs:" + nameservice }

// FindToken returns a token of the kind for the service, nil if there is none.
//
// With an empty service the first token of the kind, in order of the alias, is
// returned: right for KindAMRM, which the ResourceManager issues with an empty
// service (Java's application masters overwrite it before they compare). With a
// service, a token qualifies whose service is the same, or is a comma-separated
// list with the service in it (what clients write for several
// ResourceManagers).
func (c *Credentials) FindToken(kind, service string) *Token {
	for _, t := range c.Tokens() {
		if t.Kind != kind {
			continue
		}
		if service == "" || slices.Contains(strings.Split(t.Service, ","), service) {
			return t
		}
	}
	return nil
}
