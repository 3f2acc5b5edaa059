package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Partitions is how many partitions a new topic gets when nobody says.
const Partitions = 4

// ClusterID is the cluster's id of every embedded Kafka: it tells none from another.
const ClusterID = "heddle-embedded"

// Files below <home>/kafka.
const (
	lockFile    = "lock"    // locked by the process that serves
	addressFile = "address" // host:port of the one who serves
	dataFolder  = "data"    // kfake's
)

// Broker is a handle on the Kafka of a folder. Its methods may be called from
// any goroutine.
type Broker struct {
	n    *node
	once sync.Once
	err  error
}

// Ensure makes sure that the Kafka of the folder home is served, by this process
// or by another one, and gives a handle on it. It creates the folder if need be.
// Each handle must be closed; the process serves until its last handle of the
// folder is closed.
//
// While another process serves, Ensure waits until that one has written its
// address. The error says which file stands in the way.
func Ensure(ctx context.Context, home string, log *slog.Logger) (*Broker, error) {
	dir, err := filepath.Abs(filepath.Join(home, "kafka"))
	if err != nil {
		return nil, fmt.Errorf("embedded Kafka: %w", err)
	}
	// One path for one folder, however it was named: the lock belongs to the
	// process, not to the handle.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded Kafka: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("embedded Kafka: %w", err)
	}
	nodesMu.Lock()
	n := nodes[dir]
	if n == nil {
		n = &node{dir: dir, log: log}
		nodes[dir] = n
	}
	n.users++
	nodesMu.Unlock()
	b := &Broker{n: n}
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded Kafka in %s: %w", dir, err), b.Close())
	}
	return b, nil
}

// Addr is the address at which the Kafka is served now, host:port. It may change
// when another process takes over.
func (b *Broker) Addr() string { return b.n.addr() }

// Serves says if this process is the one that serves.
func (b *Broker) Serves() bool {
	b.n.mu.Lock()
	defer b.n.mu.Unlock()
	return b.n.cluster != nil
}

// Close gives the handle back. With the last one the process stops serving, and
// leaves the folder to others.
func (b *Broker) Close() error {
	b.once.Do(func() {
		nodesMu.Lock()
		defer nodesMu.Unlock()
		b.n.users--
		if b.n.users > 0 {
			return
		}
		delete(nodes, b.n.dir)
		b.err = b.n.stop()
	})
	return b.err
}

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

func (n *node) readAddress() string {
	b, err := os.ReadFile(filepath.Join(n.dir, addressFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// writeAddress replaces the file at once, so that nobody reads half of it.
func writeAddress(path, addr string) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(addr+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func portOf(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

func answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
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
