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
	// scanPeak is the peak of a process that read its whole store, in bytes.
	scanPeak int64
}

// pair is one run of both sides; exactly is the job's with exactly-once, if that
// was asked for, again the job's second start, with local state, and changelog,
// of snapshot, the job without one.
type pair struct{ heddle, bare, exactly, again, changelog result }

func readResult(file string, records int64, whole time.Duration) (result, error) {
	rep, err := steady.Read(file)
	if err != nil {
		return result{}, err
	}
	return measured(result{Report: rep, whole: whole}, records)
}

// measured checks that a process did all, and long enough.
func measured(r result, records int64) (result, error) {
	if r.Records != records {
		return r, fmt.Errorf("it says that it processed %d records, of %d", r.Records, records)
	}
	if r.SteadySeconds <= 0 || r.SteadyRecords <= 0 {
		return r, fmt.Errorf("it was too quick to be measured: take more records")
	}
	return r, nil
}

// ready is the result of a process whose records are those that it restored
// before its first one.
func (r result) ready(records int64) result {
	r.SteadyRecords, r.SteadySeconds, r.SteadyCPUSeconds = records, r.ReadySeconds, r.ReadyCPUSeconds
	return r
}

// recovered is the result of a process that left a sign at its first record.
func recovered(s steady.Sign, killed time.Time, records int64) result {
	return result{Report: steady.Report{
		SteadyRecords: records, SteadySeconds: s.Time().Sub(killed).Seconds(), SteadyCPUSeconds: s.CPUSeconds, PeakRSSBytes: s.PeakRSSBytes,
	}}
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

	// Seconds and BareSeconds are, of restore and snapshot, from the start of the process to a
	// restored store, and of recovery from kill -9 to the next record.
	Seconds     float64    `json:"seconds,omitempty"`
	SecondsEnds [2]float64 `json:"secondsEnds,omitzero"` // least and greatest
	BareSeconds float64    `json:"bareSeconds,omitempty"`
	// State says of recovery what becomes of local state: "kept" or "lost".
	State string `json:"state,omitempty"`
	// RestartSeconds is, of restore, from the start of a process that finds local
	// state to its end of restoring; RestartPeakRSSMiB its memory.
	RestartSeconds float64 `json:"restartSeconds,omitempty"`
	// ScanSeconds is how long reading all entries took, summed over the tasks, and
	// ScanPeakRSSMiB the peak of the process that did.
	ScanSeconds    float64 `json:"scanSeconds,omitempty"`
	ScanPeakRSSMiB float64 `json:"scanPeakRSSMiB,omitempty"`
	// ChangelogSeconds is, of snapshot, the same as Seconds from the changelog
	// alone; ChangelogPeakRSSMiB the memory.
	ChangelogSeconds    float64 `json:"changelogSeconds,omitempty"`
	ChangelogPeakRSSMiB float64 `json:"changelogPeakRSSMiB,omitempty"`
	// History is how often the changelog has each key.
	History int64 `json:"history,omitempty"`
	// StateMiB is the size of keys and values of the store.
	StateMiB float64 `json:"stateMiB,omitempty"`
	// The job with exactly-once, with --guarantee; the ratios are to the job
	// without it.
	ExactlyOnceRecordsPerSecond     float64    `json:"exactlyOnceRecordsPerSecond,omitempty"`
	ExactlyOnceCPUSecondsPerMillion float64    `json:"exactlyOnceCPUSecondsPerMillion,omitempty"`
	ExactlyOnceRateRatio            float64    `json:"exactlyOnceRateRatio,omitempty"`
	ExactlyOnceRateRatios           [2]float64 `json:"exactlyOnceRateRatios,omitzero"`
	ExactlyOnceCPURatio             float64    `json:"exactlyOnceCPURatio,omitempty"`

	// Processors is GOMAXPROCS of both sides; 0: the machine's.
	Processors int   `json:"processors,omitempty"`
	Keys       int64 `json:"keys,omitempty"`
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
	if last.exactly.SteadySeconds > 0 {
		s.ExactlyOnceRecordsPerSecond = mid(0, func(p pair) float64 { return p.exactly.rate() })
		s.ExactlyOnceCPUSecondsPerMillion = mid(3, func(p pair) float64 { return p.exactly.cpu() })
		s.ExactlyOnceRateRatio, s.ExactlyOnceRateRatios = of(func(p pair) float64 { return p.exactly.rate() / p.heddle.rate() })
		s.ExactlyOnceRateRatio = round(s.ExactlyOnceRateRatio, 3)
		s.ExactlyOnceCPURatio = mid(3, func(p pair) float64 { return p.exactly.cpu() / p.heddle.cpu() })
	}
	return s
}

// summarize adds what the command line says.
func (b *bench) summarize(w workload, partitions int, records int64, pairs []pair) summary {
	s := summarize(w.name, partitions, records, pairs)
	s.Processors, s.Keys = b.s.procs, w.keys.Users
	return s
}

// seconds adds the times of what is measured from one moment to another.
func (s *summary) seconds(pairs []pair) {
	var heddle, bare, again, scan, scanPeak, changelog, changelogPeak []float64
	for _, p := range pairs {
		heddle, bare = append(heddle, p.heddle.SteadySeconds), append(bare, p.bare.SteadySeconds)
		again = append(again, p.again.ReadySeconds)
		changelog, changelogPeak = append(changelog, p.changelog.SteadySeconds), append(changelogPeak, p.changelog.rss())
		scan, scanPeak = append(scan, p.heddle.ScanSeconds), append(scanPeak, float64(p.heddle.scanPeak)/(1<<20))
	}
	middle := func(v []float64, digits int) float64 {
		slices.Sort(v)
		return round(median(v), digits)
	}
	s.Seconds, s.BareSeconds, s.RestartSeconds = middle(heddle, 3), middle(bare, 3), middle(again, 3)
	s.SecondsEnds = [2]float64{round(heddle[0], 3), round(heddle[len(heddle)-1], 3)}
	s.ChangelogSeconds, s.ChangelogPeakRSSMiB = middle(changelog, 3), middle(changelogPeak, 1)
	s.ScanSeconds, s.ScanPeakRSSMiB = middle(scan, 2), middle(scanPeak, 1)
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
