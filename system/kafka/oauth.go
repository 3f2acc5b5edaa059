package kafka

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// oauthOf makes SASL/OAUTHBEARER of what Java's client takes:
//
//   - sasl.oauthbearer.token.endpoint.url with http(s): a token by the client
//     credentials grant, with clientId, clientSecret and scope of the login
//     module;
//   - the same with file: the token is what the file holds, read at each login;
//   - neither: an unsecured token with the claims unsecuredLogin...Claim_*, which
//     only a test broker takes.
//
// Options extension_* are sent along.
func oauthOf(r *settingReader, l login) (sasl.Mechanism, error) {
	extensions := map[string]string{}
	for name, value := range l.options {
		if name, ok := strings.CutPrefix(name, "extension_"); ok {
			extensions[name] = value
		}
	}
	token, err := tokenSource(r, l)
	if err != nil {
		return nil, err
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		t, err := token(ctx)
		if err != nil {
			// A token's server may be back at the next try.
			return oauth.Auth{}, &loginError{setting: "sasl.oauthbearer.token.endpoint.url", err: err, passing: !errors.Is(err, errTokenRefused) && !errors.Is(err, fs.ErrNotExist)}
		}
		return oauth.Auth{Token: t, Extensions: extensions}, nil
	}), nil
}

func tokenSource(r *settingReader, l login) (func(context.Context) (string, error), error) {
	const name = "sasl.oauthbearer.token.endpoint.url"
	text, ok := r.text(name)
	if !ok {
		return unsecuredToken(r, l)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file":
		r.fail(name, "expected an address that begins with https:, http: or file:")
		return nil, r.err
	case u.Scheme == "file":
		return func(context.Context) (string, error) {
			b, err := os.ReadFile(u.Path)
			if err != nil {
				return "", fmt.Errorf("read the token: %w", err)
			}
			return strings.TrimSpace(string(b)), nil
		}, nil
	}
	id, secret := l.options["clientId"], l.options["clientSecret"]
	if v, ok := r.text("sasl.oauthbearer.client.credentials.client.id"); ok {
		id = v
	}
	if v, ok := r.text("sasl.oauthbearer.client.credentials.client.secret"); ok {
		secret = v
	}
	scope := l.options["scope"]
	if v, ok := r.text("sasl.oauthbearer.scope"); ok {
		scope = v
	}
	if id == "" || secret == "" {
		r.fail("sasl.jaas.config", "the value (not shown) has no clientId or no clientSecret; it looks like: %s", jaasExample["oauthbearer"])
		return nil, r.err
	}
	roots, err := trustOf(r)
	if err != nil {
		return nil, err
	}
	c := &credentialsGrant{endpoint: u, id: id, secret: secret, scope: scope, now: time.Now,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		}}}
	return c.token, nil
}

// errTokenRefused says that the token's server does not know the client, or not
// its secret (RFC 6749, 5.2).
var errTokenRefused = errors.New("clientId, clientSecret or scope are refused")

// credentialsGrant asks for tokens and keeps one until shortly before its end.
type credentialsGrant struct {
	endpoint          *url.URL
	id, secret, scope string
	client            *http.Client
	now               func() time.Time

	mu    sync.Mutex
	last  string
	until time.Time
}

func (g *credentialsGrant) token(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last != "" && g.now().Before(g.until) {
		return g.last, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if g.scope != "" {
		form.Set("scope", g.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.endpoint.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("ask %s for a token: %w", g.endpoint.Redacted(), err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(g.id), url.QueryEscape(g.secret))
	resp, err := g.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("ask %s for a token: %w", g.endpoint.Redacted(), err)
	}
	if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized {
		return "", fmt.Errorf("ask %s for a token: %w: %s", g.endpoint.Redacted(), errTokenRefused, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask %s for a token: %s", g.endpoint.Redacted(), resp.Status)
	}
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	// The body may hold the token: it is not part of the error.
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("ask %s for a token: the answer holds no access_token", g.endpoint.Redacted())
	}
	g.last = answer.AccessToken
	g.until = g.now().Add(time.Duration(answer.ExpiresIn*0.8) * time.Second)
	return g.last, nil
}

// unsecuredToken makes a token that nobody signed (RFC 7515, appendix A.5), as
// Java's OAuthBearerUnsecuredLoginCallbackHandler does.
func unsecuredToken(r *settingReader, l login) (func(context.Context) (string, error), error) {
	claims := map[string]any{}
	for name, value := range l.options {
		if name, ok := strings.CutPrefix(name, "unsecuredLoginStringClaim_"); ok {
			claims[name] = value
		}
	}
	if claims["sub"] == nil {
		r.fail("sasl.mechanism", "OAUTHBEARER needs %s", r.key("sasl.oauthbearer.token.endpoint.url"))
		return nil, r.err
	}
	return func(context.Context) (string, error) {
		now := time.Now().Unix()
		all := maps.Clone(claims)
		all["iat"], all["exp"] = now, now+3600
		body, err := json.Marshal(all)
		if err != nil {
			return "", errors.New("make an unsecured token: its claims cannot be written as JSON")
		}
		e := base64.RawURLEncoding
		return e.EncodeToString([]byte(`{"alg":"none"}`)) + "." + e.EncodeToString(body) + ".", nil
	}, nil
}
