package hadoopconf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String returns the key's value without the blanks around it, def where it has
// none (Hadoop's getTrimmed).
func (c *Conf) String(key, def string) string {
	v, ok := c.Get(key)
	if !ok {
		return def
	}
	return strings.TrimSpace(v)
}

// Strings returns the parts of a comma-separated value, without blanks and
// empty parts (Hadoop's getTrimmedStringCollection).
func (c *Conf) Strings(key string) []string {
	v, _ := c.Get(key)
	var parts []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// Int returns the key's value as a whole number (decimal, or hexadecimal with
// 0x), def where it has none or an empty one.
func (c *Conf) Int(key string, def int) (int, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	n, err := parseInt(v)
	if err != nil || int64(int(n)) != n {
		return def, c.malformed(key, v, "a whole number")
	}
	return int(n), nil
}

// Bool returns the key's value, true or false in any case, def where it has
// none or an empty one. (Hadoop silently takes the default for anything else;
// here that is an error.)
func (c *Conf) Bool(key string, def bool) (bool, error) {
	switch v := c.String(key, ""); strings.ToLower(v) {
	case "":
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return def, c.malformed(key, v, "true or false")
	}
}

// Duration returns the key's value as a duration: a whole number with ns, us,
// ms, s, m, h or d after it, or a bare one in the unit that the key's name ends
// in (secs, hours, ...; milliseconds otherwise). def where it has none or an
// empty one. -1, which in many keys means "for ever", is a negative duration.
func (c *Conf) Duration(key string, def time.Duration) (time.Duration, error) {
	return c.DurationIn(key, unitOf(key), def)
}

// DurationIn is Duration with the unit of a bare number given.
func (c *Conf) DurationIn(key string, unit, def time.Duration) (time.Duration, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	digits := v
	for _, s := range durationSuffixes {
		if d, ok := strings.CutSuffix(strings.ToLower(v), s.suffix); ok {
			digits, unit = strings.TrimSpace(d), s.unit
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return def, c.malformed(key, v, "a duration such as 500ms, 10s or 2h")
	}
	if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return def, c.malformed(key, v, "a duration of at most 292 years")
	}
	return time.Duration(n) * unit, nil
}

// Longer suffixes come before those that they end in.
var durationSuffixes = []struct {
	suffix string
	unit   time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

func unitOf(key string) time.Duration {
	last := key[strings.LastIndexAny(key, ".-")+1:]
	switch last {
	case "secs", "sec", "seconds", "s":
		return time.Second
	case "mins", "minutes":
		return time.Minute
	case "hours":
		return time.Hour
	case "days":
		return 24 * time.Hour
	}
	return time.Millisecond
}

// Size returns the key's value in bytes: a whole number, with k, m, g, t, p or
// e after it for powers of 1024; def where it has none or an empty one.
func (c *Conf) Size(key string, def int64) (int64, error) {
	v := c.String(key, "")
	if v == "" {
		return def, nil
	}
	digits, shift := v, 0
	if i := strings.IndexByte("kmgtpe", v[len(v)-1]|0x20); i >= 0 && !strings.HasPrefix(v, "0x") {
		digits, shift = v[:len(v)-1], 10*(i+1)
	}
	n, err := parseInt(strings.TrimSpace(digits))
	if err != nil {
		return def, c.malformed(key, v, "a size in bytes such as 4096 or 64m")
	}
	if n > math.MaxInt64>>shift || n < math.MinInt64>>shift {
		return def, c.malformed(key, v, "a size of less than 8 exbibytes")
	}
	return n << shift, nil
}

// parseInt reads a decimal or, with 0x, hexadecimal number. Unlike Go's base 0
// it takes 010 for ten.
func parseInt(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 63) // takes no sign
		if negative {
			return -int64(n), err
		}
		return int64(n), err
	}
	return strconv.ParseInt(s, 10, 64)
}

func (c *Conf) malformed(key, value, want string) error {
	return fmt.Errorf("%s: %q is not %s", c.where(key), value, want)
}
