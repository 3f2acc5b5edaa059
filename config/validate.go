package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ValidateKeys checks each key by itself: types, unknown keys, old spellings,
// keys without meaning here, values that are not supported yet. It asks for no
// key to be there, so that commands which need only a system can use it.
func ValidateKeys(c Config) ([]Warning, error) {
	v := validator{c: c, yarn: onYARN(c)}
	v.keys()
	return v.warnings, errors.Join(v.errs...)
}

// Validate checks a job's configuration as far as it can be known without a
// service: everything of ValidateKeys; required keys; systems, serdes, stores
// and streams that fit together. All faults are reported at once, as *Error
// joined.
func Validate(c Config) ([]Warning, error) {
	v := validator{c: c, yarn: onYARN(c)}
	v.keys()
	v.job()
	return v.warnings, errors.Join(v.errs...)
}

type validator struct {
	c        Config
	yarn     bool
	warnings []Warning
	errs     []error
}

// fail keeps an error, once: the same fault may be found by a key and by what
// uses it.
func (v *validator) fail(err error) {
	if err == nil || slices.ContainsFunc(v.errs, func(e error) bool { return e.Error() == err.Error() }) {
		return
	}
	v.errs = append(v.errs, err)
}

func (v *validator) warn(key, format string, args ...any) {
	v.warnings = append(v.warnings, Warning{Key: key, Origin: v.c.Origin(key), Text: fmt.Sprintf(format, args...)})
}

func (v *validator) job() {
	_, err := Factory(v.c)
	v.fail(err)
	v.required(JobName.d, "a name for the job, such as job.name=clicks")
	v.topicName(JobName)
	v.topicName(JobID)
	v.required(TaskClass.d, "the name under which the program registered its task")
	if !TaskBroadcastInputs.IsSet(v.c) {
		v.required(TaskInputs.d, "the streams to read, such as task.inputs=kafka.clicks")
	}
	v.systems()
	v.streams()
	v.stores()
	v.sideInputs()
	v.checkpoints()
	v.guarantee()
	v.rewriters()
	v.reporters()
	v.preloads()
	_, err = ContainerCount(v.c)
	v.fail(err)
}

func (v *validator) required(d *Decl, what string) {
	if _, value, ok := d.lookup(v.c, nil); ok && strings.Trim(value, " ,\t") != "" {
		return
	}
	key := d.Name
	// A misspelt key is the likeliest reason for a missing one.
	for _, k := range v.c.Keys() {
		if known, _ := match(k); known == nil && nearestKey(k) == key {
			what = fmt.Sprintf("%s: %s is set, was it meant?", what, k)
		}
	}
	v.fail(errorAt(v.c, key, "", "not set; expected %s", what))
}

func (v *validator) checkpoints() {
	name, err := TaskCheckpointFactory.Get(v.c)
	v.fail(err)
	switch {
	case err != nil:
	case name == "none":
		v.warn(TaskCheckpointFactory.Name(), "checkpoints are off: after a restart every input starts at its default offset")
	case name == "kafka":
		_, err := CheckpointSystem(v.c)
		v.fail(err)
	}
}

func (v *validator) rewriters() {
	for _, r := range JobConfigRewriters.Of(v.c) {
		if !JobConfigRewriterClass.IsSet(v.c, r) {
			v.fail(errorAt(v.c, JobConfigRewriters.Name(), "", "the rewriter %s has no class; set %s to one of %s",
				quote(r), JobConfigRewriterClass.Name(r), strings.Join(names(KindRewriter), ", ")))
		}
	}
}

func (v *validator) reporters() {
	for _, r := range MetricsReporters.Of(v.c) {
		class, err := MetricsReporterClass.Get(v.c, r)
		v.fail(err)
		switch {
		case err != nil:
		case class == "":
			v.fail(errorAt(v.c, MetricsReporters.Name(), "", "the reporter %s has no class; set %s to one of %s",
				quote(r), MetricsReporterClass.Name(r), strings.Join(names(KindReporter), ", ")))
		case class == "jmx":
			v.warn(MetricsReporterClass.Name(r), "there is no JMX; the application master serves Prometheus text at /metrics")
		case class == "snapshot":
			_, err := resolveStream(v.c, MetricsReporterStream.Name(r), MetricsReporterStream.Of(v.c, r))
			v.fail(err)
		}
	}
}
