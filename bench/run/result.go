package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"heddle/bench/steady"
)

// result is what one process was measured to do.
type result struct {
	steady.Report
	written int64         // records that it wrote
	whole   time.Duration // from its start to its end
}

// pair is one run of both sides.
type pair struct{ heddle, bare result }

func readResult(file string, records int64, whole time.Duration) (result, error) {
	rep, err := steady.Read(file)
	if err != nil {
		return result{}, err
	}
	if rep.Records != records {
		return result{}, fmt.Errorf("it says that it processed %d records, of %d", rep.Records, records)
	}
	if rep.SteadySeconds <= 0 || rep.SteadyRecords <= 0 {
		return result{}, fmt.Errorf("it was too quick to be measured: take more records")
	}
	return result{Report: rep, whole: whole}, nil
}

// rate is in records a second, over the steady part.
func (r result) rate() float64 { return float64(r.SteadyRecords) / r.SteadySeconds }

// cpu is in CPU seconds per million records, over the steady part.
func (r result) cpu() float64 { return r.SteadyCPUSeconds / float64(r.SteadyRecords) * 1e6 }

// rss is the peak in MiB.
func (r result) rss() float64 { return float64(r.PeakRSSBytes) / (1 << 20) }

// summary is what is printed of a workload: the medians of its runs. The first
// six fields are the contract of --json.
type summary struct {
	Workload                 string  `json:"workload"`
	RecordsPerSecond         float64 `json:"recordsPerSecond"`
	CPUSecondsPerMillion     float64 `json:"cpuSecondsPerMillion"`
	PeakRSSMiB               float64 `json:"peakRSSMiB"`
	BareRecordsPerSecond     float64 `json:"bareRecordsPerSecond"`
	BareCPUSecondsPerMillion float64 `json:"bareCPUSecondsPerMillion"`

	BarePeakRSSMiB float64 `json:"barePeakRSSMiB"`
	// The ratios heddle to bare are medians of those of the single pairs: what
	// slows the machine down slows both of a pair.
	RateRatio float64 `json:"rateRatio"`
	CPURatio  float64 `json:"cpuRatio"`
	// Least and greatest of the single pairs.
	RateRatios [2]float64 `json:"rateRatios"`
	CPURatios  [2]float64 `json:"cpuRatios"`

	Partitions int   `json:"partitions"`
	Records    int64 `json:"records"`
	Runs       int   `json:"runs"`
	// RecordsWritten is how many records the job's last run wrote, bare's in
	// BareRecordsWritten: of a pass-through all, of a count its changelog.
	RecordsWritten     int64 `json:"recordsWritten"`
	BareRecordsWritten int64 `json:"bareRecordsWritten"`
	// WholeSeconds is from the start of run-job to its end.
	WholeSeconds     float64 `json:"wholeSeconds"`
	BareWholeSeconds float64 `json:"bareWholeSeconds"`
}

// summarize takes the medians.
func summarize(workload string, partitions int, records int64, pairs []pair) summary {
	of := func(f func(pair) float64) (middle float64, ends [2]float64) {
		values := make([]float64, len(pairs))
		for i, p := range pairs {
			values[i] = f(p)
		}
		slices.Sort(values)
		return median(values), [2]float64{round(values[0], 3), round(values[len(values)-1], 3)}
	}
	mid := func(digits int, f func(pair) float64) float64 {
		m, _ := of(f)
		return round(m, digits)
	}
	s := summary{
		Workload: workload, Partitions: partitions, Records: records, Runs: len(pairs),
		RecordsPerSecond:         mid(0, func(p pair) float64 { return p.heddle.rate() }),
		CPUSecondsPerMillion:     mid(3, func(p pair) float64 { return p.heddle.cpu() }),
		PeakRSSMiB:               mid(1, func(p pair) float64 { return p.heddle.rss() }),
		BareRecordsPerSecond:     mid(0, func(p pair) float64 { return p.bare.rate() }),
		BareCPUSecondsPerMillion: mid(3, func(p pair) float64 { return p.bare.cpu() }),
		BarePeakRSSMiB:           mid(1, func(p pair) float64 { return p.bare.rss() }),
		WholeSeconds:             mid(2, func(p pair) float64 { return p.heddle.whole.Seconds() }),
		BareWholeSeconds:         mid(2, func(p pair) float64 { return p.bare.whole.Seconds() }),
	}
	last := pairs[len(pairs)-1]
	s.RecordsWritten, s.BareRecordsWritten = last.heddle.written, last.bare.written
	s.RateRatio, s.RateRatios = of(func(p pair) float64 { return p.heddle.rate() / p.bare.rate() })
	s.CPURatio, s.CPURatios = of(func(p pair) float64 { return p.heddle.cpu() / p.bare.cpu() })
	s.RateRatio, s.CPURatio = round(s.RateRatio, 3), round(s.CPURatio, 3)
	return s
}

// median needs sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}
