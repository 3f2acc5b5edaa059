package snapshot

import (
	"hash/fnv"
	"time"

	"heddle/storage"
)

// phase is where within the interval a store's snapshots are due, so that those
// of a thousand tasks are spread evenly, and stay where they are after a
// restart.
func phase(id storage.Identity, interval time.Duration) time.Duration {
	h := fnv.New64a()
	for _, s := range []string{id.JobName, id.JobID, id.Store, id.Task} {
		_, _ = h.Write([]byte(s)) // it does not fail
		_, _ = h.Write([]byte{0})
	}
	return time.Duration(mix(h.Sum64()) % uint64(max(interval, 1)))
}

// mix spreads a hash over all bits: that of FNV differs in few of them for names
// that differ in their last letter.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// nextDue is the first time after now that lies at the phase of an interval.
func nextDue(now time.Time, phase, interval time.Duration) time.Time {
	since := time.Duration(now.UnixNano() % int64(interval))
	wait := phase - since
	if wait <= 0 {
		wait += interval
	}
	return now.Add(wait)
}

const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 10 * time.Minute
)

// backoff is how long nothing is tried after so many failures in a row.
func backoff(failures int) time.Duration {
	return min(firstBackoff<<min(max(failures-1, 0), 20), maxBackoff)
}

// refreshAfter is the age at which a snapshot is taken again though the state is
// the same: one that is older than the changelog's delete.retention.ms is of no
// use once there are changes.
const refreshAfter = time.Hour

// unchanged tells that a snapshot of the state need not be taken: the last one
// holds the same.
func unchanged(last, now storage.Mark, age time.Duration) bool {
	return last.Topic == now.Topic && last.Offset == now.Offset && age < refreshAfter
}
