package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// shardsMax is how many shards every cluster has.
const shardsMax = 256

// world is a cluster with sites on it.
type world struct {
	*testcluster.Cluster
	t     *testing.T
	sites []string
	key   string // of an API key for statistics, known to all nodes
}

// newWorld starts a cluster, waits until its shards are where they should be, and
// makes sites that all nodes know.
func newWorld(t *testing.T, o testcluster.Options, sites int) *world {
	t.Helper()
	o.Args = append(o.Args, "--api-keys-per-hour", "0")
	return settle(t, testcluster.Start(t, o), o, sites)
}

// settle is newWorld for a cluster that runs.
func settle(t *testing.T, c *testcluster.Cluster, o testcluster.Options, sites int) *world {
	t.Helper()
	w := &world{Cluster: c, t: t}
	nodes := w.Nodes[:max(o.Nodes, 3)]
	if o.Nodes == 1 {
		nodes = w.Nodes[:1]
	}
	w.placed(nodes...)
	for i := range sites {
		site := fmt.Sprintf("site%d.example", i)
		w.Nodes[0].AddSite(t, site, "UTC")
		w.sites = append(w.sites, site)
	}
	w.key = w.Nodes[0].AddKey(t, "stats:read", "")
	for _, n := range nodes {
		w.knows(n)
	}
	return w
}

// knows waits until a node answers about every site.
func (w *world) knows(n *testcluster.Node) {
	w.t.Helper()
	for _, site := range w.sites {
		eventually(w.t, n.Name+" answers about "+site, func() (bool, string) {
			_, err := n.Ask(w.t.Context(), question(site))
			return err == nil, fmt.Sprint(err)
		})
	}
}

func question(site string) testnode.Question {
	return testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: "all"}
}

// status is what an operator sees of the cluster.
type status struct {
	Leading bool
	Cluster struct{ Gate uint32 }
	Nodes   []nodeStatus
	Shards  []shardStatus
}

type nodeStatus struct {
	Number     uint16
	Name       string
	State      string
	Live       bool
	Replicas   int
	Leaders    int
	SpoolBytes uint64 `json:"spool_bytes"`
	Version    string
	Zone       string
	Region     string
	GateMax    uint32 `json:"gate_max"`
}

type shardStatus struct {
	ID      uint16
	Leader  uint16
	Op      *json.RawMessage
	Members []struct {
		Node   uint16
		Role   string
		Lag    uint64
		Active bool
		Failed bool
	}
}

func (s *status) number(name string) uint16 {
	for _, n := range s.Nodes {
		if n.Name == name && n.State != "removed" {
			return n.Number
		}
	}
	return 0
}

// node gives the newest node of a name: one that joined anew has another number.
func (s *status) node(name string) (x nodeStatus) {
	for _, n := range s.Nodes {
		if n.Name == name && n.Number > x.Number {
			x = n
		}
	}
	return x
}

// status asks a node; an error is what its answer said.
func (w *world) status(n *testcluster.Node) (*status, error) {
	a, err := n.Do(w.t.Context(), testnode.Request{Path: "/v1/cluster", Key: testnode.AsOperator})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("%d %s", a.Status, a.Body)
	}
	var s status
	if err := json.Unmarshal(a.Body, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Body, err)
	}
	return &s, nil
}

// placed waits until every shard has its replicas on these nodes alone, three of
// them if there are as many, all level and serving, and every node leads some.
func (w *world) placed(nodes ...*testcluster.Node) {
	w.t.Helper()
	eventually(w.t, "all shards are in their places", func() (bool, string) {
		s, err := w.status(nodes[0])
		if err != nil {
			return false, err.Error()
		}
		return s.placed(nodes)
	})
}

func (s *status) placed(nodes []*testcluster.Node) (bool, string) {
	var numbers []uint16
	for _, n := range nodes {
		x := s.node(n.Name)
		if x.Number == 0 || x.State != "active" {
			return false, fmt.Sprintf("%s is %q", n.Name, x.State)
		}
		if len(nodes) > 1 && x.Leaders == 0 {
			return false, n.Name + " leads nothing"
		}
		numbers = append(numbers, x.Number)
	}
	want, shards := min(3, len(nodes)), 0
	for _, x := range s.Shards {
		if x.ID >= shardsMax {
			continue // who follows the control group is every node
		}
		shards++
		if x.Leader == 0 || x.Op != nil || len(x.Members) != want {
			return false, fmt.Sprintf("shard %+v", x)
		}
		for _, m := range x.Members {
			if m.Role != "voter" || m.Failed || !m.Active && len(nodes) > 1 || !slices.Contains(numbers, m.Node) {
				return false, fmt.Sprintf("shard %+v", x)
			}
		}
	}
	return shards == shardsMax, fmt.Sprintf("%d shards", shards)
}

// leaderless counts the shards without a leader that is one of these nodes.
func (s *status) leaderless(nodes []*testcluster.Node) int {
	count := 0
	for _, x := range s.Shards {
		if !slices.ContainsFunc(nodes, func(n *testcluster.Node) bool { return x.Leader != 0 && s.number(n.Name) == x.Leader }) {
			count++
		}
	}
	return count
}

// led waits until these nodes lead every shard between them.
func (w *world) led(nodes ...*testcluster.Node) {
	w.t.Helper()
	eventually(w.t, "every shard is led", func() (bool, string) {
		s, err := w.status(nodes[0])
		if err != nil {
			return false, err.Error()
		}
		if !slices.ContainsFunc(nodes, func(n *testcluster.Node) bool { return s.node(n.Name).Leaders > 0 }) {
			return false, "no reports"
		}
		left := s.leaderless(nodes)
		return left == 0, fmt.Sprintf("%d are not", left)
	})
}

// order gives an order to the cluster.
func (w *world) order(n *testcluster.Node, path string) {
	w.t.Helper()
	eventually(w.t, path, func() (bool, string) {
		a, err := n.Do(w.t.Context(), testnode.Request{Method: http.MethodPost, Path: "/v1/cluster/" + path, Key: testnode.AsOperator})
		if err != nil {
			return false, err.Error()
		}
		if a.Status != http.StatusNoContent && a.Status != http.StatusServiceUnavailable {
			w.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		return a.Status == http.StatusNoContent, string(a.Body)
	})
}

// written waits until a view of every site, sent to n, is on a majority: the
// answer then carries a token. The views are the load's own.
func (w *world) written(l *load, n *testcluster.Node) (tokens map[string]string) {
	w.t.Helper()
	tokens = map[string]string{}
	for _, site := range w.sites {
		eventually(w.t, "a view of "+site+" reaches a majority", func() (bool, string) {
			v := l.view(site)
			a, err := n.Send(w.t.Context(), v)
			if err != nil || a.Status != http.StatusAccepted {
				return false, fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
			}
			l.know(v)
			tokens[site] = a.Token()
			return a.Token() != "", "it went into the spool"
		})
	}
	return tokens
}

// settled waits until no view of these nodes waits in a spool any more.
func (w *world) settled(nodes ...*testcluster.Node) {
	w.t.Helper()
	eventually(w.t, "the spools are empty", func() (bool, string) {
		for _, n := range nodes {
			if bytes := n.Metric(w.t, "footfall_spool_bytes"); bytes != 0 {
				return false, fmt.Sprintf("%s: %v bytes", n.Name, bytes)
			}
		}
		return true, ""
	})
}

// verify compares all replicas of all shards deeply.
func (w *world) verify(n *testcluster.Node) {
	w.t.Helper()
	eventually(w.t, "all replicas hold the same", func() (bool, string) {
		a := n.Call(w.t, http.StatusOK, testnode.Request{Method: http.MethodPost, Path: "/v1/cluster/verify", Key: testnode.AsOperator})
		var out struct {
			Shards, Equal int
			Different     []struct {
				Shard    uint16
				Replicas []struct {
					Node  uint16
					Index uint64
					Sum   string
					Error string
				}
			}
		}
		a.JSON(w.t, &out)
		for _, d := range out.Different {
			level := true
			for _, r := range d.Replicas {
				level = level && r.Error == "" && r.Index == d.Replicas[0].Index
			}
			if level {
				w.t.Fatalf("the replicas of shard %d differ: %+v", d.Shard, d.Replicas)
			}
		}
		return out.Equal == out.Shards && out.Shards == shardsMax, string(a.Body[:min(500, len(a.Body))])
	})
}
