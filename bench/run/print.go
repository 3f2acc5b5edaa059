package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// table is what people see.
func table(all []summary) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "workload\tpartitions\t\trecords/s\tCPU s per million\tpeak RSS MiB")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%d\theddle\t%.0f\t%.2f\t%.0f\n", s.Workload, s.Partitions, s.RecordsPerSecond, s.CPUSecondsPerMillion, s.PeakRSSMiB)
		fmt.Fprintf(w, "\t\tbare loop\t%.0f\t%.2f\t%.0f\n", s.BareRecordsPerSecond, s.BareCPUSecondsPerMillion, s.BarePeakRSSMiB)
		fmt.Fprintf(w, "\t\theddle/bare\t%.0f %% (%.0f-%.0f)\t%.2f (%.2f-%.2f)\t\n",
			100*s.RateRatio, 100*s.RateRatios[0], 100*s.RateRatios[1], s.CPURatio, s.CPURatios[0], s.CPURatios[1])
	}
	_ = w.Flush() // into memory
	if len(all) > 0 {
		fmt.Fprintf(&b, "%d records, medians of %d runs of each side in turn; ratios are of pairs, (least-greatest).\nNothing lost, nothing twice, all totals exact.\n", all[0].Records, all[0].Runs)
	}
	return b.String()
}

// markdown is the section of a results file.
func markdown(all []summary, machine string, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", at.UTC().Format("2006-01-02 15:04 UTC"), machine)
	if len(all) > 0 {
		fmt.Fprintf(&b, "%d records; medians of %d runs of each side in turn; ratios are medians of pairs (least to greatest).\n\n", all[0].Records, all[0].Runs)
	}
	b.WriteString("| workload | partitions | records/s | bare | ratio | CPU s per million | bare | ratio | peak RSS MiB | bare |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		fmt.Fprintf(&b, "| %s | %d | %.0f | %.0f | %.2f (%.2f-%.2f) | %.2f | %.2f | %.2f (%.2f-%.2f) | %.0f | %.0f |\n",
			s.Workload, s.Partitions, s.RecordsPerSecond, s.BareRecordsPerSecond, s.RateRatio, s.RateRatios[0], s.RateRatios[1],
			s.CPUSecondsPerMillion, s.BareCPUSecondsPerMillion, s.CPURatio, s.CPURatios[0], s.CPURatios[1], s.PeakRSSMiB, s.BarePeakRSSMiB)
	}
	return b.String()
}

// machine says where it was measured.
func machine() string {
	load := "unknown"
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(b)); len(fields) > 0 {
			load = fields[0]
		}
	}
	model := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d processors (%s), shared by the broker and the job; load average at the end %s; %s.", runtime.NumCPU(), model, load, runtime.Version())
}
