package kafka

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/jcmturner/gokrb5/v8/client"
	krbconfig "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
)

// gssapi is SASL/GSSAPI. It reads krb5.conf and logs in when the first
// connection asks for it, so that a wrong setting is an error of connecting.
type gssapi struct {
	service   string // sasl.kerberos.service.name
	principal string // user@REALM
	keytab    string // "" for the ticket cache
	cache     string

	mu     sync.Mutex
	client *client.Client
}

var _ sasl.ClosingMechanism = (*gssapi)(nil)

// gssapiOf reads the options of Java's Krb5LoginModule: useKeyTab, keyTab,
// principal, useTicketCache, ticketCache. krb5.conf is found by KRB5_CONFIG, else
// /etc/krb5.conf; the ticket cache by its option, else KRB5CCNAME, else
// /tmp/krb5cc_<uid>.
func gssapiOf(r *settingReader, l login) (sasl.Mechanism, error) {
	g := &gssapi{principal: l.options["principal"], keytab: l.options["keyTab"]}
	service, ok := r.text("sasl.kerberos.service.name")
	if !ok {
		service = cmp.Or(l.options["serviceName"], "kafka")
	}
	g.service = service
	switch {
	case l.options["useKeyTab"] == "true" && (g.keytab == "" || !strings.Contains(g.principal, "@")):
		r.fail("sasl.jaas.config", "useKeyTab needs keyTab and principal (user@REALM); it looks like: %s", jaasExample["gssapi"])
		return nil, r.err
	case l.options["useKeyTab"] != "true":
		if l.options["useTicketCache"] != "true" {
			r.fail("sasl.jaas.config", "neither useKeyTab=true nor useTicketCache=true is set; it looks like: %s", jaasExample["gssapi"])
			return nil, r.err
		}
		g.keytab = ""
		g.cache = cmp.Or(l.options["ticketCache"], strings.TrimPrefix(os.Getenv("KRB5CCNAME"), "FILE:"), fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid()))
	}
	return g, nil
}

func (g *gssapi) Name() string { return "GSSAPI" }

func (g *gssapi) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	c, err := g.login()
	if err != nil {
		return nil, nil, &loginError{setting: "sasl.jaas.config", err: fmt.Errorf("Kerberos login: %w", err), passing: !lastsKerberos(err)}
	}
	name, _, _ := strings.Cut(host, ":")
	session, first, err := kerberos.Auth{Client: c, Service: g.service}.AsMechanism().Authenticate(ctx, host)
	if err != nil {
		return nil, nil, &loginError{setting: "sasl.kerberos.service.name", err: fmt.Errorf("Kerberos ticket for %s/%s: %w", g.service, name, err), passing: !lastsKerberos(err)}
	}
	return session, first, nil
}

func (g *gssapi) login() (*client.Client, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.client != nil {
		return g.client, nil
	}
	path := cmp.Or(os.Getenv("KRB5_CONFIG"), "/etc/krb5.conf")
	conf, err := krbconfig.Load(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	// Active Directory does not answer the FAST negotiation of the library.
	settings := client.DisablePAFXFAST(true)
	if g.keytab != "" {
		kt, err := keytab.Load(g.keytab)
		if err != nil {
			return nil, fmt.Errorf("read keytab %s: %w", g.keytab, err)
		}
		user, realm, _ := strings.Cut(g.principal, "@")
		c := client.NewWithKeytab(user, realm, kt, conf, settings)
		if err := c.Login(); err != nil {
			return nil, fmt.Errorf("as %s: %w", g.principal, err)
		}
		g.client = c
		return c, nil
	}
	cache, err := credentials.LoadCCache(g.cache)
	if err != nil {
		return nil, fmt.Errorf("read ticket cache %s (kinit makes one): %w", g.cache, err)
	}
	// Not kept: kinit may renew the cache.
	c, err := client.NewFromCCache(cache, conf, settings)
	if err != nil {
		return nil, fmt.Errorf("ticket cache %s: %w", g.cache, err)
	}
	return c, nil
}

// Close forgets the tickets.
func (g *gssapi) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.client != nil {
		g.client.Destroy()
		g.client = nil
	}
}
