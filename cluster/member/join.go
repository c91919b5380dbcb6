package member

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"footfall/analytics"
	"footfall/cluster/discovery"
	"footfall/cluster/placement"
	"footfall/cluster/transport"
)

// How long one attempt to join may take, and the rest between two.
const (
	joinMax   = 15 * time.Second
	joinPause = 500 * time.Millisecond
)

// joining is what a node says that wants to join, and joined what it is told.
type joining struct {
	Of   placement.ID       `json:"of"`
	Node placement.NodeInfo `json:"node"`
}

type joined struct {
	Cluster placement.ID `json:"cluster"`
	Number  uint16       `json:"number"`
	// Peers are the addresses of the other nodes, by number: the newcomer has no
	// other way to know them before it has a copy of what all know.
	Peers map[uint16]string `json:"peers"`
}

// Establish returns when the node is a member: its disk says so, or it joined
// one of the nodes that discovery knows, or it founds. founder tells that this
// node holds every group alone until others come.
func (m *Member) Establish(ctx context.Context) (founder bool, err error) {
	if id := m.Identity(); id.Node != 0 {
		return id.Node == 1, nil
	}
	if m.cfg.Used {
		return true, m.foundCluster()
	}
	for waited := false; ; {
		if ok := m.tryJoin(ctx); ok {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if list := m.found.Load(); m.cfg.Found && list != nil && m.mayFound(ctx) {
			return true, m.foundCluster()
		}
		if !waited {
			waited = true
			m.cfg.Logger.Info("waiting for a cluster to join", "address", m.cfg.Info.Cluster)
		}
		pause := time.NewTimer(joinPause/2 + rand.N(joinPause))
		select {
		case <-m.seen:
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

func (m *Member) mayFound(ctx context.Context) bool {
	f, ok := m.cfg.Discovery.(discovery.Founder)
	if !ok {
		return true
	}
	within, cancel := context.WithTimeout(ctx, joinMax)
	defer cancel()
	may, err := f.MayFound(within, m.cfg.Info.Cluster, m.cfg.Info.Ident)
	if err != nil && ctx.Err() == nil {
		m.cfg.Logger.Warn("ask who is to found the cluster", "error", err)
	}
	return may
}

// foundCluster makes the node the first of a new cluster. The record of the
// cluster follows when the node leads the control group, see Found.
func (m *Member) foundCluster() error {
	id := Identity{Node: 1}
	for id.Cluster == ([16]byte{}) {
		if _, err := io.ReadFull(m.cfg.Random, id.Cluster[:]); err != nil {
			return fmt.Errorf("found a cluster: %w", err)
		}
	}
	return m.become(id)
}

func (m *Member) become(id Identity) error {
	if err := m.cfg.Disk.Keep(id); err != nil {
		return fmt.Errorf("keep the node's identity: %w", err)
	}
	m.identity.Store(&id)
	m.cfg.Logger.Info("member of a cluster", "node", id.Node, "cluster", placement.ID(id.Cluster).String())
	return nil
}

// tryJoin asks each node that discovery knows once.
func (m *Member) tryJoin(ctx context.Context) bool {
	list := m.found.Load()
	if list == nil {
		return false
	}
	body, err := json.Marshal(joining{Of: m.Identity().Cluster, Node: m.cfg.Info})
	if err != nil {
		m.cfg.Logger.Error("join", "error", err)
		return false
	}
	for _, other := range *list {
		if other.Cluster == m.cfg.Info.Cluster || other.Ident != 0 && other.Ident == m.cfg.Info.Ident || ctx.Err() != nil {
			continue
		}
		if m.askToJoin(ctx, other.Cluster, body) {
			return true
		}
	}
	return false
}

func (m *Member) askToJoin(ctx context.Context, addr string, body []byte) bool {
	within, cancel := context.WithTimeout(ctx, joinMax)
	defer cancel()
	answer, peer, err := m.wire.CallAddress(within, m.via(addr), callJoin, body)
	if err != nil {
		// A cluster that says no is worth a word; one that is not there yet is not.
		if transport.FateOf(err) == transport.Remote && analytics.CodeOf(err) != analytics.Unavailable {
			m.cfg.Logger.Warn("join refused", "by", addr, "error", err)
		} else {
			m.cfg.Logger.Debug("join", "by", addr, "error", err)
		}
		return false
	}
	var in joined
	if err := strict(answer, &in); err != nil || in.Number == 0 || in.Cluster == (placement.ID{}) {
		m.cfg.Logger.Error("join: the answer is not understood", "by", addr, "node", peer.Node, "error", err)
		return false
	}
	m.known.Store(&in.Peers)
	if have := m.Identity(); have.Node != 0 { // it only wanted to know the others
		return true
	}
	if err := m.become(Identity{Cluster: in.Cluster, Node: in.Number}); err != nil {
		m.cfg.Logger.Error("join", "error", err)
		return false
	}
	return true
}

// takeIn answers a node that wants to join.
func (m *Member) takeIn(ctx context.Context, body []byte) ([]byte, error) {
	p := m.parts.Load()
	if p == nil {
		return nil, errNotReady
	}
	var in joining
	if err := strict(body, &in); err != nil {
		return nil, err
	}
	c, ok := p.Control.Placement().Cluster()
	if !ok {
		return nil, errNotReady
	}
	r, err := p.Control.DoPlacement(ctx, &placement.AddNode{Of: in.Of, Node: in.Node})
	if err != nil {
		return nil, err
	}
	out := joined{Cluster: c.ID, Number: r.Node.Number, Peers: map[uint16]string{}}
	for _, n := range p.Control.Placement().Nodes() {
		if n.State != placement.Removed && n.Number != out.Number {
			out.Peers[n.Number] = n.Cluster
		}
	}
	return json.Marshal(out)
}

// Found writes the record of a new cluster, if there is none, once this node
// leads the control group.
func (m *Member) Found(ctx context.Context, shards, replicas int) error {
	p := m.parts.Load()
	if _, ok := p.Control.Placement().Cluster(); ok {
		return nil
	}
	info := m.cfg.Info
	_, err := p.Control.DoPlacement(ctx, &placement.Found{ID: m.Identity().Cluster, Shards: shards, Replicas: replicas, Gate: gate, Node: info})
	if analytics.CodeOf(err) == analytics.Conflict && err != nil {
		return nil // founded meanwhile
	}
	return err
}

// gate is the newest format that a new cluster writes.
const gate = 1

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return analytics.Errorf(analytics.Invalid, "message: %w", err)
	}
	return nil
}
