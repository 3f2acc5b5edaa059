package security

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// AttemptID is YARN's id of an application attempt, as identifiers hold it.
type AttemptID struct {
	ClusterTimestamp int64 // start of the ResourceManager, ms since 1970
	Application      int32
	Attempt          int32
}

// String is YARN's way of writing it: appattempt_1795446160676_0001_000001.
func (a AttemptID) String() string {
	return fmt.Sprintf("appattempt_%d_%04d_%06d", a.ClusterTimestamp, a.Application, a.Attempt)
}

// AMRMIdentifier is what the identifier of a KindAMRM token says.
type AMRMIdentifier struct {
	Attempt AttemptID
	KeyID   int32 // which of the ResourceManager's keys signed it; -1 unknown
}

// NMIdentifier is what the identifier of a KindNM token says.
type NMIdentifier struct {
	Attempt   AttemptID
	Host      string // the NodeManager's
	Port      int32
	Submitter string // the application's user
	KeyID     int32  // -1 unknown
}

// ContainerIdentifier is what the identifier of a KindContainer token says, as
// far as a client needs it.
type ContainerIdentifier struct {
	Attempt      AttemptID
	ID           int64     // epoch<<40 | sequence number
	Node         string    // "host:port" of the NodeManager
	Submitter    string    // the application's user
	Expiry       time.Time // the container must be started before
	Memory       int64     // MiB
	VirtualCores int32
	RMIdentifier int64 // which start of the ResourceManager allocated it
	Created      time.Time
}

// DecodeAMRMIdentifier decodes the identifier of a KindAMRM token.
func DecodeAMRMIdentifier(b []byte) (AMRMIdentifier, error) {
	id := AMRMIdentifier{KeyID: -1}
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			return id.Attempt.decode(f)
		case 2:
			id.KeyID = int32(f.varint)
		}
		return nil
	})
	return id, wrapIdentifier(KindAMRM, err)
}

// DecodeNMIdentifier decodes the identifier of a KindNM token.
func DecodeNMIdentifier(b []byte) (NMIdentifier, error) {
	id := NMIdentifier{KeyID: -1}
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			return id.Attempt.decode(f)
		case 2:
			return f.message(func(f field) error {
				switch f.number {
				case 1:
					id.Host = string(f.bytes)
				case 2:
					id.Port = int32(f.varint)
				}
				return nil
			})
		case 3:
			id.Submitter = string(f.bytes)
		case 4:
			id.KeyID = int32(f.varint)
		}
		return nil
	})
	return id, wrapIdentifier(KindNM, err)
}

// DecodeContainerIdentifier decodes the identifier of a KindContainer token.
func DecodeContainerIdentifier(b []byte) (ContainerIdentifier, error) {
	var id ContainerIdentifier
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			return f.message(func(f field) error {
				switch f.number {
				case 2:
					return id.Attempt.decode(f)
				case 3:
					id.ID = int64(f.varint)
				}
				return nil
			})
		case 2:
			id.Node = string(f.bytes)
		case 3:
			id.Submitter = string(f.bytes)
		case 4:
			return f.message(func(f field) error {
				switch f.number {
				case 1:
					id.Memory = int64(f.varint)
				case 2:
					id.VirtualCores = int32(f.varint)
				}
				return nil
			})
		case 5:
			id.Expiry = time.UnixMilli(int64(f.varint))
		case 7:
			id.RMIdentifier = int64(f.varint)
		case 9:
			id.Created = time.UnixMilli(int64(f.varint))
		}
		return nil
	})
	return id, wrapIdentifier(KindContainer, err)
}

func (a *AttemptID) decode(f field) error {
	return f.message(func(f field) error {
		switch f.number {
		case 1:
			return f.message(func(f field) error {
				switch f.number {
				case 1:
					a.Application = int32(f.varint)
				case 2:
					a.ClusterTimestamp = int64(f.varint)
				}
				return nil
			})
		case 2:
			a.Attempt = int32(f.varint)
		}
		return nil
	})
}

func wrapIdentifier(kind string, err error) error {
	if err != nil {
		return fmt.Errorf("decode the identifier of a token of kind %s: %w", kind, err)
	}
	return nil
}

// A field is one field of a protobuf message. Of the few that matter here a
// hand-written walk is less than generated code for YARN's records would be,
// which this package must not depend on.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

func (f field) message(each func(field) error) error {
	if f.kind != protowire.BytesType {
		return fmt.Errorf("field %d is no message", f.number)
	}
	return fields(f.bytes, each)
}

func fields(b []byte, each func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		f := field{number: number, kind: kind}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.StartGroupType, protowire.EndGroupType:
			return errors.New("groups are not used")
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}
