package main

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
	"heddle/bench/steady"
)

// work is what is done with the records of one partition.
type work interface {
	// fresh gives the same for another partition.
	fresh() work
	// one takes a record.
	one(p *partition, r *kgo.Record) error
	// second is called each second and at the end.
	second(p *partition) error
}

// partition is one partition of the input, with its database and its goroutine.
type partition struct {
	l       *loop
	ctx     context.Context
	client  *kgo.Client
	number  int32
	batches chan []*kgo.Record
	db      *pebble.DB
	event   input.Event
	value   []byte
	meter   steady.Count
}

// count hands the records to a goroutine for each partition.
func (l *loop) count(ctx context.Context, w work) error {
	dbs, shut, err := l.open()
	if err != nil {
		return err
	}
	defer shut()
	client, err := kgo.NewClient(append(options(l.brokers...), reading(l.in, l.partitions), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer client.Close()
	parts := make([]*partition, l.partitions)
	var wg sync.WaitGroup
	for i := range parts {
		p := &partition{l: l, ctx: ctx, client: client, number: int32(i), batches: make(chan []*kgo.Record, 8), db: dbs[i], meter: steady.Count{Meter: l.meter}}
		parts[i] = p
		mine := w.fresh()
		wg.Go(func() {
			if err := p.run(mine); err != nil {
				l.fail(err)
			}
		})
	}
	left := l.records
	for left > 0 && err == nil && l.failed.Load() == nil {
		fetches := client.PollFetches(ctx)
		if err = fetches.Err(); err != nil {
			break
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				left -= int64(len(p.Records))
				parts[p.Partition].batches <- p.Records
			}
		})
	}
	for _, p := range parts {
		close(p.batches)
	}
	wg.Wait()
	if err != nil {
		return err
	}
	return client.Flush(ctx)
}

func (p *partition) run(w work) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var failed error // what comes is taken all the same, so that nobody waits
	for {
		select {
		case <-ticker.C:
			if failed == nil {
				failed = w.second(p)
			}
		case records, ok := <-p.batches:
			if !ok {
				if failed == nil {
					failed = w.second(p)
				}
				p.meter.Rest()
				return failed
			}
			for _, r := range records {
				if failed != nil {
					break
				}
				p.meter.One()
				failed = w.one(p, r)
			}
			if failed != nil {
				p.l.fail(failed)
			}
		}
	}
}

// log writes a record of the changelog.
func (p *partition) log(key, value []byte) {
	p.client.Produce(p.ctx, &kgo.Record{Topic: p.l.out, Partition: p.number, Key: key, Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			p.l.fail(err)
		}
	})
}

// get reads a count from the database; 0 if it has none.
func (p *partition) get(key []byte) (int64, error) {
	v, closer, err := p.db.Get(key)
	if err == pebble.ErrNotFound { //nolint:errorlint // it is given as it is
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n := int64(binary.BigEndian.Uint64(v))
	return n, closer.Close()
}

func (l *loop) fail(err error) { l.failed.CompareAndSwap(nil, &err) }

// merging counts in a map over the database, and writes each second what has
// changed: one record of the changelog for each key.
type merging struct {
	users   map[string]*user
	changed []*user
}

type user struct {
	name    string
	count   int64
	changed bool
}

// mapSize is how many users a map holds before it is begun anew.
const mapSize = 100_000

func (*merging) fresh() work { return &merging{users: map[string]*user{}} }

func (m *merging) one(p *partition, r *kgo.Record) error {
	if err := json.Unmarshal(r.Value, &p.event); err != nil {
		return err
	}
	u := m.users[p.event.User]
	if u == nil {
		n, err := p.get([]byte(p.event.User))
		if err != nil {
			return err
		}
		u = &user{name: p.event.User, count: n}
		m.users[u.name] = u
	}
	u.count++
	if !u.changed {
		u.changed = true
		m.changed = append(m.changed, u)
	}
	return nil
}

func (m *merging) second(p *partition) error {
	b := p.db.NewBatch()
	for _, u := range m.changed {
		u.changed = false
		key, value := []byte(u.name), binary.BigEndian.AppendUint64(nil, uint64(u.count))
		if err := b.Set(key, value, nil); err != nil {
			return err
		}
		p.log(key, value)
	}
	m.changed = m.changed[:0]
	if len(m.users) > mapSize {
		m.users = map[string]*user{}
	}
	return b.Commit(pebble.NoSync)
}

// writing gets and puts each count in the database, and writes it to the
// changelog: what a loop without a cache does.
type writing struct{}

func (writing) fresh() work { return writing{} }

func (writing) one(p *partition, r *kgo.Record) error {
	if err := json.Unmarshal(r.Value, &p.event); err != nil {
		return err
	}
	key := []byte(p.event.User)
	n, err := p.get(key)
	if err != nil {
		return err
	}
	value := binary.BigEndian.AppendUint64(nil, uint64(n+1))
	p.log(key, value)
	return p.db.Set(key, value, pebble.NoSync)
}

func (writing) second(*partition) error { return nil }

// replacing replaces a large entry by itself.
type replacing struct{}

func (replacing) fresh() work { return replacing{} }

func (replacing) one(p *partition, r *kgo.Record) error {
	v, closer, err := p.db.Get(r.Key)
	if err != nil {
		return err
	}
	p.value = append([]byte(nil), v...)
	if err := closer.Close(); err != nil {
		return err
	}
	p.log(r.Key, p.value)
	return p.db.Set(r.Key, p.value, pebble.NoSync)
}

func (replacing) second(*partition) error { return nil }
