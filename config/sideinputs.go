package config

import (
	"fmt"
	"slices"
	"strings"
)

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

// sideInputs looks at inputs that fill a store, and so are not processed. Samza's
// high-level API writes them into task.inputs; whoever writes the file by hand may
// expect both.
func (v *validator) sideInputs() {
	inputs, err := Inputs(v.c)
	if err != nil {
		return // told already, as is what follows
	}
	broadcast, err := BroadcastStreams(v.c)
	if err != nil {
		return
	}
	all, grouped, err := SideInputs(v.c)
	if err != nil {
		return
	}
	key := TaskInputs.Name()
	var both []string
	for _, s := range inputs {
		switch {
		case !slices.Contains(all, s):
		case !slices.Contains(grouped, s):
			v.fail(errorAt(v.c, key, "remove it here, or the store's heddle.stores.*.shared and side.inputs",
				"%s fills a shared store (%s), so that it would not be processed", s, strings.Join(filledBy(v.c, s), ", ")))
			return
		default:
			both = append(both, fmt.Sprintf("%s (%s)", s, strings.Join(filledBy(v.c, s), ", ")))
		}
	}
	processed := func(s SystemStream) bool { return !slices.Contains(all, s) }
	switch {
	case len(both) == 0:
	case !slices.ContainsFunc(inputs, processed) && !slices.ContainsFunc(broadcast, processed):
		v.fail(errorAt(v.c, key, "add a stream to process", "each of them fills a store: %s; no message would be processed", strings.Join(both, ", ")))
	default:
		v.warn(key, "not processed, since they fill stores (stores.*.side.inputs): %s", strings.Join(both, ", "))
	}
}

// filledBy are the stores that a stream fills.
func filledBy(c Config, s SystemStream) []string {
	stores, _ := Stores(c) // read without an error before
	var out []string
	for _, st := range stores {
		if slices.Contains(st.SideInputs, s) {
			out = append(out, st.Name)
		}
	}
	return out
}
