package grid

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secure is Kafka with its secured listeners, which a grid has that was started with --secure.
const Secure Part = "secure"

// What deploy/grid/lib/secure.sh and the broker's configuration have: users of a test, no secrets.
const (
	// StorePassword opens every keystore in Grid.SecureDir, and the keys in them.
	StorePassword = "store-s3cr3t"
	// AlicePassword is alice's, for PLAIN and SCRAM.
	AlicePassword = "alice-s3cr3t"
	// BobPassword is bob's, for PLAIN; it has all that JAAS texts and properties files give a meaning to.
	BobPassword = `bob "s3cr3t"; x=1\`
	// Realm is the KDC's; in the keytab SecureFile("grid.keytab") are alice, job/worker and the broker.
	Realm = "GRID.HEDDLE"
)

// SecureFile is a file of the secured grid: ca.pem, truststore.jks, truststore.p12, client.jks,
// client.p12, grid.keytab, krb5.conf.
func (g *Grid) SecureFile(name string) string { return filepath.Join(g.SecureDir, name) }

// Kerberos lets this process find the grid's KDC until the end of the test.
func (g *Grid) Kerberos(t *testing.T) {
	t.Helper()
	t.Setenv("KRB5_CONFIG", g.SecureFile("krb5.conf"))
}

// NoSecrets fails the test when a text holds any of the secured grid's passwords; what names the text.
func (g *Grid) NoSecrets(t testing.TB, what, text string) {
	t.Helper()
	if at := indexSecret(text); at >= 0 {
		t.Errorf("%s holds a secret: ...%s...", what, text[max(0, at-80):min(len(text), at+40)])
	}
}

// indexSecret finds any of the passwords: they share a word.
func indexSecret(text string) int { return strings.Index(text, "s3cr3t") }

// SecretsInFiles names the files below a folder that hold any of the secured grid's passwords.
func SecretsInFiles(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if indexSecret(string(b)) >= 0 {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
