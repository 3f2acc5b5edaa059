package coordinator

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestQueriesThroughAProxy: a text comes out as it went in, also behind a proxy
// that decodes what it can and refuses braces, as YARN's does.
func TestQueriesThroughAProxy(t *testing.T) {
	for _, text := range []string{"", "a", "a b+c", "%41%2F", "a;b", `{"base64":"eA=="}`, "<b>&amp;", "ä€😀", "a&key=b"} {
		for _, name := range proxied {
			in := url.Values{name: {text}, "task": {"SystemStreamPartition [kafka, in, 0]"}}
			sent := throughProxy(in).Encode()
			if strings.ContainsAny(text, "%{};") && (strings.Contains(sent, name+"=") || strings.Contains(sent, "%25") || strings.Contains(sent, "%7B")) {
				t.Errorf("%q is sent as %s", text, sent)
			}
			got, err := query(httptest.NewRequest(http.MethodGet, "/ui/api/v1/state/counts?"+sent, nil))
			if err != nil || !maps.EqualFunc(got, in, func(a, b []string) bool { return strings.Join(a, "\x00") == strings.Join(b, "\x00") }) {
				t.Errorf("%v came as %v, %v", in, got, err)
			}
		}
	}
	for sent, says := range map[string]string{
		"key=%zz":                         "cannot be read",
		"key64=a+b":                       "base64url",
		"key64=YQ==":                      "base64url",
		"key=a&key64=" + b64("b"):         "no key beside it",
		"task=a&from64=" + b64("a") + "%": "cannot be read",
	} {
		if got, err := query(httptest.NewRequest(http.MethodGet, "/x?"+sent, nil)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", sent, got, err)
		}
	}
	// A semicolon parts nothing.
	if got, err := query(httptest.NewRequest(http.MethodGet, "/x?key=a;b&mode=live", nil)); err != nil || got.Get("key") != "a;b" || got.Get("mode") != "live" {
		t.Errorf("%v, %v", got, err)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
