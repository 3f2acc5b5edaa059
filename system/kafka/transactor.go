package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"heddle/config"
	"heddle/system"
)

// transactor is what all transactional writers of a System share: a few
// clients, where topics' leaders are, and the bound of what is buffered.
//
// A client of franz-go holds one transactional id, and cannot be told which
// producer id and epoch to write with: it asks for new ones at its first write,
// and thereby takes the id over once more. A container that was frozen between
// its start and its first write would, when it continues, push its successor
// aside. So writers here write batches by themselves, with the epoch that they
// got when they took over, and share the clients' connections. (A client for
// each of a thousand tasks would have thousands of connections, too.)
type transactor struct {
	s     *System
	p     *producer // topics, and the words of errors
	links []*link
	next  atomic.Uint32
	codec kgo.Compressor

	// buffered is the memory of all writers' batches.
	buffered atomic.Int64

	mu      sync.Mutex
	known   bool // that the brokers have transactions
	epochs  bool // an InitProducerID may say whose epoch it goes on from (KIP-360)
	leaders map[string]*topicLeaders
}

// txnClients is how many clients all writers share. A broker works on one
// request of a connection at a time, and a write waits for the replicas; with
// few clients tasks that commit at the same time wait for each other.
const txnClients = 4

// topicLeaders are the leaders of a topic's partitions, as last asked.
type topicLeaders struct {
	mu    sync.Mutex
	asked time.Time
	nodes []int32 // -1: none
}

// transactor gives the one that all writers share.
func (s *System) transactor() (*transactor, error) {
	s.txnMu.Lock()
	defer s.txnMu.Unlock()
	if s.txn != nil {
		return s.txn, nil
	}
	set := s.sides[producerSide].settings
	codec, err := kgo.DefaultCompressor(set.compression)
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", s.name, err)
	}
	t := &transactor{s: s, codec: codec, leaders: map[string]*topicLeaders{}}
	for range txnClients {
		l, err := s.connect("transactions", producerSide,
			kgo.MaxVersions(txnVersions()), kgo.RequiredAcks(kgo.AllISRAcks()))
		if err != nil {
			for _, l := range t.links {
				s.drop(l)
			}
			return nil, err
		}
		t.links = append(t.links, l)
	}
	t.p = &producer{s: s, link: t.links[0], set: set, limits: newLimits(s.name, set), topics: map[string]int32{}}
	s.txn = t
	return t, nil
}

// txnVersions keeps requests to the first protocol of transactions, which all
// brokers since 0.11 know: partitions are added in so many words, and the epoch
// changes when another writer takes over, not with each transaction (KIP-890).
func txnVersions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
	v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	v.SetMaxKeyVersion(int16(kmsg.InitProducerID), 4)
	v.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3)
	return v
}

// TakeOver asks the transaction coordinator for the producer id and a new
// epoch, which fences the writer before.
func (s *System) TakeOver(ctx context.Context, o system.TransactionOptions) (system.TransactionalOutbox, error) {
	t, err := s.transactor()
	if err != nil {
		return nil, err
	}
	l := t.links[int(t.next.Add(1))%len(t.links)]
	failed := func(err error) error {
		return fmt.Errorf("system %s: take over the transactions of %s: %w", s.name, o.Name, err)
	}
	if err := l.reach(ctx); err != nil {
		return nil, failed(err)
	}
	if err := t.supported(ctx, l); err != nil {
		return nil, failed(txnError(o.ID, err, 0, 0))
	}
	b := newTxnOutbox(t, l, o)
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &b.id
	req.TransactionTimeoutMillis = int32(min(o.Timeout.Milliseconds(), 1<<31-1))
	req.ProducerID, req.ProducerEpoch = -1, -1
	err = b.coordinate(ctx, takeOverPatience, func(ctx context.Context) error {
		resp, err := req.RequestWith(ctx, l.client)
		if err != nil {
			return err
		}
		b.pid, b.epoch = resp.ProducerID, resp.ProducerEpoch
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, kerr.InvalidTransactionTimeout):
		allowed, _, _ := s.brokerSetting(ctx, maxTimeoutSetting)
		return nil, s.timeoutError(o, allowed)
	case errors.Is(err, kerr.CoordinatorNotAvailable):
		err = noCoordinator(err)
	case errors.Is(err, kerr.ConcurrentTransactions):
		err = fmt.Errorf("the transaction before is still being ended after %v: a broker that holds one of its partitions may be down: %w", takeOverPatience, err)
	}
	return nil, failed(txnError(o.ID, err, 0, o.Timeout))
}

func noCoordinator(err error) error {
	return fmt.Errorf("Kafka has no coordinator for it: the brokers' transaction.state.log.replication.factor and transaction.state.log.min.isr may ask for more brokers than there are: %w", err)
}

// CheckTransactions asks for the brokers' version, for the longest time-out
// that they allow, for the id's coordinator, and whether the user may find it
// and write under the id.
func (s *System) CheckTransactions(ctx context.Context, o system.TransactionOptions) error {
	t, err := s.transactor()
	if err != nil {
		return err
	}
	l := t.links[0]
	if err := l.reach(ctx); err != nil {
		return err
	}
	failed := func(err error) error {
		return fmt.Errorf("system %s: transactions: %w", s.name, txnError(o.ID, err, 0, o.Timeout))
	}
	if err := t.supported(ctx, l); err != nil {
		return failed(err)
	}
	if allowed, ok, _ := s.brokerSetting(ctx, maxTimeoutSetting); ok {
		if most, err := strconv.ParseInt(allowed, 10, 64); err == nil && o.Timeout.Milliseconds() > most {
			return s.timeoutError(o, allowed)
		}
	}
	b := newTxnOutbox(t, l, o)
	defer b.end()
	// Without transactions so far, Kafka makes the coordinators' topic now.
	err = b.coordinate(ctx, findPatience, func(ctx context.Context) error {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = o.ID, []string{o.ID}, 1
		resp, err := req.RequestWith(ctx, l.client)
		if err != nil {
			return err
		}
		code := resp.ErrorCode
		for _, c := range resp.Coordinators {
			code = c.ErrorCode
		}
		return kerr.ErrorForCode(code)
	})
	if errors.Is(err, kerr.CoordinatorNotAvailable) {
		err = noCoordinator(err)
	}
	if err != nil {
		return failed(err)
	}
	if err := b.mayWrite(ctx); err != nil {
		return failed(err)
	}
	return nil
}

// mayWrite finds out if the user may write under the id, which may be another
// right than to find its coordinator. It asks for the end of a transaction of a
// producer that there cannot be: after the question for the right the
// coordinator refuses that, and nothing is changed.
func (o *txnOutbox) mayWrite(ctx context.Context) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = o.id, -1, -1
	err := o.coordinate(ctx, findPatience, func(ctx context.Context) error {
		resp, err := req.RequestWith(ctx, o.link.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		return err
	}
	return nil // whatever else keeps the job from writing, it says itself
}

// findPatience is for how long a check waits until there is a coordinator.
const findPatience = 15 * time.Second

// supported asks a broker, once, if it knows of transactions.
func (t *transactor) supported(ctx context.Context, l *link) error {
	t.mu.Lock()
	known := t.known
	t.mu.Unlock()
	if known {
		return nil
	}
	resp, err := patient(ctx, l, func() (*kmsg.ApiVersionsResponse, error) {
		return kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, l.client)
	})
	if err != nil {
		return err
	}
	for _, need := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn} {
		if !slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == int16(need) }) {
			return errTxnVersion
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = true
	t.epochs = slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return k.ApiKey == int16(kmsg.InitProducerID) && k.MaxVersion >= 3
	})
	return nil
}

func (t *transactor) keepsEpochs() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.epochs
}

// takeOverPatience bounds for how long a take-over waits for the coordinator to
// be ready, and for the transaction before to be ended.
const takeOverPatience = time.Minute

const maxTimeoutSetting = "transaction.max.timeout.ms"

// timeoutError names the time-out that was asked for and the one that is
// allowed; "" if that is not known.
func (s *System) timeoutError(o system.TransactionOptions, allowed string) error {
	setting := maxTimeoutSetting
	if allowed != "" {
		setting += " (" + allowed + ")"
	}
	key := config.TaskCommit.Name()
	if !config.TaskCommit.IsSet(s.conf) && config.TaskCommitMaxDelay.IsSet(s.conf) {
		key = config.TaskCommitMaxDelay.Name()
	}
	return &config.Error{Key: key, Origin: s.conf.Origin(key),
		Problem: fmt.Sprintf("the time-out of %s's transactions would be %d ms, more than the brokers' %s allows", o.Name, o.Timeout.Milliseconds(), setting),
		Hint:    "it is three times task.commit.ms and task.commit.max.delay.ms: lower them, or raise the brokers' setting"}
}

// Cluster is the id that the brokers gave themselves.
func (s *System) Cluster(ctx context.Context) (string, error) {
	l, cl, err := s.admin(ctx)
	if err != nil {
		return "", err
	}
	meta, err := patient(ctx, l, func() (kadm.Metadata, error) { return cl.BrokerMetadata(ctx) })
	if err != nil {
		return "", fmt.Errorf("system %s: ask for the cluster's id: %w", s.name, err)
	}
	return meta.Cluster, nil
}

// leader gives the node that leads a partition, by an answer no older than
// since.
func (t *transactor) leader(ctx context.Context, l *link, topic string, partition int32, since time.Time) (int32, error) {
	t.mu.Lock()
	known := t.leaders[topic]
	if known == nil {
		known = &topicLeaders{}
		t.leaders[topic] = known
	}
	t.mu.Unlock()
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.asked.IsZero() || known.asked.Before(since) {
		asked := time.Now()
		nodes, err := t.askLeaders(ctx, l, topic)
		if err != nil {
			return -1, err
		}
		known.nodes, known.asked = nodes, asked
	}
	if int(partition) >= len(known.nodes) {
		return -1, fmt.Errorf("partition %d: %w", partition, kerr.UnknownTopicOrPartition)
	}
	if n := known.nodes[partition]; n >= 0 {
		return n, nil
	}
	return -1, kerr.LeaderNotAvailable
}

func (t *transactor) askLeaders(ctx context.Context, l *link, topic string) ([]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, kerr.UnknownTopicOrPartition
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	nodes := make([]int32, len(resp.Topics[0].Partitions))
	for i := range nodes {
		nodes[i] = -1
	}
	for _, p := range resp.Topics[0].Partitions {
		if int(p.Partition) < len(nodes) {
			nodes[p.Partition] = p.Leader
		}
	}
	return nodes, nil
}

var _ system.Transactional = (*System)(nil)

func partitionName(topic string, partition int32) string {
	return topic + " [" + strconv.Itoa(int(partition)) + "]"
}
