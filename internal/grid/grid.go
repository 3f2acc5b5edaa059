package grid

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Part is a part of the grid that a test needs.
type Part string

// The parts of the grid, by the names bin/grid.sh has for them.
const (
	Kafka Part = "kafka"
	HDFS  Part = "hdfs"
	YARN  Part = "yarn"
)

// Grid is a running grid: its addresses, as `bin/grid.sh env` gives them.
type Grid struct {
	Home          string // folder of the grid (GRID_HOME)
	HadoopConfDir string // client configuration of HDFS and YARN (HADOOP_CONF_DIR)
	KafkaAddress  string // host:port of the broker (KAFKA_BOOTSTRAP_SERVERS)
	DefaultFS     string // hdfs://host:port (GRID_DEFAULT_FS)
	NameNodeWeb   string // http://host:port (GRID_NAMENODE_WEB)
	RMWeb         string // http://host:port of the ResourceManager (GRID_RM_WEB)

	// With --secure: a folder, and the listeners with mutual TLS and with SASL.
	SecureDir        string // GRID_SECURE
	KafkaSSLAddress  string // host:port (KAFKA_SSL_BOOTSTRAP_SERVERS)
	KafkaSASLAddress string // host:port (KAFKA_SASL_BOOTSTRAP_SERVERS)
}

// Use returns the running grid. Without parts, all of them are meant. It skips the test when the
// environment names no grid, or fails it when the environment says CI=true; it fails the test when
// the environment names a grid that does not answer.
func Use(t testing.TB, parts ...Part) *Grid {
	t.Helper()
	if len(parts) == 0 {
		parts = []Part{Kafka, HDFS, YARN}
	}
	g := fromEnvironment(os.Getenv)
	if missing := g.missing(parts); missing != "" {
		message := "this test needs the grid, and " + missing + ` is not set: bin/grid.sh start --secure && eval "$(bin/grid.sh env)"`
		if os.Getenv("CI") == "true" {
			t.Fatal(message + " (with CI=true a skip is a failure)")
		}
		t.Skip(message)
	}
	for _, part := range parts {
		if err := g.answers(t.Context(), part); err != nil {
			t.Fatalf("the grid named by the environment does not answer (bin/grid.sh status says more): %v", err)
		}
	}
	return g
}

func fromEnvironment(getenv func(string) string) *Grid {
	return &Grid{
		Home:          getenv("GRID_HOME"),
		HadoopConfDir: getenv("HADOOP_CONF_DIR"),
		KafkaAddress:  getenv("KAFKA_BOOTSTRAP_SERVERS"),
		DefaultFS:     getenv("GRID_DEFAULT_FS"),
		NameNodeWeb:   getenv("GRID_NAMENODE_WEB"),
		RMWeb:         getenv("GRID_RM_WEB"),

		SecureDir:        getenv("GRID_SECURE"),
		KafkaSSLAddress:  getenv("KAFKA_SSL_BOOTSTRAP_SERVERS"),
		KafkaSASLAddress: getenv("KAFKA_SASL_BOOTSTRAP_SERVERS"),
	}
}

// missing names the first variable that the parts need and that is not set.
func (g *Grid) missing(parts []Part) string {
	type variable struct{ name, value string }
	for _, part := range parts {
		var needed []variable
		switch part {
		case Kafka:
			needed = []variable{{"KAFKA_BOOTSTRAP_SERVERS", g.KafkaAddress}}
		case Secure:
			needed = []variable{{"KAFKA_BOOTSTRAP_SERVERS", g.KafkaAddress}, {"GRID_SECURE", g.SecureDir}}
		case HDFS:
			needed = []variable{{"HADOOP_CONF_DIR", g.HadoopConfDir}, {"GRID_NAMENODE_WEB", g.NameNodeWeb}}
		case YARN:
			needed = []variable{{"HADOOP_CONF_DIR", g.HadoopConfDir}, {"GRID_RM_WEB", g.RMWeb}}
		}
		for _, v := range needed {
			if v.value == "" {
				return v.name
			}
		}
	}
	return ""
}

// answered holds the parts that have answered once in this process, by address.
var answered sync.Map

// answers reports why a part of the grid cannot be reached.
func (g *Grid) answers(ctx context.Context, part Part) error {
	address := g.KafkaAddress
	switch part {
	case Secure:
		address = g.KafkaSASLAddress
	case HDFS:
		address = g.NameNodeWeb
	case YARN:
		address = g.RMWeb
	}
	if _, ok := answered.Load(address); ok {
		return nil
	}
	hostPort := address
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		hostPort = u.Host
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	answered.Store(address, true)
	return conn.Close()
}

// Eventually asks until done says true, every tenth of a second, and fails the test after limit
// with what done said last.
func Eventually(t testing.TB, limit time.Duration, what string, done func() (ok bool, state string)) {
	t.Helper()
	deadline := time.After(limit)
	ended := t.Context().Done()
	if t.Context().Err() != nil {
		ended = nil // in a clean-up, which runs after the test has ended
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := done()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s; last seen: %s", what, limit, cmp.Or(state, "nothing"))
		case <-ended:
			t.Fatalf("%s: the test ended; last seen: %s", what, cmp.Or(state, "nothing"))
		case <-tick.C:
		}
	}
}

// Checkout is the root of this source tree, so that tests find bin/ and examples/.
func Checkout() string {
	_, file, _, ok := runtime.Caller(0)
	if ok {
		if root := filepath.Dir(filepath.Dir(filepath.Dir(file))); filepath.IsAbs(root) {
			return root
		}
	}
	dir, err := os.Getwd() // built with -trimpath: go test runs in the package's folder
	for err == nil && dir != filepath.Dir(dir) {
		if _, statErr := os.Stat(filepath.Join(dir, "bin", "grid.sh")); statErr == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}
