package simulate

import (
	"fmt"
	"slices"
	"strings"

	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// settleMax bounds how long a healed cluster may take, in steps: 100 seconds,
// and for many shards the time that moving them one by one takes.
func (s *simulation) settleMax() int64 { return 10_000 + 50*int64(len(s.groups)) }

// settle lets time pass until everything has come to its end.
func (s *simulation) settle() {
	begin := s.step
	why := ""
	for s.violation == nil {
		s.once()
		if s.step%20 != 0 {
			continue
		}
		if why = s.unsettled(); why == "" {
			s.stats.Settled = max(s.stats.Settled, int(s.step-begin))
			return
		}
		if s.step-begin > s.settleMax() {
			s.fail(InvariantEnds, "%s\n%s", why, s.describe())
		}
	}
}

// unsettled says what is not at its end yet, "" if all is.
func (s *simulation) unsettled() string {
	if s.clients.open > 0 {
		return fmt.Sprintf("%d views are not acknowledged", s.clients.open)
	}
	for _, n := range s.nodes {
		switch {
		case n.retired:
		case n.host == nil:
			return fmt.Sprintf("%s is no member", n)
		case n.edge == nil || !n.edge.idle():
			return fmt.Sprintf("%s has batches that are not delivered", n)
		}
	}
	l := s.leaderOf(rafthost.Control)
	if l == nil || l.control == nil {
		return "the control group has no leader"
	}
	view := l.control.state.View()
	want := 0
	if c, ok := view.Cluster(); ok {
		want = c.Replicas
	}
	active := 0
	for _, n := range view.Nodes() {
		switch n.State {
		case placement.Active:
			active++
		case placement.Removed:
		default:
			return fmt.Sprintf("node %d is %s", n.Number, n.State)
		}
	}
	short := active < want // what is lost cannot be replaced, and stays a voter
	want = min(want, active-1+active%2)
	for _, x := range view.Shards() {
		if why := s.unsettledGroup(view, x, want, short); why != "" {
			return why
		}
	}
	return ""
}

func (s *simulation) unsettledGroup(view *placement.View, x *placement.Shard, want int, short bool) string {
	g := rafthost.Group(x.ID)
	l := s.leaderOf(g)
	switch {
	case l == nil:
		return fmt.Sprintf("group %d has no leader", g)
	case x.Op != nil:
		return fmt.Sprintf("group %d: operation %s is under way", g, x.Op.Kind)
	}
	c := l.host.Status(g).Conf
	if len(c.Outgoing) > 0 || c.Index != x.ConfIndex && x.ConfIndex != 0 {
		return fmt.Sprintf("group %d: members of entry %d are not noted, entry %d is", g, c.Index, x.ConfIndex)
	}
	if g != rafthost.Control && (len(c.Voters) != want && !short || len(c.Learners) > 0) {
		return fmt.Sprintf("group %d has voters %d and learners %d, %d are wanted", g, c.Voters, c.Learners, want)
	}
	for _, r := range slices.Concat(c.Voters, c.Learners) {
		n := s.byNumber[uint16(r)]
		if x, ok := view.Node(uint16(r)); short && ok && x.State == placement.Removed {
			continue
		}
		if n == nil || n.host == nil {
			return fmt.Sprintf("group %d: replica %#x is on no node", g, r)
		}
		if st := n.host.Status(g); st.Failed != nil {
			s.fail(InvariantServes, "node %d group %d: %v", n.number, g, st.Failed)
			return "failed"
		} else if st.Replica != r || st.Applied != l.host.Applied(g) {
			return fmt.Sprintf("group %d: replica %#x is at %d, its leader at %d", g, r, st.Applied, l.host.Applied(g))
		}
	}
	for _, n := range s.nodes {
		if n.host == nil {
			continue
		}
		if st := n.host.Status(g); st.Replica != 0 && !slices.Contains(c.Voters, st.Replica) && !slices.Contains(c.Learners, st.Replica) {
			return fmt.Sprintf("group %d: replica %#x is left on node %d", g, st.Replica, n.number)
		}
	}
	return ""
}

// describe pictures the cluster for a report of a failure.
func (s *simulation) describe() string {
	var b strings.Builder
	for _, n := range s.nodes {
		fmt.Fprintf(&b, "%s retired=%v\n", n, n.retired)
		if n.host == nil {
			continue
		}
		for _, g := range n.host.Groups() {
			st := n.host.Status(g)
			fmt.Fprintf(&b, "  group %d: replica %#x leader %#x term %d commit %d applied %d voters %x learners %x outgoing %x at %d failed %v\n",
				g, st.Replica, st.Leader, st.Term, st.Commit, st.Applied, st.Conf.Voters, st.Conf.Learners, st.Conf.Outgoing, st.Conf.Index, st.Failed)
		}
		if n.edge == nil {
			continue
		}
		for _, g := range n.edge.order {
			if st := n.edge.streams[g]; len(st.queue)+len(st.flight)+len(st.spans) > 0 {
				fmt.Fprintf(&b, "  stream %d: %d queued, %d in flight, %d spans, hint %d\n", g, len(st.queue), len(st.flight), len(st.spans), st.hint)
			}
		}
	}
	if v := s.active(); v != nil {
		for _, x := range v.Nodes() {
			fmt.Fprintf(&b, "node %d %s since %d\n", x.Number, x.State, x.Since)
		}
		for _, x := range v.Shards() {
			fmt.Fprintf(&b, "group %d conf %d members %+v op %+v\n", x.ID, x.ConfIndex, x.Members, x.Op)
		}
	}
	return b.String()
}
