package node

import (
	"fmt"

	"footfall/cluster"
	"footfall/cluster/rafthost"
)

// standing is how the node stands to the shards just now.
type standing struct {
	here       int // replicas on this node's disk
	failed     int // those that stand still because their data is damaged
	led        int // led from here
	leaderless int // no leader is known: their views wait in the spool
}

// standing looks at every shard; it costs some microseconds.
func (n *Node) standing() (s standing) {
	for i := range cluster.Shards {
		g := rafthost.Group(i)
		if n.host.Leads(g) {
			s.led++
		} else if _, ok := n.member.Leader(uint16(i)); !ok {
			s.leaderless++
		}
	}
	for _, g := range n.host.Groups() {
		if g == rafthost.Control {
			continue
		}
		s.here++
		if n.host.Failed(g) != nil {
			s.failed++
		}
	}
	return s
}

// clusterGauges tells the metrics how the node stands in its cluster.
func (n *Node) clusterGauges() {
	gauge := func(name string, f func() float64) { n.set.GetOrCreateGauge(name, f) }
	gauge("footfall_spool_bytes", func() float64 { return float64(n.spool.Bytes()) })
	gauge("footfall_spool_oldest_timestamp_seconds", func() float64 { // 0: it is empty
		ms, err := n.spool.Oldest()
		if err != nil {
			n.logger.Error("look at the spool", "error", err)
		}
		return float64(ms) / 1000
	})
	gauge("footfall_batches_spooled_total", func() float64 { return float64(n.router.Stats().Spooled) })
	gauge("footfall_batches_resent_total", func() float64 { return float64(n.router.Stats().Resent) })
	gauge("footfall_shards_here", func() float64 { return float64(n.standing().here) })
	gauge("footfall_shards_failed", func() float64 { return float64(n.standing().failed) })
	gauge("footfall_shards_led", func() float64 { return float64(n.standing().led) })
	gauge("footfall_shards_leaderless", func() float64 { return float64(n.standing().leaderless) })
}

// explain adds to the reasons of /readyz what others should know of a node that
// takes requests all the same.
func (s standing) explain(why map[string]string) {
	if s.leaderless > 0 {
		why["shards"] = fmt.Sprintf("%d of %d are read-only: no leader is known, views wait in the spool", s.leaderless, cluster.Shards)
	}
	if s.failed > 0 {
		why["replicas"] = fmt.Sprintf("%d do not serve: their data is damaged", s.failed)
	}
}
