package controller

import (
	"fmt"
	"time"

	"footfall/cluster/placement"
)

// Status is a picture of the cluster, ready to be shown as JSON. What reports
// tell is there only on the node that leads the control group.
type Status struct {
	Leading  bool              `json:"leading"` // this node leads the control group
	Cluster  placement.Cluster `json:"cluster"`
	Nodes    []NodeStatus      `json:"nodes"`
	Shards   []ShardStatus     `json:"shards"` // by id, the control group last
	Problems []string          `json:"problems,omitempty"`
}

// NodeStatus is a node as it is now.
type NodeStatus struct {
	placement.Node
	Live       bool   `json:"live"`
	LastReport int64  `json:"last_report,omitempty"` // Unix ms; 0: none since this controller began
	Replicas   int    `json:"replicas"`              // of shards, those about to come or go as they will be
	Leaders    int    `json:"leaders"`               // of shards
	DiskFree   uint64 `json:"disk_free,omitempty"`   // bytes
	DiskSize   uint64 `json:"disk_size,omitempty"`   // bytes
	SpoolBytes uint64 `json:"spool_bytes"`
	Shed       bool   `json:"shed,omitempty"`
}

// ShardStatus is a group as its leader sees it.
type ShardStatus struct {
	ID       uint16         `json:"id"`
	Leader   uint16         `json:"leader"` // node; 0: none known
	Term     uint64         `json:"term,omitempty"`
	Commit   uint64         `json:"commit,omitempty"`
	Rate     uint64         `json:"rate"`      // bytes per second
	LogBytes uint64         `json:"log_bytes"` // bytes
	Members  []MemberStatus `json:"members"`
	Op       *placement.Op  `json:"op,omitempty"`
}

// MemberStatus is a replica as its leader sees it.
type MemberStatus struct {
	placement.Member
	Lag    uint64 `json:"lag"` // entries behind the leader's commit
	Active bool   `json:"active"`
	Failed bool   `json:"failed,omitempty"` // its data is damaged
}

// liveWithin is how old a report may be that Status shows as news.
const liveWithin = 10 * time.Second

// Status gives the picture as of now.
func (c *Controller) Status() Status {
	view := c.cfg.Log.Placement()
	now := c.now()
	out := Status{Leading: c.cfg.Leads(), Nodes: []NodeStatus{}, Shards: []ShardStatus{}}
	if cl, ok := view.Cluster(); ok {
		out.Cluster = *cl
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	leaders := map[uint16]*placement.ShardReport{}
	if c.reports != nil {
		leaders = c.reports.Known(now - liveWithin.Milliseconds())
	}
	led, held, active, failed := map[uint16]int{}, map[uint16]int{}, map[uint16]bool{}, map[placement.Hosted]bool{}
	for _, r := range leaders {
		if r.Group != placement.Control {
			led[placement.NodeOf(r.Replica)]++
		}
		for _, p := range r.Progress {
			active[placement.NodeOf(p.Replica)] = active[placement.NodeOf(p.Replica)] || p.Active
		}
	}
	for _, s := range view.Shards() {
		for _, m := range s.Intended() {
			if s.ID != placement.Control && m.Role == placement.Voter {
				held[m.Node]++
			}
		}
	}
	for _, n := range view.Nodes() {
		x := NodeStatus{Node: *n, Replicas: held[n.Number], Leaders: led[n.Number], Live: active[n.Number]}
		if c.reports != nil {
			if r, at, ok := c.reports.Last(n.Number); ok {
				x.LastReport, x.DiskFree, x.DiskSize, x.SpoolBytes, x.Shed = at, r.DiskFree, r.DiskSize, r.SpoolBytes, r.Shed
				x.Live = x.Live || now-at <= liveWithin.Milliseconds()
				for _, h := range r.Hosted {
					failed[h] = h.Failed
				}
			}
		}
		out.Nodes = append(out.Nodes, x)
		if out.Leading && !x.Live && n.State != placement.Removed {
			out.Problems = append(out.Problems, fmt.Sprintf("node %d: is %s and not heard of", n.Number, n.State))
		}
	}
	for _, s := range view.Shards() {
		x := shardStatus(s, leaders[s.ID], failed)
		out.Shards = append(out.Shards, x)
		if out.Leading && x.Leader == 0 {
			out.Problems = append(out.Problems, placement.GroupName(s.ID)+": has no leader that reports")
		}
		for _, m := range x.Members {
			if m.Failed {
				out.Problems = append(out.Problems, fmt.Sprintf("%s: the replica on node %d is damaged", placement.GroupName(s.ID), m.Node))
			}
		}
	}
	return out
}

func shardStatus(s *placement.Shard, r *placement.ShardReport, failed map[placement.Hosted]bool) ShardStatus {
	out := ShardStatus{ID: s.ID, Op: s.Op, Members: []MemberStatus{}}
	members := s.Members
	if r != nil {
		out.Leader, out.Term, out.Commit, out.Rate, out.LogBytes = placement.NodeOf(r.Replica), r.Term, r.Commit, r.Rate, r.LogBytes
		members = r.Members()
	}
	for _, m := range members {
		x := MemberStatus{Member: m, Failed: failed[placement.Hosted{Group: s.ID, Replica: m.Replica, Failed: true}]}
		if r != nil {
			if p, ok := r.Of(m.Replica); ok {
				x.Active, x.Lag = p.Active, r.Commit-min(r.Commit, p.Match)
			}
		}
		out.Members = append(out.Members, x)
	}
	return out
}
