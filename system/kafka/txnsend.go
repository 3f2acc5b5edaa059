package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxTxnRequest bounds the bytes of batches in a request; one batch may be
// larger.
const maxTxnRequest = 4 << 20

// dispatch starts a sender for each broker that has something to do and none at
// work. It needs o.mu.
func (o *txnOutbox) dispatch() {
	if o.closed || o.failed.Load() != nil {
		return
	}
	for _, p := range o.ready {
		if !p.flying && len(p.queue) > 0 && !o.sending[p.leader] {
			o.sending[p.leader] = true
			go o.send(p.leader)
		}
	}
}

// take gives the partitions of which that broker is sent a batch next. With
// none the sender ends.
func (o *txnOutbox) take(node int32) []*txnPart {
	o.mu.Lock()
	defer o.mu.Unlock()
	var work []*txnPart
	bytes := 0
	kept := o.ready[:0]
	for _, p := range o.ready {
		if len(p.queue) == 0 {
			p.inReady = false
			continue
		}
		kept = append(kept, p)
		if p.flying || p.leader != node || o.closed || o.failed.Load() != nil {
			continue
		}
		size := len(p.queue[0].buf.b)
		if len(work) > 0 && bytes+size > maxTxnRequest {
			continue
		}
		bytes += size
		p.flying = true
		work = append(work, p)
	}
	clear(o.ready[len(kept):])
	o.ready = kept
	// The next request begins with others.
	if n := len(work); n > 0 && n < len(o.ready) {
		first := o.ready[0]
		copy(o.ready, o.ready[1:])
		o.ready[len(o.ready)-1] = first
	}
	if len(work) == 0 {
		delete(o.sending, node)
	}
	return work
}

// send sends what is there for one broker, until there is nothing more. Node -1
// asks for leaders.
func (o *txnOutbox) send(node int32) {
	for {
		work := o.take(node)
		if len(work) == 0 {
			return
		}
		var err error
		if node < 0 {
			err = o.findLeaders(work)
		} else if err = o.addPartitions(work); err == nil {
			err = o.produce(node, work)
		}
		if err != nil {
			_ = o.fail("write", err) // kept in o.failed
		}
	}
}

// findLeaders gives partitions a leader, and lets them be sent.
func (o *txnOutbox) findLeaders(work []*txnPart) error {
	for try := 1; ; try++ {
		var left []*txnPart
		var last error
		for _, p := range work {
			node, err := o.t.leader(o.ctx, o.link, p.topic.name, p.partition, p.asked)
			if err != nil {
				if p.late(o.now(), o.t.p.set.deliveryTimeout) || judge(err) != tryAgain && !errors.Is(err, kerr.UnknownTopicOrPartition) {
					return fmt.Errorf("find the leader of %s: %w", partitionName(p.topic.name, p.partition), streamError(err))
				}
				last = err
				p.asked = o.now()
				left = append(left, p)
				continue
			}
			o.mu.Lock()
			p.leader, p.flying = node, false
			o.mu.Unlock()
		}
		o.mu.Lock()
		o.dispatch()
		o.mu.Unlock()
		if last == nil {
			return nil
		}
		work = left
		if err := o.backOff(try); err != nil {
			return err
		}
	}
}

// late says that the first batch of the queue has waited for longer than
// delivery.timeout.ms. The partition has to be under way, so that nobody else
// touches the batch.
func (p *txnPart) late(now time.Time, timeout time.Duration) bool {
	return now.Sub(p.queue[0].sealed) > timeout
}

func (o *txnOutbox) backOff(try int) error {
	return pause(o.ctx, min(time.Duration(try*try)*10*time.Millisecond, time.Second))
}

// addPartitions tells the coordinator of partitions that the transaction has
// not written to yet.
func (o *txnOutbox) addPartitions(work []*txnPart) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	var fresh []*txnPart
	byTopic := map[string]int{}
	for _, p := range work {
		if p.added { // only senders of this broker change it while p is under way
			continue
		}
		fresh = append(fresh, p)
		i, ok := byTopic[p.topic.name]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topic.name] = i
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic = p.topic.name
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p.partition)
	}
	if len(fresh) == 0 {
		return nil
	}
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = o.id, o.pid, o.epoch
	err := o.coordinate(o.ctx, o.timeout, func(ctx context.Context) error {
		// The client keeps what it made of an earlier try in the request.
		again := *req
		resp, err := again.RequestWith(ctx, o.link.client)
		if err != nil {
			return err
		}
		var passing error
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				err := kerr.ErrorForCode(p.ErrorCode)
				switch {
				case err == nil, errors.Is(err, kerr.OperationNotAttempted):
				case judge(err) == tryAgain:
					passing = err
				default:
					return fmt.Errorf("%s: %w", partitionName(t.Topic, p.Partition), err)
				}
			}
		}
		return passing
	})
	if err != nil {
		return fmt.Errorf("add partitions to the transaction: %w", streamError(err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range fresh {
		p.added = true
	}
	o.added = append(o.added, fresh...)
	return nil
}

// produce sends the first batch of each partition. Partitions whose batch has
// to be sent again go back to the queue.
func (o *txnOutbox) produce(node int32, work []*txnPart) error {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID = &o.id
	req.Acks = -1
	req.TimeoutMillis = int32(o.t.p.set.produceTimeout.Milliseconds())
	byTopic := map[string]int{}
	byPlace := make(map[txnPlace]*txnPart, len(work))
	for _, p := range work {
		b := p.queue[0]
		if b.sequence < 0 {
			b.finish(o.pid, o.epoch, p.sequence, o.t.codec)
		}
		i, ok := byTopic[p.topic.name]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topic.name] = i
			t := kmsg.NewProduceRequestTopic()
			t.Topic = p.topic.name
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = p.partition, b.wire
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
		byPlace[txnPlace{p.topic.name, p.partition}] = p
	}
	o.setUnsure(work, true)
	results := make(map[*txnPart]error, len(work))
	kresp, err := o.link.client.Broker(int(node)).Request(o.ctx, req)
	if o.ctx.Err() != nil {
		return errClosed
	}
	if err == nil {
		o.setUnsure(work, false)
		resp, ok := kresp.(*kmsg.ProduceResponse)
		if !ok {
			return fmt.Errorf("%w: unexpected answer %T", errBadBatch, kresp)
		}
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				rp := &resp.Topics[i].Partitions[j]
				p := byPlace[txnPlace{resp.Topics[i].Topic, rp.Partition}]
				if p == nil {
					continue
				}
				err := kerr.ErrorForCode(rp.ErrorCode)
				if err == nil && rp.BaseOffset < 0 {
					err = kerr.DuplicateSequenceNumber // written before, nobody knows where
				}
				if err == nil {
					o.acknowledge(p, rp.BaseOffset)
				}
				results[p] = err
			}
		}
		err = kerr.UnknownServerError // of partitions that the answer leaves out
	}
	return o.repeat(work, results, err)
}

func (o *txnOutbox) setUnsure(work []*txnPart, unsure bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range work {
		p.unsure = unsure
	}
}

type txnPlace struct {
	topic     string
	partition int32
}

// repeat looks at what was not acknowledged: missing is the failure of those
// that have no result.
func (o *txnOutbox) repeat(work []*txnPart, results map[*txnPart]error, missing error) error {
	var again []*txnPart
	worst := 0
	for _, p := range work {
		err, ok := results[p]
		if !ok {
			err = missing
		}
		if err == nil {
			continue
		}
		b := p.queue[0] // still under way: nobody else touches it
		switch {
		case judge(err) != tryAgain && !errors.Is(err, kerr.UnknownServerError):
			return fmt.Errorf("%s: %w", partitionName(p.topic.name, p.partition), o.t.p.sendError(p.topic.name, len(b.wire), err))
		case p.late(o.now(), o.t.p.set.deliveryTimeout):
			return fmt.Errorf("%s: %w: %w", partitionName(p.topic.name, p.partition), kgo.ErrRecordTimeout, err)
		}
		p.tries++
		worst = max(worst, p.tries)
		again = append(again, p)
	}
	if len(again) == 0 {
		return nil
	}
	if err := o.backOff(worst); err != nil {
		return errClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.now()
	for _, p := range again {
		p.leader, p.asked, p.flying = -1, asked, false
	}
	o.dispatch()
	return nil
}

// acknowledge takes the first batch off a partition's queue.
func (o *txnOutbox) acknowledge(p *txnPart, base int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := p.queue[0]
	p.queue[0] = nil
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = nil
	}
	p.flying, p.tries = false, 0
	p.acked = base + int64(b.count)
	p.sequence = nextSequence(b.sequence, b.count)
	size := int64(cap(b.buf.b))
	o.held -= size
	o.t.buffered.Add(-size)
	// Kafka answered, so the client is done with the bytes.
	b.buf.free()
	o.unacked--
	o.notify()
}
