package member

import (
	"context"
	"sync"
	"time"

	"footfall/cluster/placement"
)

// How often a node reports at least, and at most.
const (
	reportEvery = time.Second
	reportRest  = 50 * time.Millisecond
)

// News says that the controller should hear from this node soon: a leader or the
// members of a group changed. It does not block.
func (m *Member) News() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// report tells the controller once a second how this node's replicas are, and
// soon after news.
func (m *Member) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(reportRest):
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.news:
		}
		leader := m.ControlLeader()
		r := m.nodeReport()
		if leader == m.Self() {
			m.parts.Load().Controller.Report(r)
			continue
		}
		nodes := []uint16{leader}
		if leader == 0 {
			nodes = m.connected()
		}
		m.reportTo(ctx, nodes, r.Append(nil))
	}
}

// connected lists the nodes that can be reached. Any of them may lead the control
// group when this node does not know who does: one that was taken for dead is no
// member of it any more, and only its report brings it back.
func (m *Member) connected() (nodes []uint16) {
	for _, p := range m.wire.Peers() {
		if p.Up {
			nodes = append(nodes, p.Node)
		}
	}
	return nodes
}

// reportTo sends a report; who does not lead drops it.
func (m *Member) reportTo(ctx context.Context, nodes []uint16, report []byte) {
	ctx, cancel := context.WithTimeout(ctx, reportEvery)
	defer cancel()
	var calls sync.WaitGroup
	for _, node := range nodes {
		calls.Go(func() {
			if _, err := m.wire.Call(ctx, node, callReport, report); err != nil && ctx.Err() == nil {
				m.cfg.Logger.Debug("report to the controller", "node", node, "error", err)
			}
		})
	}
	calls.Wait()
}

// nodeReport tells how the node is.
func (m *Member) nodeReport() placement.NodeReport {
	p := m.parts.Load()
	r := placement.NodeReport{Node: m.Self(), Ident: m.cfg.Info.Ident, Version: m.cfg.Info.Version, GateMax: m.cfg.Info.GateMax}
	p.Report(&r)
	for _, g := range p.Host.Groups() {
		s := p.Host.Status(g)
		if s.Replica == 0 {
			continue
		}
		r.Hosted = append(r.Hosted, placement.Hosted{Group: uint16(g), Replica: s.Replica, Failed: s.Failed != nil})
		if s.Members == nil || s.Leader != s.Replica {
			continue
		}
		shard := placement.ShardReport{Group: uint16(g), Replica: s.Replica, Term: s.Term, Commit: s.Commit, ConfIndex: s.Conf.Index,
			Joint: len(s.Conf.Outgoing) > 0, Voters: s.Conf.Voters, Learners: s.Conf.Learners, LogBytes: uint64(max(0, p.Host.LogBytes(g)))}
		for _, q := range s.Members {
			shard.Progress = append(shard.Progress, placement.Progress{Replica: q.Replica, Match: q.Match, Active: q.Active, Snapshot: q.Snapshot})
		}
		r.Leads = append(r.Leads, shard)
	}
	return r
}
