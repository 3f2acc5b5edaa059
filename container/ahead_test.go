package container

import "testing"

func TestPartitionBounds(t *testing.T) {
	for name, tt := range map[string]struct {
		threshold, bytes, safety, partitions int
		want                                 bounds
	}{
		"Samza's default over 4":           {10000, -1, 0, 4, bounds{messages: 2500}},
		"never below one message":          {10, -1, 0, 1000, bounds{messages: 1}},
		"bytes win, half of them":          {10000, 8 << 20, 64 << 20, 4, bounds{bytes: 1 << 20}},
		"safety beside the count":          {10000, -1, 64 << 20, 2, bounds{messages: 5000, bytes: 32 << 20}},
		"no partition is no division by 0": {10000, -1, 0, 0, bounds{messages: 10000}},
	} {
		if got := partitionBounds(tt.threshold, tt.bytes, tt.safety, tt.partitions); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestLevel(t *testing.T) {
	b := bounds{messages: 100, bytes: 1000}
	for name, tt := range map[string]struct {
		l    load
		want level
	}{
		"nothing there, nothing to be had":   {load{}, levelIdle},
		"nothing there, more to be had":      {load{behind: true}, levelLow},
		"below, more to be had":              {load{messages: 99, bytes: 999, batches: 1, behind: true}, levelLow},
		"below, and that is all there is":    {load{messages: 99, bytes: 999, batches: 1}, levelIdle},
		"count reached":                      {load{messages: 100, bytes: 1, batches: 1}, levelFull},
		"bytes reached":                      {load{messages: 1, bytes: 1000, batches: 1}, levelFull},
		"one large fetch is not ahead":       {load{messages: 10000, bytes: 100000, batches: 1}, levelFull},
		"several times the bound":            {load{messages: 200, bytes: 1, batches: 2}, levelAhead},
		"not yet several times the bound":    {load{messages: 199, bytes: 1, batches: 2}, levelFull},
		"several times the bound, in bytes":  {load{messages: 3, bytes: 2000, batches: 2}, levelAhead},
		"many small batches below the bound": {load{messages: 50, bytes: 50, batches: 50, behind: true}, levelLow},
	} {
		if got := b.levelOf(tt.l); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if got := (bounds{}).levelOf(load{messages: 1 << 30, bytes: 1 << 40, batches: 100, behind: true}); got != levelLow {
		t.Errorf("without bounds: %v, want low", got)
	}
}

func TestPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		idle, low, full, ahead int
		want                   polling
		pausesAhead            bool
	}{
		"start: all idle":                       {idle: 4, want: pollNow},
		"no partitions":                         {want: pollNow},
		"all full":                              {full: 3, ahead: 1, want: pollHold},
		"one runs low":                          {low: 1, full: 3, want: pollNow},
		"one runs low, one is far ahead":        {low: 1, full: 2, ahead: 1, want: pollNow, pausesAhead: true},
		"one hot, the others idle":              {idle: 3, full: 1, want: pollLater},
		"one hot and far ahead, others idle":    {idle: 3, ahead: 1, want: pollLater, pausesAhead: true},
		"all far ahead: not polling is cheaper": {ahead: 4, want: pollHold},
	} {
		c := census{tt.idle, tt.low, tt.full, tt.ahead}
		if got := c.plan(false); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		// Too much in sum: wait, as long as there is a full buffer to wait for.
		want := pollNow
		if tt.full+tt.ahead > 0 {
			want = pollHold
		}
		if got := c.plan(true); got != want {
			t.Errorf("%s, too much in sum: %v, want %v", name, got, want)
		}
		if got := c.pauses(levelAhead); tt.ahead > 0 && got != tt.pausesAhead {
			t.Errorf("%s: pauses %v, want %v", name, got, tt.pausesAhead)
		}
		if c.pauses(levelFull) {
			t.Errorf("%s: pauses a partition that is not far ahead", name)
		}
	}
}
