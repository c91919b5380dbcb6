package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/cluster/rafthost"
)

// wheelSize is how many steps ahead something can be planned.
const wheelSize = 1 << 11

// event is something that happens at a later step. A message has both ends and
// finds its receiver when it arrives, a timer has neither.
type event struct {
	from, to *node
	run      func()
	snapshot bool // takes no part in loss: its stream breaks instead
}

// network carries messages between nodes and keeps the timers.
type network struct {
	sim   *simulation
	wheel [wheelSize][]event

	loss, twice int // percent of messages lost, and of those that come twice
	delay       int // steps, at most
	late        int // per mille that take very long
	cuts        []cut
}

// cut is a break between nodes.
type cut struct {
	until int64
	lost  func(from, to *node) bool
}

func (n *network) after(steps int, run func()) { n.plan(steps, event{run: run}) }

func (n *network) plan(steps int, e event) {
	at := (n.sim.step + int64(max(1, min(steps, wheelSize-1)))) % wheelSize
	n.wheel[at] = append(n.wheel[at], e)
}

// send plans the arrival of a message. run is called when it arrives, perhaps
// twice, perhaps never.
func (n *network) send(from, to *node, run func()) {
	if to == nil {
		return
	}
	rng := n.sim.rng
	copies := 1
	if from != to {
		if rng.IntN(100) < n.loss {
			return
		}
		if rng.IntN(100) < n.twice {
			copies = 2
		}
	}
	for range copies {
		d := 1
		if from != to {
			d += rng.IntN(n.delay + 1)
			if n.late > 0 && rng.IntN(1000) < n.late {
				d += rng.IntN(400)
			}
		}
		n.plan(d, event{from: from, to: to, run: run})
	}
}

// broken tells whether nothing gets from one node to another now.
func (n *network) broken(from, to *node) bool {
	for _, c := range n.cuts {
		if c.until > n.sim.step && c.lost(from, to) {
			return true
		}
	}
	return false
}

// deliver lets arrive what is due.
func (n *network) deliver() {
	n.cuts = slices.DeleteFunc(n.cuts, func(c cut) bool { return c.until <= n.sim.step })
	at := n.sim.step % wheelSize
	due := n.wheel[at]
	n.wheel[at] = nil
	for _, e := range due {
		switch {
		case e.to == nil:
			e.run()
		case e.snapshot:
			e.run()
		case !e.to.up || e.from != e.to && n.broken(e.from, e.to):
		case e.to.pausedUntil > n.sim.step: // it waits in the socket
			n.plan(int(e.to.pausedUntil-n.sim.step)+n.sim.rng.IntN(3), e)
		default:
			e.run()
		}
		if n.sim.violation != nil {
			return
		}
	}
	clear(due)
	n.wheel[at] = due[:0]
}

// Send implements rafthost.Transport.
func (x *node) Send(number uint16, batch []rafthost.Outgoing) {
	s := x.sim
	to := s.byNumber[number]
	if to == nil {
		return
	}
	for _, o := range batch {
		s.truth.spoke(x, o)
		if s.bug == LeaderAcksAlone && o.Message.GetType() == raftpb.MsgApp && len(o.Message.GetEntries()) > 0 && s.rng.IntN(3) == 0 {
			s.forge(x, o)
		}
		g, m := o.Group, o.Message
		s.net.send(x, to, func() {
			if to.host != nil {
				to.host.Deliver(g, m)
			}
		})
	}
}

// forge answers an append in the name of a member that has not written it.
func (s *simulation) forge(leader *node, o rafthost.Outgoing) {
	m := o.Message
	last := m.GetEntries()[len(m.GetEntries())-1].GetIndex()
	s.net.after(1, func() {
		if leader.host != nil {
			leader.host.Deliver(o.Group, &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), To: new(m.GetFrom()), From: new(m.GetTo()), Term: new(m.GetTerm()), Index: new(last)})
		}
	})
}

// SendSnapshot implements rafthost.Transport.
func (x *node) SendSnapshot(g rafthost.Group, m *raftpb.Message, send func(context.Context, io.Writer) error, done func(error)) {
	s, life := x.sim, x.life
	s.net.plan(1+s.rng.IntN(10), event{from: x, to: x, snapshot: true, run: func() {
		if x.life != life || x.host == nil {
			return // with its sender
		}
		to := s.byNumber[uint16(m.GetTo())]
		if to == nil || to.host == nil || s.net.broken(x, to) || s.rng.IntN(100) < s.net.loss {
			done(errors.New("the connection broke"))
			return
		}
		var b bytes.Buffer
		if err := send(context.Background(), &b); err != nil {
			done(err)
			return
		}
		body := b.Bytes()
		if s.net.loss > 0 && s.rng.IntN(8) == 0 && len(body) > 0 {
			if s.rng.IntN(2) == 0 {
				body = body[:s.rng.IntN(len(body))]
			} else {
				body[s.rng.IntN(len(body))] ^= 1 << s.rng.IntN(8)
			}
		}
		s.stats.Snapshots++
		s.note(evSnapshot, uint64(g), m.GetTo(), m.GetSnapshot().GetMetadata().GetIndex())
		s.net.plan(1+s.rng.IntN(20), event{from: x, to: to, snapshot: true, run: func() {
			err := errors.New("the node is down")
			if to.host != nil && !s.net.broken(x, to) {
				err = to.host.ReceiveSnapshot(context.Background(), g, m, bytes.NewReader(body))
			}
			if x.life == life && x.host != nil {
				done(err)
			}
		}})
	}})
}
