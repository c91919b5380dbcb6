package simulate

import (
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster"
	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// next is the log's source.
func (e *edge) next(g rafthost.Group) []byte {
	st := e.stream(g)
	if st.turnover {
		if st.turnover = false; len(st.offers) > 0 {
			return st.takeOffer()
		}
	}
	if rd := e.take(st); rd != nil {
		st.turnover = len(st.offers) > 0
		return rd.buf
	}
	return st.takeOffer()
}

func (st *stream) takeOffer() []byte {
	if len(st.offers) == 0 {
		return nil
	}
	of := st.offers[0]
	st.offers = st.offers[1:]
	of.queued = false
	return of.buf
}

// offered takes a batch of another node.
func (e *edge) offered(g rafthost.Group, buf []byte, reply func(cluster.Reply)) {
	hd, err := entry.Check(buf)
	if err != nil {
		e.node.sim.fail(InvariantLog, "node %d: a batch cannot be read: %v", e.node.number, err)
		return
	}
	if !e.local(g) {
		leader := uint16(0)
		if e.node.host != nil {
			leader = placement.NodeOf(e.node.host.Leader(g))
		}
		reply(cluster.Reply{Verdict: cluster.NotLeader, Leader: leader})
		return
	}
	st := e.stream(g)
	of := &offer{key: offerKey{hd.Edge, hd.Epoch, hd.Sequence}, buf: buf, reply: reply, since: e.node.sim.step, queued: true}
	old := st.waiting[of.key]
	st.waiting[of.key] = of
	if old != nil && old.queued {
		for i := range st.offers {
			if st.offers[i] == old {
				st.offers[i] = of
			}
		}
	} else {
		st.offers = append(st.offers, of)
	}
	if old != nil {
		old.reply(cluster.Reply{Verdict: cluster.Lost})
	}
	e.node.host.Notify(g)
}

// applied is told of every entry applied here.
func (e *edge) applied(g rafthost.Group, index uint64, hd entry.Reader, d delivery.Decision) {
	st := e.stream(g)
	rp := cluster.Reply{Index: index, Expected: d.Expected, Epoch: d.Epoch}
	switch d.Verdict {
	case delivery.Duplicate:
		rp.Verdict = cluster.Duplicate
	case delivery.Gap:
		rp.Verdict = cluster.Gap
	case delivery.Fenced:
		rp.Verdict = cluster.Fenced
	case delivery.Full:
		rp.Verdict = cluster.Busy
	}
	e.node.sim.stats.Verdicts[d.Verdict]++
	key := offerKey{hd.Edge, hd.Epoch, hd.Sequence}
	of := st.waiting[key]
	if of != nil {
		delete(st.waiting, key)
		if of.queued {
			st.unqueue(of)
		}
	}
	if hd.Edge == e.node.ident {
		if i := st.find(hd.Epoch, hd.Sequence); i >= 0 {
			e.answered(st, 0, hd.Epoch, hd.Sequence, st.flight[i].turn, rp)
		}
	}
	if of != nil {
		of.reply(rp)
	}
}

func (st *stream) unqueue(of *offer) {
	for i := range st.offers {
		if st.offers[i] == of {
			st.offers = append(st.offers[:i:i], st.offers[i+1:]...)
			return
		}
	}
}

// led is told of a new leader of a shard.
func (e *edge) led(g rafthost.Group, leader uint16, self bool) {
	st := e.stream(g)
	st.hint, st.pause = 0, 0
	e.rewind(st, 0)
	if !self {
		for _, key := range sortedKeys(st.waiting) {
			st.waiting[key].reply(cluster.Reply{Verdict: cluster.NotLeader, Leader: leader})
		}
		st.waiting, st.offers = map[offerKey]*offer{}, nil
	}
	e.wake(st)
}
