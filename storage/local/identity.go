package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
)

// Identity says what the state in a folder is of. State is used again only by
// who expects exactly the same.
type Identity struct {
	// JobName and JobID are job.name and job.id.
	JobName string `json:"job.name"`
	JobID   string `json:"job.id"`
	// Store and Task are the names of both.
	Store string `json:"store"`
	Task  string `json:"task"`
	// Changelog is "system.stream"; "" for a store without one. Partition is the
	// task's in it.
	Changelog string `json:"changelog"`
	Partition int32  `json:"partition"`
	// KeySerde and ValueSerde name what encodes keys and values.
	KeySerde   string `json:"key.serde"`
	ValueSerde string `json:"msg.serde"`
	// Engine is the engine's name, and Layout how the layers above it lay out an
	// entry.
	Engine string `json:"engine"`
	Layout string `json:"layout"`
}

// differences lists what is other in got, for a message; "" if nothing is.
func (want Identity) differences(got Identity) string {
	var out []string
	add := func(what string, want, got any) {
		if want != got {
			out = append(out, fmt.Sprintf("%s %q, not %q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	add("job.name", want.JobName, got.JobName)
	add("job.id", want.JobID, got.JobID)
	add("store", want.Store, got.Store)
	add("task", want.Task, got.Task)
	add("changelog", want.Changelog, got.Changelog)
	add("changelog partition", want.Partition, got.Partition)
	add("key serde", want.KeySerde, got.KeySerde)
	add("msg serde", want.ValueSerde, got.ValueSerde)
	add("engine", want.Engine, got.Engine)
	add("layout", want.Layout, got.Layout)
	return strings.Join(out, ", ")
}

// sameStore tells if both are of the same store of the same job: then the old
// state is the job's own to remove.
func (want Identity) sameStore(got Identity) bool {
	return want.JobName == got.JobName && want.JobID == got.JobID && want.Store == got.Store
}

// identityFormat is the version of the folder's layout and of the file.
const identityFormat = 1

// identityFile is the file: the checksum is over the bytes of Identity as they
// stand in it.
type identityFile struct {
	Format   int             `json:"format"`
	Identity json.RawMessage `json:"identity"`
	CRC32C   string          `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

// encodeIdentity gives the file's bytes.
func encodeIdentity(id Identity) ([]byte, error) {
	body, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(identityFile{Format: identityFormat, Identity: body, CRC32C: checksum(body)})
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// decodeIdentity reads the file's bytes; the error says what is wrong with
// them.
func decodeIdentity(b []byte) (Identity, error) {
	var f identityFile
	var id Identity
	if err := json.Unmarshal(b, &f); err != nil {
		return id, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	if f.Format != identityFormat {
		return id, fmt.Errorf("its format is %d; this version writes %d", f.Format, identityFormat)
	}
	if got := checksum(f.Identity); got != f.CRC32C {
		return id, fmt.Errorf("its checksum is %s, not %.20q", got, f.CRC32C)
	}
	d := json.NewDecoder(bytes.NewReader(f.Identity))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil {
		return id, fmt.Errorf("it is of another version: %w", err)
	}
	return id, nil
}
