package kafka

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"heddle/config"
)

// settingReader reads a side's settings, keeps the first error and remembers
// what was asked for.
type settingReader struct {
	c      config.Config
	system string
	side   side
	seen   map[string]bool
	err    error
}

func (r *settingReader) key(name string) string { return settingKey(r.system, r.side, name) }

func (r *settingReader) text(name string) (string, bool) {
	r.seen[name] = true
	v, ok := r.c.Get(r.key(name))
	return strings.TrimSpace(v), ok
}

func (r *settingReader) number(name string, lowest, highest int64) (int64, bool) {
	v, ok := r.text(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < lowest || n > highest {
		r.fail(name, "%q is not valid: expected a whole number from %d to %d", v, lowest, highest)
		return 0, false
	}
	return n, true
}

// millis reads a duration; what lies below lowest is raised to it.
func (r *settingReader) millis(name string, lowest time.Duration) (time.Duration, bool) {
	n, ok := r.number(name, 0, math.MaxInt64)
	if !ok {
		return 0, false
	}
	// Java files have Long.MAX_VALUE for "never"; a year is as good.
	return max(time.Duration(min(n, 365*24*3600*1000))*time.Millisecond, lowest), true
}

func (r *settingReader) oneOf(name string, choices ...string) (string, bool) {
	v, ok := r.text(name)
	if !ok {
		return "", false
	}
	v = strings.ToLower(v)
	if !slices.Contains(choices, v) {
		r.fail(name, "%q is not valid: expected one of %s", v, strings.Join(choices, ", "))
		return "", false
	}
	return v, true
}

func (r *settingReader) fail(name, format string, args ...any) {
	if r.err == nil {
		key := r.key(name)
		r.err = &config.Error{Key: key, Origin: r.c.Origin(key), Problem: fmt.Sprintf(format, args...)}
	}
}

// leftOver is the one warning about settings that nobody reads; empty if there
// are none.
func (r *settingReader) leftOver() string {
	var unknown, meaningless []string
	for _, name := range r.c.Subset(r.key(""), true).Keys() {
		switch {
		case r.seen[name], slices.Contains(readElsewhere, name), isSecuritySetting(name):
		case strings.HasPrefix(name, "zookeeper."), strings.HasSuffix(name, ".deserializer"), strings.HasSuffix(name, ".serializer"):
			// The configuration declares these as ignored, and its check has warned.
		case r.side == producerSide && (name == "metadata.broker.list" || name == "producer.type"):
			// So are these.
		case slices.Contains(withoutMeaning, name):
			meaningless = append(meaningless, name)
		default:
			unknown = append(unknown, name)
		}
	}
	var parts []string
	if len(meaningless) > 0 {
		parts = append(parts, "without a meaning here: "+strings.Join(meaningless, ", "))
	}
	if len(unknown) > 0 {
		parts = append(parts, "unknown: "+strings.Join(unknown, ", "))
	}
	if len(parts) == 0 {
		return ""
	}
	return r.key("*") + ": settings are passed over; " + strings.Join(parts, "; ")
}
