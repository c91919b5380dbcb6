package rafthost

import (
	"fmt"
	"slices"
	"time"
)

// activeTicks is how long a member counts as active after its last message.
const activeTicks = 2 * electionTicks

// hintTicks is when voters that are not the first in order campaign after a
// hint, if there is no leader by then; the first tries once more a tick before.
const hintTicks = 3

// election is a group's clock. Elections are timed here and not by raft: its
// random numbers have no seed, and a follower's tick costs an addition.
type election struct {
	elapsed int // ticks since the leader was heard or a vote given
	timeout int // elapsed at which the replica campaigns
	hint    int // ticks until it campaigns if there is no leader; 0: none
	beat    int // ticks since raft sent heartbeats
}

func (e *election) reset(rand func(n int) int) {
	*e = election{timeout: electionTicks + rand(electionTicks)}
}

// tick counts one tick of a group with other members and tells whether the
// worker has to visit it.
func (g *group) tick() (visit bool, err error) {
	t := &g.timer
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
			return true, g.campaign()
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
		if err := g.campaign(); err != nil {
			return err
		}
		g.timer.hint = hintTicks - 1
		return nil
	}
	g.timer.hint = hintTicks
	return nil
}

func nodeOf(replica uint64) uint16 { return uint16(replica) }
