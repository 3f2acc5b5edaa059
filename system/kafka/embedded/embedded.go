package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
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
