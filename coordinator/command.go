package coordinator

// Commands that a container knows. Others may come from a newer coordinator and
// are to be ignored with a warning.
const (
	// CommandStop asks for a graceful stop of the container.
	CommandStop = "stop"
	// CommandPause and CommandResume hold and continue the fetching of inputs.
	CommandPause  = "pause"
	CommandResume = "resume"
	// CommandCommit asks all tasks for a commit.
	CommandCommit = "commit"
	// CommandQuery asks about the state of a task (QuestionOf).
	CommandQuery = "query"
)

// Command is one thing that a container is told.
type Command struct {
	// Seq numbers the commands of one container; they rise but need not be
	// dense.
	Seq  int64  `json:"seq"`
	Type string `json:"type"`
	// Args depend on the type; a stop has "reason".
	Args map[string]string `json:"args,omitzero"`
}
