// Package config holds a job's configuration: properties files as Java reads
// them, the layers they are merged from, every key declared once with its
// type, default, unit and meaning, and the rules by which keys are resolved
// for a system, a stream or a store.
//
// The keys are Samza's, in their old (0.13) and new spellings, and keys of our
// own below "heddle.". Samza's class names are names for what we have in their
// place; Canonical translates them in both directions.
//
// A program loads with Load, checks with Validate and then reads single keys
// through their declarations:
//
//	c, warnings, err := config.Load(ctx, config.LoadOptions{Paths: paths, Overrides: kv})
//	...
//	more, err := config.Validate(c)
//	...
//	every := config.TaskWindow.Of(c)
//
// What the package is not: it opens no connection but to fetch a properties
// file by HTTP, it knows no Kafka client and no cluster, and it does not check
// what only a running service can tell (whether a topic exists, how much
// memory a cluster gives).
package config
