// Package metrics counts and measures, under the groups and names that Samza
// uses, and shows the result: as Samza's snapshot messages for a stream, and as
// Prometheus text.
//
// A Registry belongs to one source (a task, a container, the application
// master). Its groups are Samza's Java class names, so that dashboards keep
// working; the names under which Prometheus sees them are made by the rules at
// WritePrometheus.
//
// The package sends nothing by itself: a Reporter is given a function that
// does.
package metrics
