package kafka

import (
	"regexp"
	"testing"
)

// TestShownVersion holds versions to the pattern of Kafka's
// ApiVersionsRequest.isValid, which refuses the client otherwise.
func TestShownVersion(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)
	for in, want := range map[string]string{
		"":       "development",
		"+":      "development",
		"v1.2.3": "v1.2.3",
		"v0.0.0-20261124005116-00019f0474d8+dirty": "v0.0.0-20261124005116-00019f0474d8-dirty",
		"v1.0.0+": "v1.0.0",
	} {
		got := shownVersion(in)
		if got != want || !valid.MatchString(got) {
			t.Errorf("shownVersion(%q) = %q, want %q", in, got, want)
		}
	}
	if !valid.MatchString(version) {
		t.Errorf("Kafka refuses the version %q", version)
	}
}
