// Package testcluster runs a whole cluster as its operators do: nodes that are
// processes of their own, a real Consul, a real HAProxy with the files of
// deploy/haproxy, certificates, and between all of them a network that tests can
// break. It speaks HTTP and signals alone; it must never look into a node from
// inside, nor take a time that passes for a sign that something happened. Start
// at Start.
package testcluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"footfall/cluster/transport/authority"
	"footfall/internal/testcluster/testbalancer"
	"footfall/internal/testcluster/testconsul"
	"footfall/internal/testcluster/testproxy"
	"footfall/internal/testnode"
	"footfall/internal/testprocess"
)

// Options of a cluster. The zero value is three nodes of the development build
// that know one another by a list, without a balancer.
type Options struct {
	Nodes  int // started by Start; default 3
	Spares int // further nodes, prepared but not started

	Consul  bool // nodes find one another by a real Consul instead of a list
	HAProxy bool // at most eight nodes, spares included

	Insecure bool                   // no certificates between nodes
	Release  bool                   // bin/footfall instead of bin/footfall-dev; the network cannot be broken then
	Zones    []string               // of the nodes in turn; default none
	Args     []string               // further flags of every node
	ArgsOf   func(n *Node) []string // further flags of one; nil for none
	Env      []string               // further environment of every node, "NAME=value"
}

// Cluster is what Start made. The methods that break the network may be called
// concurrently; those of one node as testnode says.
type Cluster struct {
	Nodes    []*Node                // spares at the end
	Consul   *testconsul.Server     // nil without
	Balancer *testbalancer.Balancer // nil without

	t      testing.TB
	opts   Options
	client *http.Client
	dir    string
	net    *network
}

// Node is one of a cluster. In all its lives it has the same addresses, data and
// certificate.
type Node struct {
	*testnode.Node
	Index   int    // in Cluster.Nodes
	Name    string // "n1" is the first
	Cluster string // host:port where it listens for the others
	HTTP    string // host:port where it serves
}

// Start runs a cluster and waits until all of its nodes are ready and the
// balancer has found them. Everything ends with the test, and what was printed is
// shown when it has failed.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := New(t, o)
	c.Run()
	return c
}

// Run starts the nodes that New prepared, as Start does.
func (c *Cluster) Run() {
	c.t.Helper()
	for _, n := range c.Nodes[:c.opts.Nodes] {
		n.Begin()
	}
	for _, n := range c.Nodes[:c.opts.Nodes] {
		n.AwaitReady()
	}
	if c.Balancer != nil {
		testnode.Until(c.t, "the balancer has found the nodes", func() bool { return c.Balancer.Sees(c.opts.Nodes) })
	}
}

// New is Start without starting the nodes.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	c := &Cluster{t: t, opts: o, client: testnode.NewClient(), dir: t.TempDir()}
	t.Cleanup(c.client.CloseIdleConnections)
	all := o.Nodes + o.Spares
	ports := testprocess.FreePorts(t, 2*all)
	for i := range all {
		c.Nodes = append(c.Nodes, &Node{
			Index: i, Name: fmt.Sprintf("n%d", i+1),
			Cluster: fmt.Sprintf("127.0.0.1:%d", ports[2*i]), HTTP: fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]),
		})
	}
	if o.Consul {
		c.Consul = testconsul.Start(t, testconsul.Options{Keep: true})
	}
	if !o.Insecure {
		if err := c.issue(); err != nil {
			t.Fatalf("make certificates: %v", err)
		}
	}
	if !o.Release {
		c.net = c.newNetwork()
	}
	for _, n := range c.Nodes {
		args, err := c.args(n)
		if err != nil {
			t.Fatalf("prepare %s: %v", n.Name, err)
		}
		n.Node = testnode.New(t, testnode.Options{Dev: !o.Release, Data: filepath.Join(c.dir, n.Name), Listen: n.HTTP, Args: args, Env: o.Env})
	}
	if o.HAProxy {
		var nodes []string
		for _, n := range c.Nodes {
			nodes = append(nodes, n.HTTP)
		}
		c.Balancer = testbalancer.Start(t, testbalancer.Options{Nodes: nodes})
	}
	return c
}

// issue makes an authority and a certificate for each node.
func (c *Cluster) issue() error {
	dir := filepath.Join(c.dir, "ca")
	maker := authority.Maker{}
	if err := maker.InitCA(dir); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := maker.Issue(dir, n.Name, "127.0.0.1"); err != nil {
			return err
		}
	}
	return nil
}

// args are the flags that make a process the node n.
func (c *Cluster) args(n *Node) ([]string, error) {
	args := []string{"--name", n.Name, "--cluster-listen", n.Cluster, "--found", "--rate-limit-address", "0"}
	if !c.opts.Insecure {
		dir := filepath.Join(c.dir, "ca")
		args = append(args, "--cluster-ca", filepath.Join(dir, authority.CAFile),
			"--cluster-cert", filepath.Join(dir, n.Name+".pem"), "--cluster-key", filepath.Join(dir, n.Name+".key"))
	}
	if zones := c.opts.Zones; len(zones) > 0 {
		args = append(args, "--zone", zones[n.Index%len(zones)])
	}
	if c.net != nil {
		file := filepath.Join(c.dir, n.Name+".via")
		if err := os.WriteFile(file, []byte(c.net.via(n.Index)), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--cluster-via", file)
	}
	if c.Consul == nil {
		var peers []string
		for _, peer := range c.Nodes[:c.opts.Nodes] {
			peers = append(peers, peer.Cluster)
		}
		args = append(args, "--discovery", "static", "--peers", strings.Join(peers, ","))
	} else {
		address := c.Consul.Address
		if c.net != nil {
			address = c.net.consul[n.Index].Address()
		}
		args = append(args, "--discovery", "consul", "--consul-address", address)
	}
	args = append(args, c.opts.Args...)
	if c.opts.ArgsOf != nil {
		args = append(args, c.opts.ArgsOf(n)...)
	}
	return args, nil
}

// newNetwork puts a proxy between each node and each other one, per direction of
// dialling, and between each node and Consul.
func (c *Cluster) newNetwork() *network {
	w := &network{}
	for _, n := range c.Nodes {
		w.addresses = append(w.addresses, n.Cluster)
	}
	for a := range c.Nodes {
		row := make([]*testproxy.Proxy, len(c.Nodes))
		for b, n := range c.Nodes {
			if a != b {
				row[b] = testproxy.New(c.t, n.Cluster)
			}
		}
		w.links = append(w.links, row)
		if c.Consul != nil {
			w.consul = append(w.consul, testproxy.New(c.t, c.Consul.Address))
		}
	}
	return w
}

// Do sends r to the balancer; its Key must be a real one.
func (c *Cluster) Do(ctx context.Context, r testnode.Request) (testnode.Answer, error) {
	c.t.Helper()
	if c.Balancer == nil {
		c.t.Fatal("the cluster has no balancer")
	}
	return testnode.Ask(ctx, c.client, c.Balancer.URL, r)
}

// Send reports v to the balancer.
func (c *Cluster) Send(ctx context.Context, v testnode.View) (testnode.Answer, error) {
	c.t.Helper()
	return c.Do(ctx, v.Request())
}
