package coordinator

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
)

// SecretSize is the length of a job's secret in bytes.
const SecretSize = 32

// NewSecret draws a job's secret; random is crypto/rand.Reader but in tests. It
// is made once at submit and lives as long as the application.
func NewSecret(random io.Reader) ([]byte, error) {
	b := make([]byte, SecretSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("draw the job's secret: %w", err)
	}
	return b, nil
}

// SecretText is the form in which a secret stands in files and requests: hex.
func SecretText(secret []byte) string { return hex.EncodeToString(secret) }

// ParseSecret reads SecretText.
func ParseSecret(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) < SecretSize {
		// The text is not shown: it may be most of a secret.
		return nil, fmt.Errorf("read the job's secret: expected %d hexadecimal digits", 2*SecretSize)
	}
	return b, nil
}

// DeriveCredential is a container's credential: the HMAC-SHA256 of its id under
// the job's secret, in hex. Nobody can tell the secret, or another container's
// credential, from it.
func DeriveCredential(secret []byte, containerID string) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(containerID))
	return hex.EncodeToString(h.Sum(nil))
}

// sameSecret compares in a time that tells nothing, not even the lengths.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// credentials knows the containers by their credentials. They are looked up by
// their hashes, so that the time of a look-up tells nothing of a credential.
type credentials map[[sha256.Size]byte]string

func newCredentials(secret []byte, ids []string) credentials {
	c := make(credentials, len(ids))
	for _, id := range ids {
		c[sha256.Sum256([]byte(DeriveCredential(secret, id)))] = id
	}
	return c
}

func (c credentials) container(credential string) (id string, ok bool) {
	id, ok = c[sha256.Sum256([]byte(credential))]
	return id, ok
}
