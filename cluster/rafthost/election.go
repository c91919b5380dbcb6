package rafthost

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// activeTicks is how long a member counts as active after its last message.
const activeTicks = 2 * electionTicks

// After a hint the first voter in order campaigns at once, and again a tick
// before hintTicks; the others at hintTicks if there is no leader by then.
// Whoever does not succeed tries again a few times, soon and by chance, before
// it goes back to waiting as long as after a silence.
const (
	hintTicks = 3
	hintTries = 8
)

// deafTicks is how long a hint lasts against messages of the node that is down:
// those that were still on their way would make its replica the leader again,
// and the hint would come to nothing.
const deafTicks = 2

// election is a group's clock. Elections are timed here and not by raft: its
// random numbers have no seed, and a follower's tick costs an addition.
type election struct {
	elapsed int // ticks since the leader was heard or a vote given
	timeout int // elapsed at which the replica campaigns
	hint    int // ticks until it campaigns if there is no leader; 0: none
	tries   int // campaigns by hint that are left
	waited  bool
	beat    int // ticks since raft sent heartbeats
}

func (e *election) reset(rand func(n int) int) {
	*e = election{timeout: electionTicks + rand(electionTicks)}
}

// tick counts one tick of a group with other members and tells whether the
// worker has to visit it.
func (g *group) tick() (visit bool, err error) {
	t := &g.timer
	if g.deaf > 0 {
		g.deaf--
	}
	if g.lead {
		g.rn.Tick()
		if t.beat++; t.beat < heartbeatTicks {
			return false, nil
		}
		t.beat = 0
		g.weigh()
		if g.handOver || !g.voter { // the others lead on, this one takes nothing any more
			g.passOn()
		}
		return true, nil
	}
	t.elapsed++
	if t.elapsed == electionTicks && g.leader.Load() != 0 {
		// Its lease is over: this replica may vote for another now.
		if err := g.rn.ForgetLeader(); err != nil {
			return false, fmt.Errorf("raft group %d: forget leader: %w", g.id, err)
		}
		visit = true
	}
	if t.hint > 0 {
		if t.hint--; t.hint == 0 && g.leader.Load() == 0 {
			if !t.waited && g.rn.BasicStatus().RaftState == raft.StateCandidate {
				t.hint, t.waited = 1, true // votes may be on their way, which a new term would void
				return visit, nil
			}
			return true, g.hurry(t.tries - 1)
		}
	}
	if t.elapsed >= t.timeout {
		return true, g.campaign()
	}
	return visit, nil
}

// campaign asks the other voters whether this replica may lead.
func (g *group) campaign() error {
	g.timer.reset(g.host.cfg.Rand)
	if !g.voter {
		return nil
	}
	if err := g.rn.Campaign(); err != nil {
		return fmt.Errorf("raft group %d: campaign: %w", g.id, err)
	}
	return nil
}

// hurry campaigns, and soon again if that comes to nothing and tries are left.
func (g *group) hurry(tries int) error {
	if err := g.campaign(); err != nil {
		return err
	}
	if tries > 0 {
		g.timer.hint, g.timer.tries = g.soon(), tries
	}
	return nil
}

// yielded begins the wait anew because another campaigns in a newer term.
func (g *group) yielded() {
	hint, tries := g.timer.hint, g.timer.tries
	g.timer.reset(g.host.cfg.Rand)
	if hint > 0 {
		g.timer.hint, g.timer.tries = max(hint, g.soon()), tries
	}
}

func (g *group) soon() int { return hintTicks + g.host.cfg.Rand(hintTicks) }

// rivalled makes way for another voter that asks whether it may lead while this
// one is about to, or overtakes it if its log is behind: then it would be refused.
func (g *group) rivalled(m *raftpb.Message) {
	if g.lead || g.timer.hint == 0 || g.leader.Load() != 0 {
		return
	}
	last, _ := g.log.LastIndex()
	term, err := g.log.Term(last)
	if behind := err == nil && (m.GetLogTerm() < term || m.GetLogTerm() == term && m.GetIndex() < last); behind {
		g.timer.hint = 1
		return
	}
	g.timer.hint = max(g.timer.hint, g.soon())
}

// PeerDown hints that the connection to a node broke. Every group led from
// there looks for another leader at once; votes are asked for before terms
// rise, so a wrong hint does no harm. Any goroutine; never blocks. More than
// one hint per node and second is passed over.
func (h *Host) PeerDown(node uint16) {
	now := h.cfg.Now()
	h.hintMu.Lock()
	last, known := h.hints[node]
	if known && now.Sub(last) < time.Second {
		h.hintMu.Unlock()
		return
	}
	h.hints[node] = now
	h.hintMu.Unlock()
	for _, w := range h.workers {
		w.post(func() error {
			for _, g := range w.ticking {
				if nodeOf(g.leader.Load()) != node || g.lead || g.stands() {
					continue
				}
				if err := g.orphaned(node); err != nil {
					return err
				}
				w.visit(g)
			}
			return nil
		})
	}
}

// orphaned looks for a new leader because the node of the old one is down.
func (g *group) orphaned(node uint16) error {
	if err := g.rn.ForgetLeader(); err != nil {
		return fmt.Errorf("raft group %d: forget leader: %w", g.id, err)
	}
	g.deaf, g.deafTo = deafTicks, node
	voters := g.log.conf.voters
	if !slices.Contains(voters, g.replica) {
		return nil
	}
	for i := range voters {
		// Each group begins with another voter, so that the load spreads.
		v := voters[(i+int(g.id))%len(voters)]
		if nodeOf(v) == node {
			continue
		}
		if v != g.replica {
			break
		}
		if err := g.hurry(hintTries); err != nil {
			return err
		}
		g.timer.hint = hintTicks - 1
		return nil
	}
	g.timer.hint, g.timer.tries = hintTicks, hintTries
	return nil
}

func nodeOf(replica uint64) uint16 { return uint16(replica) }
