package security

import "strings"

// QOP is a quality of protection, by its SASL name.
type QOP string

// The qualities of protection, with their names in hadoop.rpc.protection.
const (
	QOPAuth      QOP = "auth"      // "authentication": who calls is proven, nothing more
	QOPIntegrity QOP = "auth-int"  // "integrity": and nobody changes what is sent
	QOPPrivacy   QOP = "auth-conf" // "privacy": and nobody reads it
)

// ParseProtection reads a value of hadoop.rpc.protection: a comma-separated
// list of authentication, integrity and privacy, in order of preference.
// Unknown names are returned, for the caller to complain of.
func ParseProtection(s string) (qops []QOP, unknown []string) {
	for name := range strings.SplitSeq(s, ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "":
		case "authentication":
			qops = append(qops, QOPAuth)
		case "integrity":
			qops = append(qops, QOPIntegrity)
		case "privacy":
			qops = append(qops, QOPPrivacy)
		default:
			unknown = append(unknown, name)
		}
	}
	return qops, unknown
}

// A Layer protects what travels on a connection after SASL is done. Wrap and
// Unwrap keep a sequence number each and must see messages in order; the two
// may run at the same time.
type Layer interface {
	// Wrap protects a message of at most MaxWrap bytes.
	Wrap(p []byte) ([]byte, error)
	// Unwrap checks and uncovers what the other side wrapped.
	Unwrap(p []byte) ([]byte, error)
	// MaxWrap is the most bytes that the other side accepts in one message.
	MaxWrap() int
}
