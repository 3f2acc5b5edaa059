//go:build grid

package grid

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRealKafkaCountsExactly(t *testing.T) {
	g := Use(t, Kafka)
	topic := g.Topic(t, "grid-count", 4, "retention.ms=-1")
	if got := g.ReadAll(t, topic); len(got) != 0 {
		t.Fatalf("an empty topic has %d records", len(got))
	}
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = fmt.Sprint("line ", i)
	}
	g.ProduceLines(t, topic, lines)
	if d := Tally(lines, Values(g.ReadAll(t, topic))); !d.Exact() {
		t.Fatal(d)
	}
}

func TestRealKafkaReadsBehindATransactionsEnd(t *testing.T) {
	g := Use(t, Kafka)
	topic := g.Topic(t, "grid-transaction", 1)
	client := g.client(t, kgo.TransactionalID(Name("grid")), kgo.DefaultProduceTopic(topic))
	defer client.Close()
	for value, end := range map[string]kgo.TransactionEndTry{"kept": kgo.TryCommit, "dropped": kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	// A commit is acknowledged before its marker lies in every partition.
	Eventually(t, 10*time.Second, "both transactions ended", func() (bool, string) {
		ends := g.EndOffsets(t, topic)
		return ends[0] == 4, fmt.Sprint(ends)
	})
	if got := Values(g.ReadAll(t, topic)); len(got) != 1 || got[0] != "kept" {
		t.Fatalf("read %q, want the committed record alone", got)
	}
}

func TestRealGridRestartsADaemon(t *testing.T) {
	g := Use(t)
	before := len(g.Applications(t))
	g.Stop(t, RM)
	if g.answers(t.Context(), HDFS) != nil {
		t.Error("HDFS went with the ResourceManager")
	}
	g.Start(t, RM)
	if after := len(g.Applications(t)); after != before {
		t.Errorf("the ResourceManager knows %d applications, knew %d", after, before)
	}
	if _, err := os.Stat(g.HadoopConfDir + "/yarn-site.xml"); err != nil {
		t.Error(err)
	}
}
