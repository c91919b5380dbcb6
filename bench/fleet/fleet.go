// Package fleet runs the program under measurement on this machine: one node,
// or several that are a cluster with certificates between them, on loopback and
// in a folder that goes with them. It must never touch a process or a folder
// that it did not make. Start at Start.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"footfall/bench/node"
)

// Fleet is nodes that run.
type Fleet struct {
	Nodes  []*Node
	Dir    string // of all that is theirs
	binary string
	http   *http.Client
}

// Node is one of them, through all its lives.
type Node struct {
	*node.Process
	Name   string
	Number uint16 // in the cluster, as Placed found it; 0 alone
	addr   string
	args   []string
}

const (
	shards    = 256
	placedMax = 5 * time.Minute
	lookEvery = 50 * time.Millisecond
)

// Start runs n nodes of a binary and waits until they are ready: alone if n is 1,
// else with a replica of every shard on three of them. flags are added to those
// of serve.
func Start(ctx context.Context, binary string, n int, flags ...string) (*Fleet, error) {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return nil, fmt.Errorf("start nodes: %w", err)
	}
	f := &Fleet{Dir: dir, binary: binary, http: &http.Client{Timeout: 10 * time.Second}}
	if n == 1 {
		err = f.alone(flags)
	} else {
		err = f.cluster(ctx, n, flags)
	}
	if err != nil {
		f.Stop()
		return nil, fmt.Errorf("start nodes: %w", err)
	}
	return f, nil
}

// Stop ends the nodes in order, waits for them and removes their folder.
func (f *Fleet) Stop() {
	for _, p := range f.Nodes {
		p.Stop()
	}
	f.http.CloseIdleConnections()
	_ = os.RemoveAll(f.Dir) // of temporary files
}

func (f *Fleet) alone(flags []string) error {
	addr, err := node.FreeAddr()
	if err != nil {
		return err
	}
	return f.add("node", addr, flags)
}

// add runs a further node.
func (f *Fleet) add(name, addr string, more []string) error {
	n := &Node{Name: name, addr: addr, args: append([]string{"serve", "--data", filepath.Join(f.Dir, name), "--listen", addr,
		"--log-level", "error", "--rate-limit-address", "0", "--api-keys-per-hour", "0"}, more...)}
	if err := f.Begin(n); err != nil {
		return err
	}
	f.Nodes = append(f.Nodes, n)
	return nil
}

// Begin runs a node, again if its process was killed, and waits until it is
// ready.
func (f *Fleet) Begin(n *Node) error {
	cmd := exec.Command(f.binary, n.args...)
	ownGroup(cmd)
	p, err := node.Run(cmd, n.addr, "/readyz")
	if err != nil {
		return err
	}
	p.Dir = filepath.Join(f.Dir, n.Name)
	token, err := os.ReadFile(filepath.Join(p.Dir, "token"))
	if err != nil {
		p.Kill()
		return err
	}
	p.Token = strings.TrimSpace(string(token))
	n.Process = p
	return nil
}

func (f *Fleet) cluster(ctx context.Context, n int, flags []string) error {
	ca := filepath.Join(f.Dir, "ca")
	if err := command(ctx, f.binary, "cluster", "init-ca", "--dir", ca); err != nil {
		return err
	}
	var names, addrs, peers []string
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		addr, err1 := node.FreeAddr()
		peer, err2 := node.FreeAddr()
		err3 := command(ctx, f.binary, "cluster", "issue", "--dir", ca, "--name", name, "--host", "127.0.0.1")
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		names, addrs, peers = append(names, name), append(addrs, addr), append(peers, peer)
	}
	for i, name := range names {
		args := append([]string{"--name", name, "--found", "--cluster-listen", peers[i], "--discovery", "static", "--peers", strings.Join(peers, ","),
			"--cluster-ca", filepath.Join(ca, "ca.pem"), "--cluster-cert", filepath.Join(ca, name+".pem"), "--cluster-key", filepath.Join(ca, name+".key")}, flags...)
		if err := f.add(name, addrs[i], args); err != nil {
			return err
		}
	}
	return f.Placed(ctx)
}

// Picture is what is looked at of the cluster's state.
type Picture struct {
	Nodes []struct {
		Number  uint16
		Name    string
		Leaders int
	}
	Shards []struct {
		ID, Leader uint16
		Op         *json.RawMessage
		Members    []struct {
			Role   string
			Active bool
			Lag    uint64
		}
	}
}

// Placed waits until all shards have their replicas, level, and the leaders are
// spread.
func (f *Fleet) Placed(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, placedMax)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	why := "no node tells"
	for {
		if p, err := f.Picture(limit, f.Nodes[0]); err == nil {
			if why = p.lacks(len(f.Nodes)); why == "" {
				f.number(p)
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			return fmt.Errorf("shards are not in their places: %s: %w", why, limit.Err())
		}
	}
}

func (f *Fleet) number(p *Picture) {
	for _, x := range p.Nodes {
		for _, n := range f.Nodes {
			if n.Name == x.Name {
				n.Number = x.Number
			}
		}
	}
}

// Picture asks a node for the state of the cluster.
func (f *Fleet) Picture(ctx context.Context, n *Node) (*Picture, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/v1/cluster", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	res, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("state of the cluster: %s", res.Status)
	}
	p := &Picture{}
	return p, json.NewDecoder(res.Body).Decode(p)
}

// lacks says what is not in its place yet, "" for nothing.
func (p *Picture) lacks(size int) string {
	for _, n := range p.Nodes {
		if n.Leaders < shards/size*3/4 {
			return fmt.Sprintf("node %d leads %d shards", n.Number, n.Leaders)
		}
	}
	count, replicas := 0, min(3, size)
	for _, s := range p.Shards {
		if s.ID >= shards {
			continue
		}
		count++
		if s.Leader == 0 || s.Op != nil || len(s.Members) != replicas {
			return fmt.Sprintf("shard %d has %d members and leader %d", s.ID, len(s.Members), s.Leader)
		}
		for _, m := range s.Members {
			if m.Role != "voter" || !m.Active || m.Lag > 100 {
				return fmt.Sprintf("shard %d has a replica that is not level", s.ID)
			}
		}
	}
	if count != shards || len(p.Nodes) != size {
		return fmt.Sprintf("%d nodes, %d shards", len(p.Nodes), count)
	}
	return ""
}

func command(ctx context.Context, name string, args ...string) error {
	if b, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, b)
	}
	return nil
}
