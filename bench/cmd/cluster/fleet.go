package main

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

	"footfall/bench/driver"
	"footfall/bench/node"
)

// size is how many nodes a fleet has, shards how many shards.
const (
	size      = 3
	shards    = 256
	placedMax = 5 * time.Minute
	lookEvery = 20 * time.Millisecond
)

// fleet is nodes that found one another.
type fleet struct {
	r     *report
	dir   string
	nodes [size]*member
	http  *http.Client
}

// member is one of them, through all its lives.
type member struct {
	*node.Process
	number  uint16
	name    string
	addr    string // of HTTP
	cluster string
	args    []string
}

// startFleet runs nodes with certificates and waits until every shard has three
// replicas.
func (r *report) startFleet() (*fleet, error) {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return nil, err
	}
	f := &fleet{r: r, dir: dir, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: time.Minute}}
	if err := f.start(); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (f *fleet) start() error {
	ca := filepath.Join(f.dir, "ca")
	if _, err := output(f.r.binary, "cluster", "init-ca", "--dir", ca); err != nil {
		return err
	}
	var peers []string
	for i := range f.nodes {
		m := &member{name: fmt.Sprintf("n%d", i+1)}
		var err1, err2 error
		m.addr, err1 = node.FreeAddr()
		m.cluster, err2 = node.FreeAddr()
		_, err3 := output(f.r.binary, "cluster", "issue", "--dir", ca, "--name", m.name, "--host", "127.0.0.1")
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		f.nodes[i] = m
		peers = append(peers, m.cluster)
	}
	for _, m := range f.nodes {
		m.args = []string{"serve", "--name", m.name, "--data", filepath.Join(f.dir, m.name), "--listen", m.addr, "--log-level", "error",
			"--rate-limit-address", "0", "--api-keys-per-hour", "0", "--found", "--cluster-listen", m.cluster, "--discovery", "static", "--peers", strings.Join(peers, ","),
			"--cluster-ca", filepath.Join(ca, "ca.pem"), "--cluster-cert", filepath.Join(ca, m.name+".pem"), "--cluster-key", filepath.Join(ca, m.name+".key")}
		if err := f.begin(m); err != nil {
			return err
		}
	}
	return f.placed()
}

// begin runs a node and waits until it is ready.
func (f *fleet) begin(m *member) error {
	p, err := node.Run(exec.Command(f.r.binary, m.args...), m.addr, "/readyz")
	if err != nil {
		return err
	}
	m.Process, p.Dir = p, filepath.Join(f.dir, m.name)
	token, err := os.ReadFile(filepath.Join(p.Dir, "token"))
	p.Token = strings.TrimSpace(string(token))
	return err
}

func (f *fleet) stop() {
	for _, m := range f.nodes {
		if m != nil && m.Process != nil {
			m.Kill()
		}
	}
	f.http.CloseIdleConnections()
	_ = os.RemoveAll(f.dir) // of temporary files
}

// picture is what is looked at of the cluster's state.
type picture struct {
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

func (f *fleet) picture(m *member) (*picture, error) {
	ctx, cancel := context.WithTimeout(f.r.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.addr+"/v1/cluster", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+m.Token)
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

// placed waits until all shards have three replicas that are level, and the
// leaders are spread.
func (f *fleet) placed() error {
	end := time.Now().Add(placedMax)
	why := ""
	for time.Now().Before(end) {
		p, err := f.picture(f.nodes[0])
		if err == nil {
			if why = p.lacks(); why == "" {
				for _, n := range p.Nodes {
					for _, m := range f.nodes {
						if m.name == n.Name {
							m.number = n.Number
						}
					}
				}
				return nil
			}
		}
		if err := f.r.sleep(lookEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("shards are not in their places after %v: %s", placedMax, why)
}

func (p *picture) lacks() string {
	for _, n := range p.Nodes {
		if n.Leaders < shards/size*3/4 {
			return fmt.Sprintf("node %d leads %d shards", n.Number, n.Leaders)
		}
	}
	count := 0
	for _, s := range p.Shards {
		if s.ID >= shards {
			continue
		}
		count++
		if s.Leader == 0 || s.Op != nil || len(s.Members) != size {
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

// cpu is the time that all nodes have used.
func (f *fleet) cpu() (each [size]time.Duration, sum time.Duration, err error) {
	for i, m := range f.nodes {
		if each[i], err = driver.CPU(m.PID()); err != nil {
			return each, 0, err
		}
		sum += each[i]
	}
	return each, sum, nil
}

func output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, b)
	}
	return string(b), nil
}
