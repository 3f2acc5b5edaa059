package container

// hold keeps what waits for a task's bootstrap streams from being fetched.
func (t *instance) hold() {
	if t.lagging == 0 {
		return
	}
	for _, l := range t.lanes {
		if !l.rank.bootstrap {
			t.fetchers[l].hold(l.feed)
		}
	}
}

// bootstrapped counts a lane that has reached its head; with the last the task's
// other inputs begin.
func (t *instance) bootstrapped(l *lane) {
	l.lagging = false
	if t.lagging--; t.lagging > 0 {
		return
	}
	t.log.Info("bootstrap streams are read to the end that they had at the start; the other inputs begin")
	for _, l := range t.lanes {
		if !l.rank.bootstrap {
			t.fetchers[l].release(l.feed)
		}
	}
}
