package steady

import (
	"path/filepath"
	"sync"
	"testing"
)

func TestReport(t *testing.T) {
	const workers, each = 7, 1003 // no multiple of what a Count collects
	file := filepath.Join(t.TempDir(), "report.json")
	m, err := New(Options{Records: workers * each, Report: file})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			c := Count{Meter: m}
			for range each {
				c.One()
			}
			c.Rest()
		})
	}
	wg.Wait()
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	r, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if r.Records != workers*each {
		t.Errorf("%d records, want %d", r.Records, workers*each)
	}
	if want := int64(workers*each*95/100 - workers*each*10/100); r.SteadyRecords != want || r.SteadySeconds <= 0 {
		t.Errorf("the steady part has %d records in %v s, want %d", r.SteadyRecords, r.SteadySeconds, want)
	}
	if r.PeakRSSBytes < 1<<20 || r.CPUSeconds < r.SteadyCPUSeconds {
		t.Errorf("peak of %d bytes, %v CPU seconds, %v of them steady", r.PeakRSSBytes, r.CPUSeconds, r.SteadyCPUSeconds)
	}
}

func TestUnfinished(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	m, err := New(Options{Records: 1000, Report: file})
	if err != nil {
		t.Fatal(err)
	}
	m.Add(500)
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	if r, err := Read(file); err != nil || r.Records != 500 || r.SteadyRecords != 0 {
		t.Errorf("%+v, %v: a run that was not finished has no steady part", r, err)
	}
}

func TestTooFew(t *testing.T) {
	if _, err := New(Options{Records: 5}); err == nil {
		t.Error("a steady part of 5 records")
	}
}

func TestParsePeak(t *testing.T) {
	got, err := parsePeak("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 5 kB\n")
	if err != nil || got != 1234<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, status := range []string{"", "VmHWM:\tmany kB\n"} {
		if _, err := parsePeak(status); err == nil {
			t.Errorf("no error of %q", status)
		}
	}
}
