package coordinator

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// encode writes an answer of the server: members of maps in order, text that is
// no UTF-8 made so.
func encode(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

// decode reads what a container or a person sent. Unknown members are ignored:
// they may come from a newer version.
func decode(b []byte, v any) error { return json.Unmarshal(b, v, tolerant) }

// maxTasks bounds the tasks of a report.
const maxTasks = 100_000

// DecodeReport reads a container's report as it is posted.
func DecodeReport(b []byte) (Report, error) {
	var r Report
	if err := decode(b, &r); err != nil {
		return Report{}, fmt.Errorf("the report is no JSON object as expected: %w", err)
	}
	switch r.State {
	case ContainerStarting, ContainerRestoring, ContainerRunning, ContainerPaused, ContainerStopping, ContainerStopped, ContainerFailed:
	default:
		return Report{}, fmt.Errorf("the report's state is %.40q, which is none that a container has", r.State)
	}
	if r.ExecutionID == "" {
		return Report{}, errors.New("the report has no executionContainerId")
	}
	if len(r.Tasks) > maxTasks {
		return Report{}, fmt.Errorf("the report has %d tasks, more than %d", len(r.Tasks), maxTasks)
	}
	return r, nil
}
