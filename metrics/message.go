package metrics

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Header says where a snapshot comes from (Samza: MetricsHeader).
type Header struct {
	JobName, JobID string
	// ContainerName is "samza-container-0" or "ApplicationMaster".
	ContainerName string
	// ExecEnvContainerID is YARN's id of the container; "" outside of YARN.
	ExecEnvContainerID string
	// EpochID is Samza's samza-epoch-id, mostly "".
	EpochID string
	// Version is that of the task's code; SamzaVersion that of what runs it.
	Version, SamzaVersion string
	Host                  string
	// Time is that of the snapshot, ResetTime the start of the counting.
	Time, ResetTime time.Time
}

// Format is a form of snapshot messages.
type Format int

const (
	// V1 is that of Samza's MetricsSnapshotSerdeFactory:
	// {"header":{...},"metrics":{group:{name:value}}}.
	V1 Format = iota
	// V2 is that of MetricsSnapshotSerdeV2Factory, which Samza uses where a
	// stream has no serde: the same with Java's class names before maps and
	// longs, ["java.util.HashMap",{...}].
	V2
)

// AppendMessage writes a snapshot as Samza does. Counters are integers, timers
// the average in ns and never integers, texts are strings; a gauge without a
// fraction is an integer.
func AppendMessage(dst []byte, f Format, h Header, s Snapshot) []byte {
	text := func(name, value string) {
		dst = append(quote(append(quote(dst, name), ':'), value), ',')
	}
	moment := func(name string, t time.Time) {
		dst = append(f.appendLong(append(quote(dst, name), ':'), t.UnixMilli()), ',')
	}
	dst = f.open(append(dst, `{"header":`...))
	text("job-id", h.JobID)
	text("exec-env-container-id", h.ExecEnvContainerID)
	text("samza-version", h.SamzaVersion)
	text("job-name", h.JobName)
	text("samza-epoch-id", h.EpochID)
	text("host", h.Host)
	moment("reset-time", h.ResetTime)
	text("container-name", h.ContainerName)
	text("source", s.Source)
	moment("time", h.Time)
	text("version", h.Version)
	dst = f.shut(dst[:len(dst)-1])
	dst = f.open(append(dst, `,"metrics":`...))
	for i, g := range s.Groups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.open(append(quote(dst, g.Name), ':'))
		for j, m := range g.Metrics {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = f.appendValue(append(quote(dst, m.Name), ':'), m.Value)
		}
		dst = f.shut(dst)
	}
	return append(f.shut(dst), '}')
}

// open begins a map.
func (f Format) open(dst []byte) []byte {
	if f == V2 {
		dst = append(dst, `["java.util.HashMap",`...)
	}
	return append(dst, '{')
}

// shut ends a map.
func (f Format) shut(dst []byte) []byte {
	dst = append(dst, '}')
	if f == V2 {
		dst = append(dst, ']')
	}
	return dst
}

func (f Format) appendLong(dst []byte, n int64) []byte {
	if f == V2 {
		return append(strconv.AppendInt(append(dst, `["java.lang.Long",`...), n, 10), ']')
	}
	return strconv.AppendInt(dst, n, 10)
}

func (f Format) appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return f.appendLong(dst, v)
	case float64:
		return appendFloat(dst, v, false)
	case Timing:
		return appendFloat(dst, float64(v.Average), true)
	case string:
		return quote(dst, v)
	}
	return append(dst, "null"...)
}

// appendFloat writes a number in JSON; point asks for a fraction even where
// there is none, as Java writes doubles. What JSON cannot hold is text, as
// Jackson does it.
func appendFloat(dst []byte, v float64, point bool) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 0):
		return append(dst, `"`+strings.Replace(strconv.FormatFloat(v, 'g', -1, 64), "Inf", "Infinity", 1)+`"`...)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		dst = strconv.AppendInt(dst, int64(v), 10)
		if point {
			dst = append(dst, '.', '0')
		}
		return dst
	}
	format := byte('f')
	if a := math.Abs(v); a < 1e-6 || a >= 1e21 {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}

func quote(dst []byte, s string) []byte {
	q, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		// Only for bytes that are no UTF-8.
		q, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD")) // cannot fail now
	}
	return q
}
