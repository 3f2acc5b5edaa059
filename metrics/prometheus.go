package metrics

import (
	"bufio"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Source is a registry and the labels that tell it from others.
type Source struct {
	*Registry
	Labels []Label
}

// WritePrometheus writes the registries in Prometheus' text format, version
// 0.0.4.
//
// The names follow from Samza's: "heddle_", the last part of the group without
// "Samza" and "Metrics" in small letters, and the name, all words joined by
// "_". Counters get "_total"; timers become summaries in seconds, with "-ns" at
// the end replaced by "_seconds". So process-calls in
// org.apache.samza.container.SamzaContainerMetrics is
// heddle_container_process_calls_total, and commit-ns there is
// heddle_container_commit_seconds_sum and _count. Texts are written where they
// are numbers. A name that Export gave takes the place of the metric's own.
func WritePrometheus(w io.Writer, sources ...Source) error {
	families := map[string]*family{}
	for _, s := range sources {
		for _, g := range s.Snapshot().Groups {
			for _, m := range g.Metrics {
				collect(families, s.Labels, g.Name, m)
			}
		}
	}
	out := bufio.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		out.WriteString("# HELP " + name + " " + f.help + "\n# TYPE " + name + " " + f.kind + "\n")
		for _, s := range f.samples {
			out.WriteString(name + s.suffix)
			writeLabels(out, s.labels)
			out.WriteByte(' ')
			out.Write(appendSample(nil, s.value))
			out.WriteByte('\n')
		}
	}
	return out.Flush()
}

type family struct {
	kind, help string
	samples    []sample
}

type sample struct {
	suffix string
	labels []Label
	value  float64
}

func collect(families map[string]*family, labels []Label, group string, m Metric) {
	name, kind := m.Name, "gauge"
	if m.as != "" {
		name = m.as
	}
	var samples []sample
	labels = append(slices.Clone(labels), m.labels...)
	switch v := m.Value.(type) {
	case int64:
		kind = "counter"
		samples = []sample{{"", labels, float64(v)}}
		name = strings.TrimSuffix(name, "_total") + "_total"
	case float64:
		samples = []sample{{"", labels, v}}
	case Timing:
		kind = "summary"
		name = strings.TrimSuffix(strings.TrimSuffix(name, "-ns"), "_seconds") + "_seconds"
		samples = []sample{{"_sum", labels, v.Sum.Seconds()}, {"_count", labels, float64(v.Count)}}
	case string:
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return
		}
		samples = []sample{{"", labels, n}}
	default:
		return
	}
	full := "heddle_" + prometheusName(groupName(group)) + "_" + prometheusName(name)
	f := families[full]
	if f == nil {
		help := "Samza: " + m.Name + " of " + group
		if m.as != "" {
			help = "Of Samza's group " + group
		}
		f = &family{kind: kind, help: strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)}
		families[full] = f
	}
	if f.kind != kind {
		return // two metrics of different kinds have one name; the first stays
	}
	f.samples = append(f.samples, samples...)
}

// groupName is the group's last part in words: "TaskInstanceMetrics" is
// "Task-Instance".
func groupName(group string) string {
	class := group[strings.LastIndexByte(group, '.')+1:]
	class = strings.TrimSuffix(class, "Metrics")
	class = strings.TrimPrefix(class, "Samza")
	var b strings.Builder
	runes := []rune(class)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func prometheusName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
}

func writeLabels(out *bufio.Writer, labels []Label) {
	if len(labels) == 0 {
		return
	}
	out.WriteByte('{')
	for i, l := range labels {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(prometheusName(l.Name) + `="` + labelEscaper.Replace(l.Value) + `"`)
	}
	out.WriteByte('}')
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func appendSample(dst []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
