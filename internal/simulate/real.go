package simulate

import (
	"context"
	"fmt"
	"log/slog"

	"footfall/actors"
	"footfall/analytics/delivery"
	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// With Config.Actors a node keeps its shards in actors.Sites, as the process
// does, instead of machine's model. Its actors run on goroutines of their own;
// the simulation waits for each call to be answered before it goes on, and a
// shard has one site only, so that one goroutine at a time is at the disk and a
// seed repeats itself all the same. The onlooker feeds the true log to a
// actors.Sites that never crashes, and compares deep digests.

// logOf passes what the flush cycle says to the node's raft host.
type logOf struct{ node *node }

func (l logOf) Persisted(b persistence.Batch, shard uint16, index uint64) {
	l.node.host.Persisted(b, rafthost.Group(shard), index)
}

func (l logOf) Truncated(shard uint16, index uint64) {
	l.node.host.Truncated(rafthost.Group(shard), index)
}

// noLog is the log of the onlooker's own.
type noLog struct{}

func (noLog) Persisted(persistence.Batch, uint16, uint64) {}
func (noLog) Truncated(uint16, uint64)                    {}

func (s *simulation) newSites(st persistence.Store, log actors.Log) *actors.Sites {
	return actors.New(actors.Config{Store: st, Log: log, Shards: len(s.groups) - 1, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20,
		Present: func(uint16) bool { return false }, Clock: s.now})
}

// applySites has a Sites apply an entry and waits for what became of it.
func applySites(x *actors.Sites, g rafthost.Group, index uint64, data []byte) (delivery.Outcome, error) {
	done := make(chan delivery.Outcome, 1)
	if err := x.Apply(uint16(g), index, data, func(o delivery.Outcome) { done <- o }); err != nil {
		return delivery.Outcome{}, err
	}
	return <-done, nil
}

// applyReal is machine.apply with actors.Sites.
func (m *machine) applyReal(index uint64, data []byte) delivery.Decision {
	n, s := m.node, m.node.sim
	o, err := applySites(n.sites, m.g, index, data)
	if err != nil {
		s.fail(InvariantServes, "node %d shard %d: entry %d: %v", n.number, m.g, index, err)
	}
	m.applied = n.sites.Applied(uint16(m.g))
	return o.Decision
}

// extendReal has the onlooker's Sites apply an entry of the true log.
func (t *truth) extendReal(g rafthost.Group, index uint64, data []byte) {
	if _, err := applySites(t.sites, g, index, data); err != nil {
		t.sim.fail(InvariantServes, "the onlooker: shard %d entry %d: %v", g, index, err)
	}
}

// sameDepth compares all that a replica holds with what the true log gives.
func (t *truth) sameDepth(m *machine) {
	want, err := depth(t.sites, m.g)
	if err == nil {
		var have string
		if have, err = depth(m.node.sites, m.g); err == nil && have != want {
			t.sim.fail(InvariantDigest, "node %d shard %d: at entry %d its deep digest is %s, that of the log %s", m.node.number, m.g, m.applied, have, want)
		}
	}
	if err != nil && !m.node.store.dead {
		t.sim.fail(InvariantServes, "node %d shard %d: deep digest: %v", m.node.number, m.g, err)
	}
}

func depth(x *actors.Sites, g rafthost.Group) (string, error) {
	index, sum, err := x.DeepDigest(context.Background(), uint16(g))
	return fmt.Sprintf("%x as of %d", sum[:8], index), err
}

// closeSites stops the actors of a process that is gone; its disk takes nothing
// any more.
func (n *node) closeSites() {
	if n.sites != nil {
		_ = n.sites.Close(context.Background()) // the disk is off
		n.sites = nil
	}
}
