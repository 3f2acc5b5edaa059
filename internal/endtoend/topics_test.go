//go:build grid

package endtoend

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// checkpoints are the offsets that a job has committed, in the order of their writing: by partition
// of the topic, the last offset that was processed (Samza's meaning).
func checkpoints(t testing.TB, g *grid.Grid, jobName, topic string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, r := range g.ReadAll(t, "__samza_checkpoint_ver_1_for_"+topicPart(jobName)+"_1") {
		if r.Value == nil || !bytes.Contains(r.Key, []byte(`"type":"checkpoint"`)) {
			continue // Samza's second format says the same once more
		}
		var c map[string]struct {
			System, Stream, Partition, Offset string
		}
		if err := json.Unmarshal(r.Value, &c); err != nil {
			t.Fatalf("checkpoint %q: %v", r.Value, err)
		}
		for _, at := range c {
			if at.Stream == topic {
				all[at.Partition] = append(all[at.Partition], at.Offset)
			}
		}
	}
	return all
}

// lastByKey is what a compacted topic says in the end.
func lastByKey(records []*kgo.Record) map[string][]byte {
	last := map[string][]byte{}
	for _, r := range records {
		last[string(r.Key)] = r.Value
		if r.Value == nil {
			delete(last, string(r.Key))
		}
	}
	return last
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
