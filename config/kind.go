package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// kind is a type of values: how they are read, and how a default is written.
type kind[T any] struct {
	name   string
	parse  func(string) (T, error)
	format func(T) string
}

var text = kind[string]{
	name:   "text",
	parse:  func(s string) (string, error) { return s, nil },
	format: func(s string) string { return s },
}

// word is text that never has white space around it: Java keeps the blanks at
// the end of a line, and nobody means them in a name or a path.
var word = kind[string]{
	name:   "text",
	parse:  func(s string) (string, error) { return strings.TrimSpace(s), nil },
	format: func(s string) string { return s },
}

var boolean = kind[bool]{
	name: "true or false",
	parse: func(s string) (bool, error) {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errors.New("expected true or false")
	},
	format: strconv.FormatBool,
}

var list = kind[[]string]{
	name: "comma-separated list",
	parse: func(s string) ([]string, error) {
		var out []string
		for e := range strings.SplitSeq(s, ",") {
			if e = strings.TrimSpace(e); e != "" {
				out = append(out, e)
			}
		}
		return out, nil
	},
	format: func(l []string) string { return strings.Join(l, ",") },
}

func wholeNumber(name, expected string, minimum, maximum int64) kind[int64] {
	return kind[int64]{
		name: name,
		parse: func(s string) (int64, error) {
			s = strings.TrimSpace(s)
			n, err := strconv.ParseInt(s, 10, 64)
			switch {
			case errors.Is(err, strconv.ErrRange):
				return 0, fmt.Errorf("%s does not fit in 64 bits", s)
			case err != nil:
				return 0, errors.New("expected " + expected)
			case n < minimum:
				return 0, fmt.Errorf("expected %s, at least %d", expected, minimum)
			case n > maximum:
				return 0, fmt.Errorf("expected %s, at most %d", expected, maximum)
			}
			return n, nil
		},
		format: func(n int64) string { return strconv.FormatInt(n, 10) },
	}
}

// integer is a whole number from minimum on, that fits in Java's int.
func integer(minimum int64) kind[int] {
	w := wholeNumber("integer", "a whole number", minimum, math.MaxInt32)
	return kind[int]{
		name:   w.name,
		parse:  func(s string) (int, error) { n, err := w.parse(s); return int(n), err },
		format: strconv.Itoa,
	}
}

// byteCount is a number of bytes.
func byteCount(minimum int64) kind[int64] {
	return wholeNumber("bytes", "a number of bytes without a unit, such as 1048576", minimum, math.MaxInt64)
}

// duration is a whole number of units. What is beyond a Duration's range (Java
// files have Long.MAX_VALUE for "never") is the longest Duration.
func duration(unit time.Duration, name, example string) kind[time.Duration] {
	w := wholeNumber(name, "a number of "+name+" without a unit, such as "+example, math.MinInt64, math.MaxInt64)
	return kind[time.Duration]{
		name: name,
		parse: func(s string) (time.Duration, error) {
			n, err := w.parse(s)
			switch {
			case err != nil:
				return 0, err
			case n > math.MaxInt64/int64(unit):
				return math.MaxInt64, nil
			case n < math.MinInt64/int64(unit):
				return math.MinInt64, nil
			}
			return time.Duration(n) * unit, nil
		},
		format: func(d time.Duration) string { return strconv.FormatInt(int64(d/unit), 10) },
	}
}

var (
	millis  = duration(time.Millisecond, "milliseconds", "60000")
	seconds = duration(time.Second, "seconds", "60")
)

// positive is a duration above zero.
func positive(k kind[time.Duration]) kind[time.Duration] {
	parse := k.parse
	k.parse = func(s string) (time.Duration, error) {
		d, err := parse(s)
		if err == nil && d <= 0 {
			return 0, fmt.Errorf("expected more than 0 %s", k.name)
		}
		return d, err
	}
	return k
}

func fraction(minimum, maximum float64) kind[float64] {
	return kind[float64]{
		name: "number",
		parse: func(s string) (float64, error) {
			f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil || !(f >= minimum && f <= maximum) {
				return 0, fmt.Errorf("expected a number from %v to %v", minimum, maximum)
			}
			return f, nil
		},
		format: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) },
	}
}

// oneOf is a word of a fixed set, in any case.
func oneOf(words ...string) kind[string] {
	return kind[string]{
		name: strings.Join(words, " or "),
		parse: func(s string) (string, error) {
			s = strings.ToLower(strings.TrimSpace(s))
			for _, w := range words {
				if s == w {
					return w, nil
				}
			}
			return "", fmt.Errorf("expected %s%s", strings.Join(words, " or "), didYouMean(s, words))
		},
		format: func(s string) string { return s },
	}
}

// named is the name of a thing of ours or of its Samza class; the value is our
// name.
func named(k Kind) kind[string] {
	return kind[string]{
		name: string(k),
		parse: func(s string) (string, error) {
			a, err := Canonical(k, s)
			return a.Name, err
		},
		format: func(s string) string { return s },
	}
}

// quote shows a value in a message: quoted, and cut when it is long.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "..."
	}
	return strconv.Quote(s)
}

// snapshotURI names a folder of a file system that Heddle can write to.
var snapshotURI = kind[string]{
	name: "URI",
	parse: func(s string) (string, error) {
		s = strings.TrimSpace(s)
		u, err := url.Parse(s)
		switch {
		case s == "":
			return "", nil
		case err != nil:
			return "", errors.New("expected hdfs://host:port/path, file:///path or /path")
		case !strings.HasPrefix(u.Path, "/"), u.User != nil, u.RawQuery != "", u.Fragment != "":
		case u.Scheme == "hdfs", u.Scheme == "file" && u.Host == "", u.Scheme == "" && u.Host == "":
			return s, nil
		}
		return "", errors.New("expected hdfs://host:port/path, file:///path or /path")
	},
	format: func(s string) string { return s },
}
