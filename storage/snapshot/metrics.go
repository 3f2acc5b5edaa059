package snapshot

import "heddle/task"

// group is that of the metrics.
const group = "heddle.snapshots"

// meters are kept in the container's registry.
type meters struct {
	taken, failed, uploadedBytes, uploadedFiles, reusedBytes task.Counter
	restored, restoredBytes, passed                          task.Counter
	waiting, last                                            task.Gauge
}

func newMeters(r task.Metrics) meters {
	return meters{
		taken:         r.Counter(group, "snapshots-taken"),
		failed:        r.Counter(group, "snapshots-failed"),
		uploadedBytes: r.Counter(group, "uploaded-bytes"),
		uploadedFiles: r.Counter(group, "uploaded-files"),
		reusedBytes:   r.Counter(group, "reused-bytes"),
		restored:      r.Counter(group, "snapshots-restored"),
		restoredBytes: r.Counter(group, "restored-bytes"),
		passed:        r.Counter(group, "snapshots-damaged"),
		waiting:       r.Gauge(group, "uploads-waiting"),
		last:          r.Gauge(group, "last-snapshot-ms"),
	}
}
