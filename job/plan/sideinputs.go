package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"heddle/config"
)

// SideInputs checks that the program holds the functions that the job's stores
// name; held is nil if the program does not say.
func SideInputs(c config.Config, held []string) error {
	if held == nil {
		return nil
	}
	stores, err := config.Stores(c)
	if err != nil {
		return err
	}
	there := "the program holds none"
	if len(held) > 0 {
		there = "there are " + strings.Join(held, ", ")
	}
	var errs []error
	for _, s := range stores {
		if s.SideProcessor == "" || slices.Contains(held, s.SideProcessor) {
			continue
		}
		key := config.StoreSideInputsProcessor.Name(s.Name)
		errs = append(errs, &config.Error{Key: key, Origin: c.Origin(key),
			Problem: fmt.Sprintf("%q is not registered in the program; %s", s.SideProcessor, there),
			Hint:    fmt.Sprintf("give container.Main the option container.WithSideInput(%q, ...), or remove the key: a message's key and value are the entry then", s.SideProcessor)})
	}
	return errors.Join(errs...)
}
