package simulate

import (
	"slices"

	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// viewed is one view that a client brings.
type viewed struct {
	id    uint32
	group rafthost.Group
	site  uint64
	index uint64 // of the entry that counted it, 0: accepted by the spool
	done  bool   // acknowledged
	again bool   // waits to be sent again
}

// retried tells whether a client sends an event again, under the same id, until
// it is acknowledged. The others are sent once, so that a site that knew nothing
// of ids would count them as well.
func retried(id uint32) bool { return id%8 == 0 }

// clients bring views and ask questions.
type clients struct {
	sim     *simulation
	last    uint32
	acked   []*viewed
	open    int // retried views not acknowledged yet
	readers []*reader
}

// reader asks about sites and remembers how far it has seen each shard.
type reader struct {
	tokens map[rafthost.Group]uint64
	seen   map[uint64]int // events of a site
	asked  *question
}

// question waits for its answer.
type question struct {
	view  *viewed // must be in the answer, if its write is in the token
	group rafthost.Group
	site  uint64
	token uint64
	since int64
	slot  int // node that was asked first
}

// view brings one view to a node.
func (c *clients) view() {
	s := c.sim
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	g := s.groups[s.rng.IntN(len(s.groups)-1)]
	if s.rng.IntN(3) > 0 { // few shards are busy
		g = s.groups[s.rng.IntN(min(3, len(s.groups)-1))]
	}
	if n.edge == nil || n.closed || n.pausedUntil > s.step {
		return
	}
	c.last++
	v := &viewed{id: c.last, group: g, site: 1 + uint64(g)*s.perShard + s.rng.Uint64N(s.perShard)}
	if retried(v.id) {
		c.open++
	}
	s.stats.Views++
	n.edge.record(v)
}

// answered is told what became of a view.
func (c *clients) answered(v *viewed, ok bool, index uint64) {
	s := c.sim
	if ok && !v.done {
		v.done, v.index = true, index
		c.acked = append(c.acked, v)
		s.stats.Acked++
		if retried(v.id) {
			c.open--
		}
		return
	}
	if !ok && retried(v.id) && !v.done && !v.again {
		v.again = true
		c.tryAgain(v)
	}
}

func (c *clients) tryAgain(v *viewed) {
	s := c.sim
	s.net.after(20+s.rng.IntN(200), func() {
		n := s.nodes[s.rng.IntN(len(s.nodes))]
		if n.edge == nil || n.closed || n.pausedUntil > s.step {
			c.tryAgain(v)
			return
		}
		v.again = false
		s.stats.Retried++
		n.edge.record(v)
	})
}

// read lets readers ask and get answers.
func (c *clients) read() {
	s := c.sim
	for _, r := range c.readers {
		if r.asked == nil && !s.actors && len(c.acked) > 0 && s.rng.IntN(4) == 0 {
			v := c.acked[len(c.acked)-1-s.rng.IntN(min(len(c.acked), 200))]
			q := &question{view: v, group: v.group, site: v.site, token: max(v.index, r.tokens[v.group]), since: s.step, slot: s.rng.IntN(len(s.nodes))}
			r.asked = q
		}
		if r.asked != nil {
			c.answer(r, r.asked)
		}
	}
}

// answer gives a reader its answer, from the node that was asked if that has a
// replica, or gets there in time; then from the leader.
func (c *clients) answer(r *reader, q *question) {
	s := c.sim
	n := s.nodes[q.slot]
	var m *machine
	if n.host != nil && n.pausedUntil <= s.step {
		m = n.machines[q.group]
	}
	if m == nil || m.applied < q.token && s.step-q.since > 50 {
		if l := s.leaderOf(q.group); l != nil && l.pausedUntil <= s.step {
			n, m = l, l.machines[q.group]
		}
	}
	if s.step-q.since > 2000 {
		r.asked = nil // the reader gives up
		return
	}
	if m == nil || m.still || m.applied < q.token && s.bug != ReadsTooEarly {
		return
	}
	as := m.applied
	x := m.sites[q.site]
	if x == nil {
		x = &siteState{}
	}
	s.stats.Reads++
	switch {
	case len(x.ids) < r.seen[q.site]:
		s.fail(InvariantToken, "shard %d site %d: node %d shows %d events as of entry %d, the reader had seen %d as of %d",
			q.group, q.site, n.number, len(x.ids), as, r.seen[q.site], r.tokens[q.group])
	case q.view.index > 0 && !slices.Contains(x.ids, q.view.id):
		s.fail(InvariantToken, "shard %d site %d: node %d as of entry %d does not show event %d, which entry %d counted",
			q.group, q.site, n.number, as, q.view.id, q.view.index)
	}
	r.seen[q.site] = len(x.ids)
	// The state may hold more than the index says while records are replayed; the
	// token then is of what it holds.
	r.tokens[q.group] = max(as, x.index, q.token)
	r.asked = nil
}

// leaderOf finds the node that takes proposals for a group, of several that of
// the highest term.
func (s *simulation) leaderOf(g rafthost.Group) *node {
	var best *node
	var term uint64
	for _, n := range s.nodes {
		if n.host == nil || !n.host.Leads(g) {
			continue
		}
		if st := n.host.Status(g); best == nil || st.Term > term {
			best, term = n, st.Term
		}
	}
	return best
}

// active lists the members that take part, as the control group has it.
func (s *simulation) active() (view *placement.View) {
	if l := s.leaderOf(rafthost.Control); l != nil && l.control != nil {
		return l.control.state.View()
	}
	return nil
}
