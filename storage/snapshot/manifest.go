package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"heddle/storage"
	"heddle/system"
)

// Manifest is what a snapshot consists of.
type Manifest struct {
	// Identity is the store's: the snapshot is of use only to exactly that.
	Identity storage.Identity
	// Taken is when the store was copied, to the millisecond.
	Taken time.Time
	// Mark says which state it is.
	Mark storage.Mark
	// Files are those of the engine's folder.
	Files []File
}

// File is one file of a snapshot.
type File struct {
	// Name is its name in the engine's folder, without slashes.
	Name string `json:"name"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Sum is the SHA-256 of its content, in small hexadecimal digits.
	Sum string `json:"sha256"`
	// Data is the content if it lies in the manifest; nil: it lies in a file of
	// its own, named by Sum.
	Data []byte `json:"data,omitempty"`
	// Empty tells that the content lies in the manifest and is empty.
	Empty bool `json:"empty,omitempty"`
}

// inline tells if the content lies in the manifest.
func (f File) inline() bool { return f.Data != nil || f.Empty }

// files are those that lie outside of the manifest.
func (m Manifest) files() []File {
	var out []File
	for _, f := range m.Files {
		if !f.inline() {
			out = append(out, f)
		}
	}
	return out
}

// bytes is the size of the state on disk.
func (m Manifest) bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// manifestFormat is the version of the layout of the folder and of manifests.
const manifestFormat = 1

// manifestFile is the file: the checksum is over the bytes of Snapshot as they
// stand in it.
type manifestFile struct {
	Format   int             `json:"format"`
	CRC32C   string          `json:"crc32c"`
	Snapshot json.RawMessage `json:"snapshot"`
}

type manifestBody struct {
	Identity   storage.Identity `json:"identity"`
	Taken      int64            `json:"taken.ms"`
	Topic      string           `json:"changelog.topic.id,omitempty"` // "": unknown
	Offset     int64            `json:"changelog.offset"`
	Checkpoint string           `json:"checkpoint"`
	At         int64            `json:"mark.ms"` // 0: unknown
	Files      []File           `json:"files"`
}

// Bounds of what is read. A store of a terabyte has some ten thousand files.
const (
	maxManifestBytes = 64 << 20
	maxFileName      = 255
)

// What can be wrong with a manifest, apart from its damage.
var (
	errOtherFormat = errors.New("it is of another version")
	errDamaged     = errors.New("it is damaged")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crcOf(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// encodeManifest gives the file's bytes.
func encodeManifest(m Manifest) ([]byte, error) {
	body := manifestBody{
		Identity: m.Identity, Taken: m.Taken.UnixMilli(), Topic: m.Mark.Topic.String(), Offset: m.Mark.Offset,
		Checkpoint: m.Mark.Checkpoint, Files: m.Files,
	}
	if !m.Mark.At.IsZero() {
		body.At = m.Mark.At.UnixMilli()
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	b, err := json.Marshal(manifestFile{Format: manifestFormat, CRC32C: crcOf(raw), Snapshot: raw})
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return append(b, '\n'), nil
}

// decodeManifest reads a file's bytes. The error says what is wrong with them,
// and wraps errOtherFormat or errDamaged.
func decodeManifest(b []byte) (Manifest, error) {
	var f manifestFile
	if err := json.Unmarshal(b, &f); err != nil {
		return Manifest{}, fmt.Errorf("%w or cut off: %w", errDamaged, err)
	}
	if f.Format != manifestFormat {
		return Manifest{}, fmt.Errorf("%w: its format is %d, not %d", errOtherFormat, f.Format, manifestFormat)
	}
	if got := crcOf(f.Snapshot); got != f.CRC32C {
		return Manifest{}, fmt.Errorf("%w: its checksum is %s, not %.20q", errDamaged, got, f.CRC32C)
	}
	var body manifestBody
	d := json.NewDecoder(bytes.NewReader(f.Snapshot))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", errOtherFormat, err)
	}
	topic, err := system.ParseTopicID(body.Topic)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	m := Manifest{
		Identity: body.Identity, Taken: time.UnixMilli(body.Taken).UTC(), Files: body.Files,
		Mark: storage.Mark{Topic: topic, Offset: body.Offset, Checkpoint: body.Checkpoint},
	}
	if body.At != 0 {
		m.Mark.At = time.UnixMilli(body.At).UTC()
	}
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return m, nil
}

// check refuses what no manifest of ours says. A name that leads out of the
// engine's folder would let who can write to the file system write anywhere.
func (m Manifest) check() error {
	if m.Mark.Offset < storage.NoOffset {
		return fmt.Errorf("its changelog offset is %d", m.Mark.Offset)
	}
	names := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		switch {
		case !isFileName(f.Name):
			return fmt.Errorf("it names a file %.300q, which is no plain name", f.Name)
		case names[f.Name]:
			return fmt.Errorf("it names the file %q twice", f.Name)
		case f.Size < 0 || !isSum(f.Sum):
			return fmt.Errorf("size %d and checksum %.80q of file %q make no sense", f.Size, f.Sum, f.Name)
		case f.Empty && (f.Data != nil || f.Size != 0), f.inline() && (int64(len(f.Data)) != f.Size || sumOf(f.Data) != f.Sum):
			return fmt.Errorf("the content of file %q is not what its size and checksum say", f.Name)
		}
		names[f.Name] = true
	}
	if len(m.Files) == 0 {
		return errors.New("it names no files")
	}
	return nil
}

// isFileName tells if the name is one of a file in a flat folder, on any system.
func isFileName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > maxFileName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r == '/' || r == '\\' || r == ':' || r < ' ' || r == 0x7f || r == '\uFFFD'
	})
}
