package config

import "time"

const sectionMetrics = "Metrics"

// Keys of the metrics.
var (
	MetricsReporters = declare(sectionMetrics, "metrics.reporters", list, nil, spec{
		doc: "Names of the reporters.",
	})
	MetricsReporterClass = declare(sectionMetrics, "metrics.reporter.<reporter>.class", named(KindReporter), "", spec{
		doc:  "What the reporter is: `snapshot` writes to a stream, `log` to the log. (JMX is not there; Prometheus always is.)",
		kind: KindReporter,
	})
	MetricsReporterStream = declare(sectionMetrics, "metrics.reporter.<reporter>.stream", word, "", spec{
		doc: "Stream of a snapshot reporter, as system.stream.",
	})
	MetricsReporterInterval = declare(sectionMetrics, "metrics.reporter.<reporter>.interval", positive(seconds), time.Minute, spec{
		doc: "Time between two reports, in seconds.",
	})
	MetricsReporterBlacklist = declare(sectionMetrics, "metrics.reporter.<reporter>.blacklist", regex, "", spec{
		doc: "Regular expression on `group.name` of metrics that are left out.",
	})
	MetricsTimer = declare(sectionMetrics, "metrics.timer.enabled", boolean, true, spec{
		doc: "Times are measured; otherwise all timers are 0.",
	})
	MetricsTimerDebug = declare(sectionMetrics, "metrics.timer.debug.enabled", boolean, false, spec{
		doc: "Further timers.", status: NoEffectYet,
	})
)
