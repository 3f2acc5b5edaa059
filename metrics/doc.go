// Package metrics counts and measures, under the groups and names that Samza
// uses, and shows the result as Samza's snapshot messages for a stream.
//
// A Registry belongs to one source (a task, a container, the application
// master). Its groups are Samza's Java class names, so that dashboards keep
// working.
//
// The package sends nothing by itself: a Reporter is given a function that
// does. Prometheus's text is made by package coordinator, of what containers
// report.
package metrics
