package broker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// node is a broker's place in a cluster.
type node struct {
	name   string
	port   int // where the other nodes reach it
	routes []*url.URL
}

// join makes a single broker's options those of a node.
func (n *node) join(o *server.Options) {
	o.ServerName = n.name
	// The nodes speak to each other only after NATS' own listener is open.
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	o.Cluster = server.ClusterOpts{Name: "ostatok", Host: "127.0.0.1", Port: n.port, NoAdvertise: true}
	o.Routes = n.routes
}

// Cluster is a few brokers that act as one: what was acknowledged by one of them
// survives its end.
type Cluster struct {
	options Options
	nodes   []*node
	Brokers []*Broker // a closed one stays in its place; see Restart
}

// ErrNarrow is a cluster on a 32-bit machine: NATS' own counters are not laid out
// for one, and the process would end.
var ErrNarrow = errors.New("cannot start a cluster: NATS needs a 64-bit machine for one")

// StartCluster starts n brokers, three or more, as one cluster, and returns when they have
// chosen a leader. Options.Dir is needed: each node has a folder in it.
// Options.Listen must be empty; each node has a port of its own. ErrNarrow is
// returned where NATS cannot do it.
func StartCluster(n int, o Options) (*Cluster, error) {
	if strconv.IntSize < 64 {
		return nil, ErrNarrow
	}
	if o.Dir == "" || o.Listen != "" || n < 3 {
		return nil, errors.New("a cluster needs three nodes, a folder, and no address")
	}
	c := &Cluster{options: o, Brokers: make([]*Broker, n)}
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var routes []*url.URL
	for i := range n {
		routes = append(routes, &url.URL{Scheme: "nats", Host: "127.0.0.1:" + strconv.Itoa(ports[i])})
	}
	for i := range n {
		c.nodes = append(c.nodes, &node{name: "node" + strconv.Itoa(i+1), port: ports[i], routes: routes})
	}
	for i := range n {
		if err := c.start(i, "127.0.0.1:"+strconv.Itoa(ports[n+i])); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.await(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(i int, listen string) error {
	o := c.options
	o.Listen, o.Dir = listen, filepath.Join(o.Dir, c.nodes[i].name)
	var err error
	c.Brokers[i], err = start(o, c.nodes[i])
	return err
}

// URLs are those of all nodes, in order.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, b := range c.Brokers {
		urls = append(urls, b.URL())
	}
	return urls
}

// Restart starts a node that was closed, at its old address with its old files.
func (c *Cluster) Restart(i int) error { return c.start(i, c.Brokers[i].Address()) }

// Close ends all nodes.
func (c *Cluster) Close() error {
	var all []error
	for _, b := range c.Brokers {
		if b != nil {
			all = append(all, b.Close())
		}
	}
	return errors.Join(all...)
}

// await returns when every node knows of the leader: before that MQTT sessions
// are refused.
func (c *Cluster) await() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		leaders, current := 0, 0
		for _, b := range c.Brokers {
			if b.server.JetStreamIsLeader() {
				leaders++
			}
			if b.server.JetStreamIsCurrent() {
				current++
			}
		}
		if leaders == 1 && current == len(c.Brokers) {
			return nil
		}
	}
	return fmt.Errorf("the cluster chose no leader within %v", patience)
}

// freePorts finds ports that nobody listens on. The nodes must know each other's
// before any of them is open.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // all stay open until all are known, so that none comes twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
