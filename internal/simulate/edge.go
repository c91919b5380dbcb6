package simulate

import (
	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/cluster"
	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
	"footfall/cluster/spool"
)

// The router's bounds, in steps of 10 ms.
const (
	windowRounds = 2
	loadedRounds = 8
	eventsMax    = 6 // of a batch, so that there are many
	spoolAfter   = 30
	pauseShort   = 2
	pauseLong    = 10
	callMax      = 200
	resendAfter  = 500
	offerMax     = 300
	giveUpAfter  = 1500
)

// edge is the router of a node: cluster.Router told again on the simulation's
// clock and in one goroutine. What it keeps, package spool keeps for it, and the
// answers are those of package cluster, by way of their bytes.
type edge struct {
	node    *node
	life    int
	spool   *spool.Spool
	epoch   uint32
	streams map[rafthost.Group]*stream
	order   []rafthost.Group
}

// stream is what an edge sends to one shard.
type stream struct {
	group    rafthost.Group
	queue    []*round
	flight   []*round
	spans    []spool.Span
	epoch    uint32
	sequence uint64
	acked    uint64
	ackedAt  uint64
	ackEpoch uint32
	turn     uint64
	pause    int64
	hint     uint16
	tries    int
	offers   []*offer
	waiting  map[offerKey]*offer
	turnover bool
}

// round is one batch.
type round struct {
	buf      []byte
	views    []*viewed
	since    int64
	epoch    uint32
	sequence uint64
	size     int
	sent     bool
	sentAt   int64
	turn     uint64
	after    uint64
	spooled  bool
	settled  bool
}

type offerKey struct {
	edge     uint64
	epoch    uint32
	sequence uint64
}

// offer is a batch of another node.
type offer struct {
	key    offerKey
	buf    []byte
	reply  func(cluster.Reply)
	since  int64
	queued bool
}

func newEdge(n *node, sp *spool.Spool, epoch uint32) *edge {
	e := &edge{node: n, life: n.life, spool: sp, epoch: epoch, streams: map[rafthost.Group]*stream{}}
	for _, x := range sp.Backlog() {
		st := e.stream(rafthost.Group(x.Shard))
		st.spans = append(st.spans, x)
	}
	return e
}

func (e *edge) stream(g rafthost.Group) *stream {
	st := e.streams[g]
	if st == nil {
		st = &stream{group: g, epoch: e.epoch, waiting: map[offerKey]*offer{}}
		e.streams[g] = st
		e.order = append(e.order, g)
	}
	return st
}

func (e *edge) local(g rafthost.Group) bool { return e.node.host != nil && e.node.host.Leads(g) }

// leader tells whom batches of a shard go to.
func (e *edge) leader(st *stream) (number uint16, local, ok bool) {
	if e.local(st.group) {
		return 0, true, true
	}
	if number = st.hint; number == 0 && e.node.host != nil {
		number = placement.NodeOf(e.node.host.Leader(st.group))
		if number == 0 && e.node.control != nil {
			if s, known := e.node.control.state.View().Shard(uint16(st.group)); known && e.node.machines[st.group] == nil {
				v := s.Voters()
				number = v[st.tries%len(v)].Node
			}
		}
	}
	if number == 0 || number == e.node.number {
		return 0, false, false
	}
	return number, false, true
}

// record takes a view.
func (e *edge) record(v *viewed) {
	st := e.stream(v.group)
	var rd *round
	if k := len(st.queue); k > 0 && len(st.queue[k-1].views) < eventsMax {
		rd = st.queue[k-1]
	} else {
		rd = &round{since: e.node.sim.step, buf: make([]byte, entry.HeaderLen, 256)}
		st.queue = append(st.queue, rd)
	}
	rd.buf = entry.AppendEvent(rd.buf, analytics.SiteID(v.site), &analytics.Event{ID: uint64(v.id), Time: e.node.clock(), Visitor: 1, Page: "/"})
	rd.views = append(rd.views, v)
	e.wake(st)
}

func (e *edge) wake(st *stream) {
	if e.local(st.group) {
		e.node.host.Notify(st.group)
		return
	}
	e.pump(st)
}

// pump sends what can be sent to another node.
func (e *edge) pump(st *stream) {
	n, s := e.node, e.node.sim
	for {
		number, local, ok := e.leader(st)
		if !ok || local {
			return
		}
		rd := e.take(st)
		if rd == nil {
			return
		}
		to, epoch, sequence, turn, buf := s.byNumber[number], rd.epoch, rd.sequence, rd.turn, rd.buf
		answered := false
		done := func(rp cluster.Reply) {
			if answered || n.edge != e {
				return
			}
			answered = true
			e.answered(st, number, epoch, sequence, turn, rp)
		}
		s.net.after(callMax, func() { done(cluster.Reply{Verdict: cluster.Lost}) })
		s.net.send(n, to, func() {
			if to.edge == nil {
				return
			}
			to.edge.offered(st.group, buf, func(rp cluster.Reply) {
				raw := rp.Append(nil)
				s.net.send(to, n, func() {
					rp, err := cluster.ParseReply(raw)
					if err != nil {
						s.fail(InvariantLog, "a reply cannot be read: %v", err)
						return
					}
					done(rp)
				})
			})
		})
	}
}

// take gives the next batch to hand out.
func (e *edge) take(st *stream) *round {
	s := e.node.sim
	if s.step < st.pause {
		return nil
	}
	e.load(st)
	for _, rd := range st.flight {
		if rd.sent {
			continue
		}
		if rd.buf == nil {
			return nil
		}
		e.hand(st, rd)
		return rd
	}
	if len(st.spans) > 0 || len(st.flight) >= windowRounds || len(st.flight) > 0 && st.flight[0].epoch != st.epoch || len(st.queue) == 0 {
		return nil
	}
	rd := st.queue[0]
	st.queue = st.queue[1:]
	e.number(st, rd)
	e.enter(st, rd)
	e.hand(st, rd)
	return rd
}

func (e *edge) number(st *stream, rd *round) {
	st.sequence++
	rd.epoch, rd.sequence, rd.size = st.epoch, st.sequence, len(rd.buf)
	entry.PutHeader(rd.buf, e.node.clock(), e.node.ident, rd.epoch, rd.sequence)
}

func (e *edge) enter(st *stream, rd *round) {
	if st.ackEpoch != rd.epoch {
		st.ackEpoch, st.acked, st.ackedAt = rd.epoch, rd.sequence-1, 0
	}
	st.flight = append(st.flight, rd)
}

func (e *edge) hand(st *stream, rd *round) {
	rd.sent, rd.sentAt, rd.turn, rd.after = true, e.node.sim.step, st.turn, st.acked
	if e.node.sim.bug == SpoolForgets && rd.spooled {
		e.unspool(st, rd)
	}
}

func (e *edge) rewind(st *stream, i int) {
	st.turn++
	for _, rd := range st.flight[i:] {
		rd.sent = false
	}
}

func (st *stream) find(epoch uint32, sequence uint64) int {
	for i, rd := range st.flight {
		if rd.sequence == sequence && rd.epoch == epoch {
			return i
		}
	}
	return -1
}

// answered takes the answer to a batch.
func (e *edge) answered(st *stream, from uint16, epoch uint32, sequence, turn uint64, rp cluster.Reply) {
	s := e.node.sim
	i := st.find(epoch, sequence)
	if i < 0 {
		return
	}
	rd := st.flight[i]
	switch {
	case rp.Verdict == cluster.Fenced && rp.Epoch > e.epoch:
		s.fail(InvariantStreams, "node %d shard %d: epoch %d is fenced by %d, which no process of this disk has begun", e.node.number, st.group, epoch, rp.Epoch)
		return
	case rp.Verdict == cluster.Fenced, rp.Verdict == cluster.Duplicate, rp.Verdict == cluster.Applied:
		e.land(st, i, rp)
		return
	case turn != rd.turn || !rd.sent:
	case rp.Verdict == cluster.Gap:
		s.stats.Gaps++
		if rp.Expected <= rd.after && st.ackedAt == 0 && s.bug == OldGapTrusted {
			e.renumber(st)
			return
		}
		if rp.Expected <= rd.after && rp.Index > st.ackedAt && st.ackedAt > 0 {
			s.fail(InvariantStreams, "node %d shard %d: batch %d of epoch %d was refused at entry %d, which expects %d, but %d was acknowledged at %d",
				e.node.number, st.group, sequence, epoch, rp.Index, rp.Expected, rd.after, st.ackedAt)
			return
		}
		if rp.Expected <= rd.after {
			e.rewind(st, i)
			st.pause = s.step + pauseShort
			break
		}
		back := 0
		for back < i && st.flight[back].sequence < rp.Expected {
			back++
		}
		e.rewind(st, back)
	case rp.Verdict == cluster.NotLeader:
		e.rewind(st, 0)
		old := st.hint
		st.hint = 0
		st.tries++
		if rp.Leader != 0 && rp.Leader != from && rp.Leader != old && rp.Leader != e.node.number {
			st.hint = rp.Leader
		} else {
			st.pause = s.step + pauseShort
		}
	case rp.Verdict == cluster.Busy:
		e.rewind(st, i)
		st.pause = s.step + pauseLong
	default:
		e.rewind(st, i)
		st.hint = 0
		st.tries++
		st.pause = s.step + pauseShort
	}
	e.wake(st)
}

// land takes an acknowledged batch out of flight.
func (e *edge) land(st *stream, i int, rp cluster.Reply) {
	rd := st.flight[i]
	st.flight = append(st.flight[:i], st.flight[i+1:]...)
	st.acked, st.ackedAt = max(st.acked, rd.sequence), max(st.ackedAt, rp.Index)
	e.settle(rd, rp.Index, true)
	if rd.spooled {
		e.unspool(st, rd)
	}
	e.wake(st)
}

func (e *edge) unspool(st *stream, rd *round) {
	_ = e.spool.Remove(spool.Key{Shard: uint16(st.group), Epoch: rd.epoch, Sequence: rd.sequence}, rd.size) // fails with the disk
}

// settle answers those who wait.
func (e *edge) settle(rd *round, index uint64, ok bool) {
	if rd.settled {
		return
	}
	rd.settled = true
	for _, v := range rd.views {
		e.node.sim.clients.answered(v, ok, index)
	}
}

// idle tells whether everything that was taken is delivered.
func (e *edge) idle() bool {
	for _, g := range e.order {
		if st := e.streams[g]; len(st.queue)+len(st.flight)+len(st.spans) > 0 {
			return false
		}
	}
	return true
}

// abandon is the end of the process: nobody gets an answer any more.
func (e *edge) abandon() {
	for _, g := range e.order {
		st := e.streams[g]
		for _, list := range [][]*round{st.queue, st.flight} {
			for _, rd := range list {
				if !rd.settled {
					rd.settled = true
					for _, v := range rd.views {
						e.node.sim.clients.answered(v, false, 0)
					}
				}
			}
		}
	}
}
