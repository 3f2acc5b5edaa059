package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"heddle/storage"
)

// component lies between what is configured and the jobs' folders.
const component = "heddle-v1"

const (
	manifestsFolder = "manifests"
	filesFolder     = "files"
	manifestSuffix  = ".json"
	sequenceDigits  = 16
)

// JobFolder is where the snapshots of a job lie below heddle.snapshot.uri.
func JobFolder(root, jobName, jobID string) string {
	return path.Join(root, component, pathName(jobName+"-"+jobID))
}

// folderOf is where the snapshots of one store of one task lie.
func folderOf(root string, id storage.Identity) string {
	return path.Join(JobFolder(root, id.JobName, id.JobID), pathName(id.Store), pathName(id.Task))
}

// maxPathName is what file systems allow for one component of a path, less what
// is added to it.
const maxPathName = 200

// pathName spells a name as a component of a path in any file system (HDFS takes
// no colon), so that two names are never spelled alike.
func pathName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == ' ':
			b.WriteByte('+')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	s := b.String()
	switch {
	case s == "":
		return "%"
	case len(s) > maxPathName:
		sum := sha256.Sum256([]byte(name))
		return s[:maxPathName-33] + "%" + hex.EncodeToString(sum[:16])
	}
	return s
}

// manifestName names the manifest of a snapshot: later ones sort behind, and two
// writers never write the same.
func manifestName(sequence int64, writer string) string {
	return fmt.Sprintf("%0*d-%s%s", sequenceDigits, sequence, writer, manifestSuffix)
}

// parseManifestName reads what manifestName wrote.
func parseManifestName(name string) (sequence int64, writer string, ok bool) {
	base, found := strings.CutSuffix(name, manifestSuffix)
	digits, writer, dash := strings.Cut(base, "-")
	if !found || !dash || len(digits) != sequenceDigits || writer == "" {
		return 0, "", false
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, "", false
	}
	return int64(n), writer, true
}

// isSum tells if the text is a checksum as files are named by it.
func isSum(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
