package plan

import (
	"fmt"
	"slices"
	"strings"

	"heddle/config"
)

// Task checks that the program has the job's task.
func Task(c config.Config, program string, registered []string) error {
	name := config.TaskClass.Of(c)
	if slices.Contains(registered, name) {
		return nil
	}
	hint := fmt.Sprintf("%s registers %s", program, strings.Join(registered, ", "))
	if len(registered) == 0 {
		hint = program + " registers no task; name the program with yours in heddle.task.program"
	}
	key := config.TaskClass.Found(c)
	return &config.Error{Key: key, Origin: c.Origin(key), Problem: fmt.Sprintf("no task is registered as %q", name), Hint: hint}
}
