package yarnfake

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/yarn"
	"heddle/yarn/hadoopconf"
)

// Options say what kind of cluster it is. The zero value is one node of 8 GiB and
// 8 cores which runs processes.
type Options struct {
	// Dir is where nodes keep their files; "" is a new temporary folder that Close removes.
	Dir string
	// Nodes is the number of NodeManagers; default 1. Their hosts are 127.0.0.1,
	// 127.0.0.2, ... where the machine has those addresses.
	Nodes int
	// NodeResource is the size of each; default 8192 MiB, 8 vcores.
	NodeResource yarn.Resource
	// Racks has the rack of each node, in order; missing ones are yarn.DefaultRack.
	Racks []string
	// Maximum is the largest container; default 4096 MiB, 4 vcores.
	Maximum yarn.Resource
	// ResourceManagers is how many there are; all but one are standbys, which refuse
	// by StandbyException; default 1.
	ResourceManagers int
	// Heartbeat is the time between two rounds of the scheduler; default 20 ms.
	Heartbeat time.Duration
	// KillDelay is the time between SIGTERM and SIGKILL; default 250 ms.
	KillDelay time.Duration
	// MaxAttempts is how often a master may be started; default 2.
	MaxAttempts int32
	// Expiry is how long a master may be silent; 0: for ever.
	Expiry time.Duration
	// NoProcesses keeps containers in the books only; Exit ends them.
	NoProcesses bool
	// Logger gets what happens; nil: none.
	Logger *slog.Logger
}

// Cluster is a running cluster. Safe for concurrent use.
type Cluster struct {
	o       Options
	log     *slog.Logger
	confDir string
	ownDir  bool
	started time.Time
	closing chan struct{}
	wg      sync.WaitGroup

	// mu guards all below, and everything that hangs on it.
	mu      sync.Mutex
	closed  bool
	doors   []*door
	active  int
	epoch   int64
	nextApp int32
	apps    map[yarn.ApplicationID]*app
	nodes   []*node
	keys    keyRing
	faults  []*fault
	calls   map[string]int
	webHost string
	web     *http.Server
}

// New starts a cluster that ends with the test.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Start starts a cluster. Close it.
func Start(o Options) (_ *Cluster, err error) {
	o.Nodes = cmp.Or(o.Nodes, 1)
	o.NodeResource = cmp.Or(o.NodeResource, yarn.Resource{MemoryMiB: 8192, VCores: 8})
	o.Maximum = cmp.Or(o.Maximum, yarn.Resource{MemoryMiB: 4096, VCores: 4})
	o.ResourceManagers = cmp.Or(o.ResourceManagers, 1)
	o.Heartbeat = cmp.Or(o.Heartbeat, 20*time.Millisecond)
	o.KillDelay = cmp.Or(o.KillDelay, 250*time.Millisecond)
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 2)
	c := &Cluster{
		o: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), started: time.Now(), closing: make(chan struct{}),
		apps: map[yarn.ApplicationID]*app{}, calls: map[string]int{}, keys: newKeyRing(),
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.o.Dir == "" {
		if c.o.Dir, err = os.MkdirTemp("", "yarnfake-"); err != nil {
			return nil, err
		}
		c.ownDir = true
	}
	// Processes have other working folders.
	if c.o.Dir, err = filepath.Abs(c.o.Dir); err != nil {
		return nil, err
	}
	for i := range o.Nodes {
		n, err := c.startNode(i)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	for range o.ResourceManagers {
		d := &door{}
		c.doors = append(c.doors, d)
		if err := c.open(d); err != nil {
			return nil, err
		}
	}
	if err := c.startWeb(); err != nil {
		return nil, err
	}
	if err := c.writeConf(); err != nil {
		return nil, err
	}
	c.wg.Go(c.heartbeats)
	return c, nil
}

// Close ends all processes and servers, and removes the folder that Start made.
func (c *Cluster) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.closing)
	for _, a := range c.apps {
		for _, k := range a.containers {
			k.terminate(0)
		}
	}
	nodes, web := c.nodes, c.web
	c.mu.Unlock()
	for _, s := range c.servers() {
		s.Close()
	}
	for _, n := range nodes {
		n.shut()
	}
	if web != nil {
		web.Close()
	}
	c.wg.Wait()
	if c.ownDir {
		_ = os.RemoveAll(c.o.Dir)
	}
}

// Conf is the configuration in the cluster's folder.
func (c *Cluster) Conf() *hadoopconf.Conf {
	conf, err := hadoopconf.Load(c.confDir)
	if err != nil {
		panic(fmt.Sprintf("yarnfake wrote a configuration that cannot be read: %v", err)) // a bug of the fake
	}
	return conf
}

// WebAddress is host:port of the ResourceManager's web server, with the proxy to
// tracking URLs at /proxy/{application}/.
func (c *Cluster) WebAddress() string { return c.webHost }

// writeConf writes what a client of the cluster needs.
func (c *Cluster) writeConf() error {
	c.confDir = filepath.Join(c.o.Dir, "conf")
	if err := os.MkdirAll(c.confDir, 0o755); err != nil {
		return err
	}
	yarnSite := [][2]string{
		{"yarn.resourcemanager.webapp.address", c.webHost},
		{"yarn.resourcemanager.connect.max-wait.ms", "60000"},
	}
	suffix := func(i int) string { return "" }
	if len(c.doors) > 1 {
		suffix = func(i int) string { return ".rm" + strconv.Itoa(i+1) }
		var ids []string
		for i := range c.doors {
			ids = append(ids, "rm"+strconv.Itoa(i+1))
		}
		yarnSite = append(yarnSite, [2]string{"yarn.resourcemanager.ha.enabled", "true"},
			[2]string{"yarn.resourcemanager.ha.rm-ids", strings.Join(ids, ",")})
	}
	for i, d := range c.doors {
		yarnSite = append(yarnSite,
			[2]string{"yarn.resourcemanager.address" + suffix(i), d.clientAddr},
			[2]string{"yarn.resourcemanager.scheduler.address" + suffix(i), d.schedulerAddr})
	}
	shared := filepath.Join(c.o.Dir, "shared")
	if err := os.MkdirAll(shared, 0o755); err != nil {
		return err
	}
	coreSite := [][2]string{{"fs.defaultFS", "file:///"}, {"hadoop.tmp.dir", shared}}
	return errors.Join(
		writeSite(filepath.Join(c.confDir, "core-site.xml"), coreSite),
		writeSite(filepath.Join(c.confDir, "yarn-site.xml"), yarnSite))
}

func writeSite(path string, properties [][2]string) error {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<configuration>\n")
	for _, p := range properties {
		b.WriteString("  <property><name>" + p[0] + "</name><value>")
		if err := xml.EscapeText(&b, []byte(p[1])); err != nil {
			return err
		}
		b.WriteString("</value></property>\n")
	}
	b.WriteString("</configuration>\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// listenHost gives the host of the i-th node: an address of its own if the machine has one.
func listenHost(i int) string {
	host := "127.0.0." + strconv.Itoa(i%250+1)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	_ = l.Close()
	return host
}
