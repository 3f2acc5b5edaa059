package yarn

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// ApplicationID names one application of a cluster. Its text form is Java's:
// application_<cluster timestamp>_<number, at least four digits>.
type ApplicationID struct {
	// ClusterTimestamp is the start time of the ResourceManager that gave the id, in milliseconds since 1970.
	ClusterTimestamp int64
	// Number counts the applications since then, from 1.
	Number int32
}

// AttemptID names one run of an application's master. Its text form is
// appattempt_<cluster timestamp>_<number, four digits>_<attempt, six digits>.
type AttemptID struct {
	// Application is the application that the attempt belongs to.
	Application ApplicationID
	// Attempt counts the attempts of the application, from 1.
	Attempt int32
}

// ContainerID names one container. Its text form is
// container_[e<epoch>_]<cluster timestamp>_<application, four digits>_<attempt, two digits>_<sequence, six digits>,
// where the epoch (the number of times the ResourceManager restarted) is written only above zero.
type ContainerID struct {
	// Attempt is the application attempt for which the container was allocated.
	Attempt AttemptID
	// ID is the number on the wire: epoch<<40 | sequence.
	ID int64
}

const (
	applicationPrefix = "application"
	attemptPrefix     = "appattempt"
	containerPrefix   = "container"

	sequenceBits = 40
	sequenceMask = 1<<sequenceBits - 1
	maxEpoch     = 1<<(63-sequenceBits) - 1
)

// NewContainerID puts a container id together from its epoch and its sequence number.
func NewContainerID(attempt AttemptID, epoch, sequence int64) ContainerID {
	return ContainerID{Attempt: attempt, ID: epoch<<sequenceBits | sequence&sequenceMask}
}

// IsZero tells whether id is the zero value, which names nothing.
func (id ApplicationID) IsZero() bool { return id == ApplicationID{} }

// IsZero tells whether id is the zero value, which names nothing.
func (id AttemptID) IsZero() bool { return id == AttemptID{} }

// IsZero tells whether id is the zero value, which names nothing.
func (id ContainerID) IsZero() bool { return id == ContainerID{} }

// Compare orders ids by cluster timestamp, then number: the later application is the greater one.
func (id ApplicationID) Compare(other ApplicationID) int {
	return cmp.Or(cmp.Compare(id.ClusterTimestamp, other.ClusterTimestamp), cmp.Compare(id.Number, other.Number))
}

// Compare orders ids by application, then attempt.
func (id AttemptID) Compare(other AttemptID) int {
	return cmp.Or(id.Application.Compare(other.Application), cmp.Compare(id.Attempt, other.Attempt))
}

// Compare orders ids by attempt, then epoch and sequence.
func (id ContainerID) Compare(other ContainerID) int {
	return cmp.Or(id.Attempt.Compare(other.Attempt), cmp.Compare(id.ID, other.ID))
}

// Epoch is the number of restarts of the ResourceManager before it allocated the container.
func (id ContainerID) Epoch() int64 { return id.ID >> sequenceBits }

// Sequence is the number of the container within its attempt and epoch, from 1; the master's own is 1.
func (id ContainerID) Sequence() int64 { return id.ID & sequenceMask }

// String gives application_<cluster timestamp>_<number>.
func (id ApplicationID) String() string {
	return fmt.Sprintf("%s_%d_%04d", applicationPrefix, id.ClusterTimestamp, id.Number)
}

// String gives appattempt_<cluster timestamp>_<number>_<attempt>.
func (id AttemptID) String() string {
	return fmt.Sprintf("%s_%d_%04d_%06d", attemptPrefix, id.Application.ClusterTimestamp, id.Application.Number, id.Attempt)
}

// String gives container_[e<epoch>_]<cluster timestamp>_<number>_<attempt>_<sequence>.
func (id ContainerID) String() string {
	epoch := ""
	if id.Epoch() > 0 {
		epoch = fmt.Sprintf("e%02d_", id.Epoch())
	}
	return fmt.Sprintf("%s_%s%d_%04d_%02d_%06d", containerPrefix, epoch,
		id.Attempt.Application.ClusterTimestamp, id.Attempt.Application.Number, id.Attempt.Attempt, id.Sequence())
}

// ParseApplicationID reads the text form of an application id.
func ParseApplicationID(s string) (ApplicationID, error) {
	parts := strings.Split(s, "_")
	if parts[0] != applicationPrefix || len(parts) != 3 {
		return ApplicationID{}, badID(s, "application id", "application_1700000000000_0001")
	}
	id, err := parseApplicationParts(parts[1], parts[2])
	if err != nil {
		return ApplicationID{}, badID(s, "application id", "application_1700000000000_0001")
	}
	return id, nil
}

// ParseAttemptID reads the text form of an application attempt id.
func ParseAttemptID(s string) (AttemptID, error) {
	const example = "appattempt_1700000000000_0001_000001"
	parts := strings.Split(s, "_")
	if parts[0] != attemptPrefix || len(parts) != 4 {
		return AttemptID{}, badID(s, "application attempt id", example)
	}
	id, err := parseAttemptParts(parts[1], parts[2], parts[3])
	if err != nil {
		return AttemptID{}, badID(s, "application attempt id", example)
	}
	return id, nil
}

// ParseContainerID reads the text form of a container id, with or without an epoch.
func ParseContainerID(s string) (ContainerID, error) {
	const example = "container_1700000000000_0001_01_000001 or container_e17_1700000000000_0001_01_000001"
	parts := strings.Split(s, "_")
	if parts[0] != containerPrefix || len(parts) < 5 || len(parts) > 6 {
		return ContainerID{}, badID(s, "container id", example)
	}
	var epoch int64
	parts = parts[1:]
	if len(parts) == 5 {
		digits, found := strings.CutPrefix(parts[0], "e")
		n, err := parseNumber(digits, 63)
		if !found || err != nil || n > maxEpoch {
			return ContainerID{}, badID(s, "container id", example)
		}
		epoch, parts = n, parts[1:]
	}
	attempt, err := parseAttemptParts(parts[0], parts[1], parts[2])
	if err != nil {
		return ContainerID{}, badID(s, "container id", example)
	}
	sequence, err := parseNumber(parts[3], 63)
	if err != nil || sequence > sequenceMask {
		return ContainerID{}, badID(s, "container id", example)
	}
	return NewContainerID(attempt, epoch, sequence), nil
}

func parseApplicationParts(timestamp, number string) (ApplicationID, error) {
	ts, err := parseNumber(timestamp, 63)
	if err != nil {
		return ApplicationID{}, err
	}
	n, err := parseNumber(number, 31)
	if err != nil {
		return ApplicationID{}, err
	}
	return ApplicationID{ClusterTimestamp: ts, Number: int32(n)}, nil
}

func parseAttemptParts(timestamp, number, attempt string) (AttemptID, error) {
	app, err := parseApplicationParts(timestamp, number)
	if err != nil {
		return AttemptID{}, err
	}
	n, err := parseNumber(attempt, 31)
	if err != nil {
		return AttemptID{}, err
	}
	return AttemptID{Application: app, Attempt: int32(n)}, nil
}

// parseNumber reads decimal digits only: strconv alone would also take signs.
func parseNumber(s string, bits int) (int64, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	return int64(n), err
}

func badID(s, what, example string) error {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return fmt.Errorf("%q is no %s: expected one like %s", s, what, example)
}

// MarshalText gives the text form, so that ids in JSON are strings.
func (id ApplicationID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText gives the text form, so that ids in JSON are strings.
func (id AttemptID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText gives the text form, so that ids in JSON are strings.
func (id ContainerID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the text form.
func (id *ApplicationID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseApplicationID(string(b))
	return err
}

// UnmarshalText reads the text form.
func (id *AttemptID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseAttemptID(string(b))
	return err
}

// UnmarshalText reads the text form.
func (id *ContainerID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseContainerID(string(b))
	return err
}
