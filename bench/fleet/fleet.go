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
	Nodes []*node.Process
	dir   string
	http  *http.Client
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
	f := &Fleet{dir: dir, http: &http.Client{Timeout: 10 * time.Second}}
	if n == 1 {
		err = f.alone(binary, flags)
	} else {
		err = f.cluster(ctx, binary, n, flags)
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
	_ = os.RemoveAll(f.dir) // of temporary files
}

func (f *Fleet) alone(binary string, flags []string) error {
	addr, err := node.FreeAddr()
	if err != nil {
		return err
	}
	return f.begin(binary, "node", addr, flags)
}

// begin runs a node and waits until it is ready.
func (f *Fleet) begin(binary, name, addr string, more []string) error {
	dir := filepath.Join(f.dir, name)
	args := append([]string{"serve", "--data", dir, "--listen", addr, "--log-level", "error", "--rate-limit-address", "0", "--api-keys-per-hour", "0"}, more...)
	cmd := exec.Command(binary, args...)
	ownGroup(cmd)
	p, err := node.Run(cmd, addr, "/readyz")
	if err != nil {
		return err
	}
	p.Dir = dir
	f.Nodes = append(f.Nodes, p)
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	p.Token = strings.TrimSpace(string(token))
	return err
}

func (f *Fleet) cluster(ctx context.Context, binary string, n int, flags []string) error {
	ca := filepath.Join(f.dir, "ca")
	if err := command(ctx, binary, "cluster", "init-ca", "--dir", ca); err != nil {
		return err
	}
	var names, addrs, peers []string
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		addr, err1 := node.FreeAddr()
		peer, err2 := node.FreeAddr()
		err3 := command(ctx, binary, "cluster", "issue", "--dir", ca, "--name", name, "--host", "127.0.0.1")
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		names, addrs, peers = append(names, name), append(addrs, addr), append(peers, peer)
	}
	for i, name := range names {
		args := append([]string{"--name", name, "--found", "--cluster-listen", peers[i], "--discovery", "static", "--peers", strings.Join(peers, ","),
			"--cluster-ca", filepath.Join(ca, "ca.pem"), "--cluster-cert", filepath.Join(ca, name+".pem"), "--cluster-key", filepath.Join(ca, name+".key")}, flags...)
		if err := f.begin(binary, name, addrs[i], args); err != nil {
			return err
		}
	}
	return f.placed(ctx)
}

// picture is what is looked at of the cluster's state.
type picture struct {
	Nodes []struct {
		Number  uint16
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

// placed waits until all shards have their replicas and the leaders are spread.
func (f *Fleet) placed(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, placedMax)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	why := "no node tells"
	for {
		if p, err := f.picture(limit); err == nil {
			if why = p.lacks(len(f.Nodes)); why == "" {
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

func (f *Fleet) picture(ctx context.Context) (*picture, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.Nodes[0].Addr+"/v1/cluster", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+f.Nodes[0].Token)
	res, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("state of the cluster: %s", res.Status)
	}
	p := &picture{}
	return p, json.NewDecoder(res.Body).Decode(p)
}

// lacks says what is not in its place yet, "" for nothing.
func (p *picture) lacks(size int) string {
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
