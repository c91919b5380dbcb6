// Package capacity tells what a cluster needs for the traffic that is asked of
// it: nodes, cores, memory, disk and network, from coefficients that were
// measured. It is pure arithmetic on its arguments: it must never measure, read
// a file or a clock, or round a need down. Start at Plan; Coefficients.Node is
// the model of one node's CPU, Fit makes coefficients of measured samples.
//
// The model of CPU has one idea. A synced write costs the same whether it
// carries one view or five hundred, so a view costs less the more of them come
// in. What a node spends in a second is
//
//	at rest + views × view + log entries × entry + syncs × sync
//	+ syncs after a pause × waking up + questions × question
//
// and how many syncs there are follows from the rate and from how long one
// takes, see Rounds.
package capacity

import (
	"math"
)

// Load is what one node does, per second.
type Load struct {
	Edge      float64 // views that it takes from visitors
	Written   float64 // views that it writes into its log, as leader or as follower
	Shards    float64 // shards over which what is written is spread, at least 1
	Questions float64 // of dashboards and of the API
	Member    bool    // of a cluster with other nodes
}

// Use is what a load costs a node, in cores.
type Use struct {
	Rest      float64 `json:"rest"`
	Views     float64 `json:"views"`
	Entries   float64 `json:"entries"`
	Syncs     float64 `json:"syncs"`
	Questions float64 `json:"questions"`

	SyncsPerSecond   float64 `json:"syncs_per_second"`
	EntriesPerSecond float64 `json:"entries_per_second"`
}

// Cores is the sum.
func (u Use) Cores() float64 { return u.Rest + u.Views + u.Entries + u.Syncs + u.Questions }

// Rounds is how many synced writes a second a log makes to which perSecond
// views come at random and of which each takes the given seconds. While one is
// under way the next collects, so there are at most 1/seconds; at a low rate
// each view has one of its own. A round that nothing came in during is followed
// by a pause until the next view:
//
//	one round = seconds + e^(-perSecond × seconds) / perSecond
func Rounds(perSecond, seconds float64) float64 {
	if perSecond <= 0 {
		return 0
	}
	return 1 / (seconds + math.Exp(-perSecond*seconds)/perSecond)
}

// Entries is how many shards, of so many that are equally busy, a write of so
// many views touches: each gets an entry of its own.
func Entries(views, shards float64) float64 {
	if views <= 1 || shards <= 1 {
		return math.Min(views, 1)
	}
	return shards * (1 - math.Pow(1-1/shards, views))
}

// writes is what a log does in a second.
type writes struct{ syncs, wakes, entries float64 }

// writes tells how a log writes what comes in. A write lasts longer the more it
// carries and when it begins after a pause, and what it carries depends on how
// long the one before lasted: the shortest duration is sought that fits itself.
func (c *Costs) writes(written, shards float64) (w writes) {
	if written <= 0 {
		return w
	}
	at := func(seconds float64) (next float64) {
		w.syncs = Rounds(written, seconds)
		w.wakes = w.syncs * paused(written, seconds)
		views := written / w.syncs
		entries := Entries(views, shards)
		w.entries = w.syncs * entries
		return (c.SyncMS + c.SyncWakeMS*paused(written, seconds) + c.SyncEntryMS*entries + c.SyncViewMS*views) / 1000
	}
	low, high := 0.0, c.SyncMS/1000
	for at(high) > high && high < syncSecondsMax {
		low, high = high, high*1.05+1e-6
	}
	for range 60 {
		if mid := (low + high) / 2; at(mid) > mid {
			low = mid
		} else {
			high = mid
		}
	}
	at(high)
	return w
}

// syncSecondsMax ends the search for a node that is beyond what it can write.
const syncSecondsMax = 0.05

// paused is the share of writes that begin after a pause: nothing came in
// during the one before.
func paused(perSecond, seconds float64) float64 { return math.Exp(-perSecond * seconds) }

// Node is what a load costs a node.
func (c *Coefficients) Node(l Load) Use {
	costs := c.CPU.of(l)
	return c.CPU.node(l, costs.writes(l.Written, l.Shards))
}

func (c *CPU) of(l Load) *Costs {
	if l.Member {
		return &c.Member
	}
	return &c.Alone
}

func (c *CPU) node(l Load, w writes) Use {
	x := c.of(l)
	return Use{
		Rest: x.RestCores, Views: (l.Edge*x.EdgeMicros + l.Written*x.ViewMicros) / 1e6, Entries: w.entries * x.EntryMicros / 1e6,
		Syncs:     (w.syncs*x.SyncMicros + w.wakes*x.WakeMicros) / 1e6,
		Questions: l.Questions * c.QuestionMillis / 1e3, SyncsPerSecond: w.syncs, EntriesPerSecond: w.entries,
	}
}

// Alone is the load of a node that is a cluster of one.
func Alone(perSecond float64, sites int) Load {
	return Load{Edge: perSecond, Written: perSecond, Shards: busyShards(float64(sites))}
}

// Member is the load of one of nodes that share perSecond views of so many
// sites, each kept by replicas of them. edge is how many of the views the node
// takes from visitors itself.
func Member(edge, perSecond float64, sites, nodes, replicas int) Load {
	share := float64(replicas) / float64(nodes)
	return Load{Edge: edge, Written: perSecond * share, Shards: math.Max(1, busyShards(float64(sites))*share), Member: nodes > 1}
}

// shards is how many shards a cluster has; see cluster.Shards.
const shards = 256

// busyShards is how many shards so many sites fall into.
func busyShards(sites float64) float64 {
	return math.Max(1, shards*(1-math.Pow(1-1.0/shards, sites)))
}
