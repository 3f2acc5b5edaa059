package plan

import (
	"errors"
	"slices"

	"heddle/config"
	"heddle/storage/engine"
)

// Engines checks that the program holds the engine of each of the job's stores;
// held is nil if the program does not say.
func Engines(c config.Config, held []string) error {
	if held == nil {
		return nil
	}
	stores, err := config.Stores(c)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range stores {
		if slices.Contains(held, s.Engine) {
			continue
		}
		key := "stores." + s.Name + ".factory"
		errs = append(errs, &config.Error{Key: key, Origin: c.Origin(key), Problem: engine.Missing(s.Engine).Error(),
			Hint: "or name the engine memory, whose state has to fit into the container's memory"})
	}
	return errors.Join(errs...)
}
