package config

import "slices"

// sideInputs reads what a store is filled from.
func sideInputs(c Config, s *StoreConfig) error {
	entries, err := StoreSideInputs.Get(c, s.Name)
	if err != nil {
		return err
	}
	if s.SideProcessor, err = StoreSideInputsProcessor.Get(c, s.Name); err != nil {
		return err
	}
	if s.Shared, err = StoreShared.Get(c, s.Name); err != nil {
		return err
	}
	key := StoreSideInputs.Name(s.Name)
	for _, e := range entries {
		stream, err := resolveStream(c, key, e)
		if err != nil {
			return err
		}
		if !slices.Contains(s.SideInputs, stream) {
			s.SideInputs = append(s.SideInputs, stream)
		}
	}
	switch {
	case len(s.SideInputs) > 0 && s.Logged():
		return errorAt(c, StoreChangelog.Name(s.Name), "remove the changelog, or the side inputs",
			"the store has side inputs (%s), which it is read from again; a changelog of it would say the same twice", key)
	case len(s.SideInputs) > 0:
	case s.SideProcessor != "":
		return errorAt(c, StoreSideInputsProcessor.Name(s.Name), "set "+key+" to the streams that it reads", "the store has no side inputs")
	case s.Shared:
		return errorAt(c, StoreShared.Name(s.Name), "set "+key+" to the streams that fill it", "the store has no side inputs, and a store that tasks write belongs to one task")
	}
	return nil
}

// SideInputs returns the streams that the job's stores are filled from, each
// once. A task that has a partition of one of them reads it for its stores, and
// does not process it (as in Samza), also if task.inputs names it. grouped are
// those whose partitions are dealt out to tasks: all but those of shared stores
// alone.
func SideInputs(c Config) (all, grouped []SystemStream, err error) {
	stores, err := Stores(c)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range stores {
		for _, in := range s.SideInputs {
			if !slices.Contains(all, in) {
				all = append(all, in)
			}
			if !s.Shared && !slices.Contains(grouped, in) {
				grouped = append(grouped, in)
			}
		}
	}
	return all, grouped, nil
}
