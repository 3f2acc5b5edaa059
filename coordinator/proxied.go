package coordinator

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// YARN's proxy takes a query apart and puts it together anew, and not every value
// comes out as it went in: of a percent sign that two hexadecimal digits follow it
// makes another character, a semicolon parts parameters for Go, and braces are
// templates to it, which it refuses. Keys of stores may have all of these in them.
// So a text may be given as base64url without padding, too, in a parameter with 64
// behind its name.

// proxied are the parameters with a text that somebody typed.
var proxied = []string{"key", "from", "to", "prefix", "q"}

// throughProxy gives the parameters in a form that any proxy lets through.
func throughProxy(q url.Values) url.Values {
	out := url.Values{}
	for name, v := range q {
		out[name] = v
	}
	for _, name := range proxied {
		if text := q.Get(name); strings.ContainsAny(text, "%{};") {
			out.Del(name)
			out.Set(name+"64", base64.RawURLEncoding.EncodeToString([]byte(text)))
		}
	}
	return out
}

// query gives the parameters of a request; what cannot be read of them is an
// error, never left out: that would be another question.
func query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "%3B"))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	for _, name := range proxied {
		if !q.Has(name + "64") {
			continue
		}
		b, err := base64.RawURLEncoding.DecodeString(q.Get(name + "64"))
		if err != nil || q.Has(name) {
			return nil, refuse(http.StatusBadRequest, "%s64=%s: expected base64url without padding, and no %s beside it", name, q.Get(name+"64"), name)
		}
		q.Del(name + "64")
		q.Set(name, string(b))
	}
	return q, nil
}
