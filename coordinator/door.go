package coordinator

import (
	"net"
	"strings"
)

// door says under which names a server is asked, without their ports. A page that
// only this machine reaches has no other guard: a foreign web page could have its
// own name lead to this machine (DNS rebinding), and the browser would let it read
// the answers as its own. The request then still has the foreign name in its Host
// header. nil lets all in: a server that other machines reach is asked under names
// that it does not know, such as aliases and those of tunnels and proxies.
type door map[string]bool

// newDoor is the door of a server on the address that was told to listen on host.
func newDoor(host string, address net.Addr) door {
	a, ok := address.(*net.TCPAddr)
	if !ok || !a.IP.IsLoopback() {
		return nil
	}
	return door{"localhost": true, plainName(host): true}
}

// admits says if a request with this Host header is answered. A number is no name
// that somebody could have lead elsewhere, and other ports are those of tunnels.
func (d door) admits(host string) bool {
	if d == nil {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = plainName(host)
	number := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		number = host[1 : len(host)-1]
	}
	if ip := net.ParseIP(number); ip != nil {
		return ip.IsLoopback()
	}
	return d[host]
}

// plainName spells a host name in one way.
func plainName(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
