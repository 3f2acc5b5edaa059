package plan

import (
	"cmp"
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

// SideTopics remarks on side inputs whose messages Kafka drops by age: a store that
// is filled anew, on another host or in another container, lacks what the others
// still have. A function may want just that, so it is no error.
func SideTopics(c config.Config, f Facts) ([]config.Warning, error) {
	stores, err := config.Stores(c)
	if err != nil {
		return nil, err
	}
	var out []config.Warning
	for _, st := range stores {
		for _, s := range st.SideInputs {
			facts := f.Systems[s.System]
			info, there := facts.Streams[s.Stream]
			policy := info.Settings["cleanup.policy"]
			switch {
			case !there, facts.Embedded: // to be made as the configuration says; kept for good
			case policy == "compact", policy == "" && info.Settings["retention.ms"] == "-1":
			case policy == "delete" && info.Settings["retention.ms"] == "-1":
			default:
				key := config.StoreSideInputs.Name(st.Name)
				out = append(out, config.Warning{Key: key, Origin: c.Origin(key),
					Text: fmt.Sprintf("the topic %s may drop messages by age (its cleanup.policy is %s), so that a store that is filled anew would lack what was written longer ago; for a table set cleanup.policy=compact on the topic", s, cmp.Or(policy, "not set"))})
			}
		}
	}
	return out, nil
}
