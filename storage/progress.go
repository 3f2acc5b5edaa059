package storage

import (
	"time"

	"heddle/system"
)

// Progress tells how far the restore of one store has come.
type Progress struct {
	Store     string
	Changelog system.Partition
	// Source is what the store begins with; "" while that is not decided.
	Source Source
	// Downloaded of Download bytes of a snapshot have come.
	Downloaded, Download int64
	// Undoing tells the second part, the undoing of what came after the
	// checkpoint, from the first.
	Undoing bool
	// The records in [From, To) are read; Next is the next of them.
	From, Next, To int64
	// Records and Bytes (keys and values) were restored so far, and Undone
	// records of UndoneBytes undone.
	Records, Bytes, Undone, UndoneBytes int64
	// Rate is how many of the changelog's offsets are passed in a second, and
	// Left how long the rest takes at that rate; 0 while unknown.
	Rate float64
	Left time.Duration
	// Done is true once, at the end of the store's restore.
	Done bool
}

// Source is what a restore begins with. The rest comes from the changelog.
type Source string

// The sources of a restore.
const (
	FromChangelog  Source = "changelog" // nothing
	FromLocalState Source = "local state"
	FromSnapshot   Source = "snapshot"
)

// progressOf is a store's progress before anything was read.
func (st *opened) progressOf() Progress {
	return Progress{Store: st.spec.Name, Changelog: system.Partition{
		System: st.spec.Changelog.System, Stream: st.spec.Changelog.Stream, Partition: st.log.partition}}
}

// pace works out how fast it goes and how long the rest takes.
func (p *Progress) pace(took time.Duration) {
	p.Rate, p.Left = 0, 0
	if done := p.Next - p.From; took > 0 && done > 0 {
		p.Rate = float64(done) / took.Seconds()
		p.Left = time.Duration(float64(p.To-p.Next) / p.Rate * float64(time.Second))
	}
}
