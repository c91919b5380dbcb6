package simulate

import (
	"slices"
	"time"

	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// The faults, as the trace numbers them.
const (
	faultCrash uint64 = iota
	faultCrashAll
	faultCutLater
	faultPause
	faultIsolate
	faultMinority
	faultOneWay
	faultHalves
	faultWeather
	faultHint
	faultTransfer
	faultAdd
	faultDrain
	faultWipe
	faultClock
	faultReplicas
)

// trouble lets something go wrong, or not.
func (s *simulation) trouble() {
	s.wipe(s.doomed.node)
	if s.rng.IntN(s.rarely) > 0 {
		return
	}
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	kind, a, b := s.pick(), uint64(n.slot), uint64(0)
	s.note(evFault, kind, a, b)
	s.stats.Faults++
	switch kind {
	case faultCrash:
		s.crash(n, 10+s.rng.IntN(400))
	case faultCrashAll:
		for _, n := range s.nodes {
			s.crash(n, 5+s.rng.IntN(100))
		}
	case faultCutLater:
		if n.up {
			n.store.cutAt = n.store.steps + 1 + s.rng.IntN(20)
		}
	case faultPause:
		n.pausedUntil = s.step + 20 + s.rng.Int64N(500)
	case faultIsolate:
		s.cut(func(from, to *node) bool { return (from == n) != (to == n) })
	case faultMinority:
		l := s.leaderOf(s.groups[s.rng.IntN(len(s.groups))])
		o := s.nodes[s.rng.IntN(len(s.nodes))]
		with := func(x *node) bool { return x == l || len(s.nodes) > 4 && x == o }
		s.cut(func(from, to *node) bool { return with(from) != with(to) })
	case faultOneWay:
		o := s.nodes[s.rng.IntN(len(s.nodes))]
		all := s.rng.IntN(3) == 0
		s.cut(func(from, to *node) bool { return from == n && (all || to == o) })
	case faultHalves:
		side := make([]bool, len(s.nodes)+64)
		for i := range side {
			side[i] = s.rng.IntN(2) == 0
		}
		s.cut(func(from, to *node) bool { return side[from.slot%len(side)] != side[to.slot%len(side)] })
	case faultWeather:
		s.net.loss, s.net.twice, s.net.delay, s.net.late = s.rng.IntN(30), s.rng.IntN(10), 1+s.rng.IntN(12), s.rng.IntN(20)
	case faultHint:
		if n.host != nil {
			n.host.PeerDown(s.nodes[s.rng.IntN(len(s.nodes))].number)
		}
	case faultTransfer:
		if l := s.leaderOf(s.groups[s.rng.IntN(len(s.groups))]); l != nil {
			s.transfer(l)
		}
	case faultAdd:
		if s.alive() < s.size+max(2, s.size/3) {
			s.addNode()
		}
	case faultDrain:
		s.drain(n)
	case faultWipe:
		s.doomed = doomed{n, s.step + 600}
		if n.edge != nil {
			n.closed, n.closedAt = true, s.step // so that its spool empties
		}
	case faultClock:
		n.skew = time.Duration(s.rng.Int64N(int64(2*time.Hour))) - time.Hour
	case faultReplicas:
		if v := s.active(); v != nil {
			s.leaderOf(rafthost.Control).propose(&placement.SetReplicas{Replicas: s.wanted()})
		}
	}
}

// wanted is a number of voters to change to.
func (s *simulation) wanted() int { return 1 + 2*s.rng.IntN(3) }

// pick weighs the faults.
func (s *simulation) pick() uint64 {
	weights := [...]int{faultCrash: 20, faultCrashAll: 5, faultCutLater: 10, faultPause: 8, faultIsolate: 6, faultMinority: 6, faultOneWay: 6, faultHalves: 3,
		faultWeather: 8, faultHint: 3, faultTransfer: 6, faultAdd: 3, faultDrain: 3, faultWipe: 5, faultClock: 5, faultReplicas: 2}
	total := 0
	for _, w := range weights {
		total += w
	}
	at := s.rng.IntN(total)
	for k, w := range weights {
		if at -= w; at < 0 {
			return uint64(k)
		}
	}
	return faultCrash
}

func (s *simulation) cut(lost func(from, to *node) bool) {
	s.net.cuts = append(s.net.cuts, cut{s.step + 50 + s.rng.Int64N(600), lost})
}

// crash cuts the power of a node for so many steps.
func (s *simulation) crash(n *node, steps int) {
	if !n.up || n.retired {
		return
	}
	n.crash()
	s.net.after(steps, func() { s.restart(n) })
}

func (s *simulation) restart(n *node) {
	if !n.up && !n.retired {
		n.start()
	}
}

func (s *simulation) transfer(l *node) {
	gs := l.host.Groups()
	g := gs[s.rng.IntN(len(gs))]
	if v := l.host.Status(g).Conf.Voters; len(v) > 0 && l.host.Leads(g) {
		_ = l.host.TransferLeader(g, v[s.rng.IntN(len(v))])
	}
}

// alive counts the places that are not switched off for ever.
func (s *simulation) alive() (n int) {
	for _, x := range s.nodes {
		if !x.retired {
			n++
		}
	}
	return n
}

// drain has a node leave, if enough others are there.
func (s *simulation) drain(n *node) {
	v := s.active()
	if v == nil || n.number == 0 || n.retired {
		return
	}
	active := 0
	for _, x := range v.Nodes() {
		if x.State == placement.Active && x.Number != n.number && s.byNumber[x.Number] != nil {
			active++
		}
	}
	if active >= 3 {
		s.leaderOf(rafthost.Control).propose(&placement.SetNodeState{Number: n.number, To: placement.Draining})
		n.closed, n.closedAt = true, s.step
	}
}

// doomed is a node whose disk is about to be lost, as soon as that may be.
type doomed struct {
	node  *node
	until int64
}

// wipe replaces a node's disk by an empty one, if every group survives that: a
// minority of its voters may be lost at a time. What its spool holds nobody else
// has, so that is empty.
func (s *simulation) wipe(n *node) {
	if n == nil || s.step > s.doomed.until || s.step%10 != 0 || n.number == 0 || n.retired || n.edge == nil || !n.edge.idle() || len(s.net.cuts) > 0 || !s.mayLose(n) {
		return
	}
	s.doomed = doomed{}
	s.stats.Wiped++
	s.note(evWipe, uint64(n.slot), uint64(n.number), 0)
	n.closed = false
	old := n.number
	n.crash()
	n.store = newStore(s.rng)
	if s.bug == ReplicaReused {
		n.keepNumber()
	} else {
		delete(s.byNumber, old)
		s.gone = append(s.gone, old)
		n.number, n.lostDisk = 0, true
	}
	n.ident = s.fresh()
	s.plant(n)
	s.net.after(10+s.rng.IntN(100), func() { s.restart(n) })
}

// mayLose tells whether every group has a leader that knows its members, and
// keeps most of its voters without the node and those lost before.
func (s *simulation) mayLose(n *node) bool {
	for _, x := range s.nodes {
		if x.up && x.number == 0 {
			return false // another one is on its way back
		}
	}
	for _, g := range s.groups {
		l := s.leaderOf(g)
		if l == nil {
			return false
		}
		st := l.host.Status(g)
		lost, active := 0, 0
		for _, r := range st.Conf.Voters {
			if x := s.byNumber[uint16(r)]; x == nil || x == n {
				lost++
			}
		}
		for _, p := range st.Members {
			if p.Active && slices.Contains(st.Conf.Voters, p.Replica) {
				active++
			}
		}
		if len(st.Conf.Outgoing) > 0 || 2*lost >= len(st.Conf.Voters) || active < len(st.Conf.Voters)-lost {
			return false
		}
		// An operation under way may take the rest away.
		if v := s.active(); v != nil {
			if x, ok := v.Shard(uint16(g)); ok && x.Op != nil {
				return false
			}
		}
	}
	return true
}

// operate is the operator, who removes nodes that are to leave or are lost.
func (s *simulation) operate() {
	l := s.leaderOf(rafthost.Control)
	if l == nil || l.control == nil {
		return
	}
	v := l.control.state.View()
	cluster, founded := v.Cluster()
	if !founded {
		return
	}
	active := 0
	for _, x := range v.Nodes() {
		active += b2i(x.State == placement.Active)
	}
	for _, x := range v.Nodes() {
		n := s.byNumber[x.Number]
		switch {
		case x.State == placement.Draining && active < max(replicas, cluster.Replicas): // what it has can go nowhere
			l.propose(&placement.SetNodeState{Number: x.Number, From: placement.Draining, To: placement.Active})
		case x.State == placement.Active && n != nil && n.closed && s.step-n.closedAt > 500: // the balancer takes it back
			n.closed = false
		case x.State == placement.Draining && n != nil && !n.closed:
			n.closed, n.closedAt = true, s.step
		case x.State == placement.Draining && n != nil && s.empty(n):
			l.propose(&placement.SetNodeState{Number: x.Number, From: placement.Draining, To: placement.Removed})
		case x.State == placement.Dead && slices.Contains(s.gone, x.Number):
			l.propose(&placement.SetNodeState{Number: x.Number, From: placement.Dead, To: placement.Removed, Force: true})
		case x.State == placement.Removed && n != nil && !n.retired && !n.hasAny():
			s.retire(n)
		}
	}
}

// empty tells whether a node has nothing but its part in the control group, and
// nothing left to deliver.
func (s *simulation) empty(n *node) bool {
	return n.host != nil && n.closed && len(n.machines) == 0 && n.edge != nil && n.edge.idle()
}

func (n *node) hasAny() bool { return n.host != nil && len(n.machines) > 0 }

// retire switches a removed node off for ever.
func (s *simulation) retire(n *node) {
	if n.up && !n.edgeIdle() {
		return // what it has accepted is delivered first
	}
	if !n.up {
		return
	}
	n.crash()
	n.retired = true
	s.stats.Retired++
}

func (n *node) edgeIdle() bool { return n.edge == nil || n.edge.idle() }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
