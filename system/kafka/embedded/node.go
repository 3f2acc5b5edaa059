package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// nodes holds what this process has to do with each folder. A new user of a
// folder that is being left waits for the lock of nodes.
var (
	nodesMu sync.Mutex
	nodes   = map[string]*node{}
)

// node is this process's part in one folder: it serves it, or watches the one
// who does.
type node struct {
	dir   string
	log   *slog.Logger
	users int // guarded by nodesMu

	mu       sync.Mutex
	started  bool
	lock     *os.File       // held while serving
	cluster  *kfake.Cluster // while serving
	serving  string         // address while serving
	lastAddr string         // as last read while watching
	quit     chan struct{}
	done     chan struct{}
}

// start serves the folder, or finds the one who serves it.
func (n *node) start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.started {
		return nil
	}
	deadline := time.Now().Add(15 * time.Second)
	for {
		served, err := n.tryServe()
		if err != nil {
			return err
		}
		if !served {
			// The address may be a dead process's, until the new one has written
			// its own; only one that answers counts.
			n.lastAddr = n.readAddress()
			served = n.lastAddr != "" && answers(ctx, n.lastAddr)
		}
		if served {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another process holds %s, but none answers at the address in %s (%s); end that process", lockFile, addressFile, n.lastAddr)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	n.started = true
	n.quit, n.done = make(chan struct{}), make(chan struct{})
	go n.watch(n.quit, n.done)
	return nil
}

// tryServe takes the lock and serves; false if another process holds it. It
// needs n.mu.
func (n *node) tryServe() (bool, error) {
	f, err := os.OpenFile(filepath.Join(n.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	ok, err := tryLock(f)
	if err != nil || !ok {
		return false, errors.Join(err, f.Close())
	}
	// Clients know the last address: with the same port they need not look.
	last := n.readAddress()
	if err := os.Remove(filepath.Join(n.dir, addressFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, errors.Join(err, f.Close())
	}
	cluster, err := serve(n.dir, portOf(last), n.log)
	if err != nil && portOf(last) != 0 {
		cluster, err = serve(n.dir, 0, n.log)
	}
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	addr := cluster.ListenAddrs()[0]
	if err := writeAddress(filepath.Join(n.dir, addressFile), addr); err != nil {
		cluster.Close()
		return false, errors.Join(err, f.Close())
	}
	n.lock, n.cluster, n.serving = f, cluster, addr
	return true, nil
}

func serve(dir string, port int, log *slog.Logger) (*kfake.Cluster, error) {
	return kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.ClusterID(ClusterID),
		kfake.DataDir(filepath.Join(dir, dataFolder)),
		// Acknowledged means on disk.
		kfake.SyncWrites(),
		// Topics that a metadata request makes are not written to disk before
		// the end (kfake 2026-09): package kafka asks for each new topic instead.
		kfake.DefaultNumPartitions(Partitions),
		// A restore goes back to the changelog position of the checkpoint and
		// needs every record since; kfake's cleaner knows no such positions. It
		// first runs in a hundred years.
		kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "3153600000000"}),
		kfake.WithLogger(brokerLog{log}),
	)
}

// watch takes over when the process that serves has ended.
func (n *node) watch(quit, done chan struct{}) {
	defer close(done)
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		n.mu.Lock()
		serving := n.cluster != nil
		n.mu.Unlock()
		if serving {
			return
		}
		select {
		case <-quit:
			return
		case <-t.C:
		}
		n.mu.Lock()
		served, err := n.tryServe()
		addr := n.serving
		n.mu.Unlock()
		switch {
		case err != nil:
			n.log.Warn("embedded Kafka: the process that served it has ended, and this one cannot take over; trying on", "folder", n.dir, "error", err)
		case served:
			n.log.Info("embedded Kafka: the process that served it has ended; this one serves on", "folder", n.dir, "address", addr)
		}
	}
}

func (n *node) addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cluster != nil {
		return n.serving
	}
	if a := n.readAddress(); a != "" {
		n.lastAddr = a
	}
	return n.lastAddr
}

func (n *node) stop() error {
	n.mu.Lock()
	quit, done := n.quit, n.done
	n.mu.Unlock()
	if quit != nil {
		close(quit)
		<-done
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = false
	if n.cluster == nil {
		return nil
	}
	n.cluster.Close()
	n.cluster = nil
	// The address stays: the next to serve takes the port from it.
	err := n.lock.Close()
	n.lock = nil
	return err
}

// slowEnd begins a warning of the broker's that the end of a transaction took
// milliseconds: its writes are synced.
const slowEnd = "txn: EndTxn slow"

// brokerLog takes the broker's log; what is a warning there is nothing that a
// user could do something about, but for lost data.
type brokerLog struct{ log *slog.Logger }

func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	if (level == kfake.LogLevelError || level == kfake.LogLevelWarn) && !strings.HasPrefix(format, slowEnd) {
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.Log(context.Background(), to, "embedded Kafka: "+fmt.Sprintf(format, args...))
	}
}
