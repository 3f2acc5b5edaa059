package container

import "heddle/task"

// taskCounts are the task's metrics under Samza's names.
type taskCounts struct {
	processed, windows, commits, sends task.Counter
	deserialization, serialization     task.Counter
	ignored, sendFailed                task.Counter
	processTime, windowTime            task.Timer
	commitTime                         task.Timer
}

const (
	taskMetrics      = "org.apache.samza.container.TaskInstanceMetrics"
	containerMetrics = "org.apache.samza.container.SamzaContainerMetrics"
)

func newTaskCounts(m task.Metrics) taskCounts {
	return taskCounts{
		processed:       m.Counter(taskMetrics, "messages-actually-processed"),
		windows:         m.Counter(taskMetrics, "window-calls"),
		commits:         m.Counter(taskMetrics, "commit-calls"),
		sends:           m.Counter(taskMetrics, "send-calls"),
		deserialization: m.Counter("org.apache.samza.system.SystemConsumersMetrics", "deserialization error"),
		serialization:   m.Counter("org.apache.samza.system.SystemProducersMetrics", "serialization error"),
		ignored:         m.Counter(taskMetrics, "exceptions-ignored"),
		sendFailed:      m.Counter("org.apache.samza.system.kafka.KafkaSystemProducerMetrics", "send-failed"),
		processTime:     m.Timer(containerMetrics, "process-ns"),
		windowTime:      m.Timer(containerMetrics, "window-ns"),
		commitTime:      m.Timer(taskMetrics, "commit-ns"),
	}
}

// containerCounts are the container's metrics under Samza's names.
type containerCounts struct {
	processed, windows, commits task.Counter
	startup                     task.Gauge
}

func newContainerCounts(m task.Metrics) containerCounts {
	return containerCounts{
		processed: m.Counter(containerMetrics, "process-envelopes"),
		windows:   m.Counter(containerMetrics, "window-calls"),
		commits:   m.Counter(containerMetrics, "commit-calls"),
		startup:   m.Gauge(containerMetrics, "container-startup-time"),
	}
}
