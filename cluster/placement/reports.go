package placement

import (
	"cmp"
	"slices"
)

// Reports is what a controller has heard since it began, and what it is doing.
// Not safe for concurrent use.
type Reports struct {
	since int64 // Unix ms
	seq   uint64
	heard map[uint16]*heard // by node
	acted map[uint16]uint64 // by group: seq when a step for it ended; what was heard before tells nothing
	busy  map[uint16]Step   // by group: the step under way
}

type heard struct {
	report NodeReport
	at     int64 // Unix ms
	seq    uint64
	active int64 // when a leader last said that it answers, Unix ms
}

// NewReports makes an empty one at now, Unix ms.
func NewReports(now int64) *Reports {
	return &Reports{since: now, heard: map[uint16]*heard{}, acted: map[uint16]uint64{}, busy: map[uint16]Step{}}
}

func (r *Reports) of(node uint16) *heard {
	h := r.heard[node]
	if h == nil {
		h = &heard{at: -1}
		r.heard[node] = h
	}
	return h
}

// Take takes a report in; it replaces the one before of the same node.
func (r *Reports) Take(report NodeReport, now int64) {
	r.seq++
	h := r.of(report.Node)
	h.report, h.at, h.seq = report, now, r.seq
	for i := range report.Leads {
		for _, p := range report.Leads[i].Progress {
			if p.Active {
				a := r.of(NodeOf(p.Replica))
				a.active = max(a.active, now)
			}
		}
	}
}

// Begin notes that a step is under way; End that it ended, whatever became of it.
func (r *Reports) Begin(s Step) {
	if s.Kind != StepCommand {
		r.busy[s.Shard] = s
	}
}

// End notes that a step has ended.
func (r *Reports) End(s Step) {
	if s.Kind != StepCommand {
		r.seq++
		delete(r.busy, s.Shard)
		r.acted[s.Shard] = r.seq
	}
}

// Last gives the last report of a node and when it came, Unix ms.
func (r *Reports) Last(node uint16) (NodeReport, int64, bool) {
	h := r.heard[node]
	if h == nil || h.at < 0 {
		return NodeReport{}, 0, false
	}
	return h.report, h.at, true
}

// seen gives when there was last a sign of life of a node, Unix ms.
func (r *Reports) seen(node uint16) int64 {
	h := r.heard[node]
	if h == nil {
		return r.since
	}
	return max(r.since, h.at, h.active)
}

// Leaders finds the report of each group's leader among those that came after
// from, Unix ms: of several that say they lead, the one of the highest term.
// Groups of which a step ended since are left out: what is known is old.
func (r *Reports) Leaders(from int64) map[uint16]*ShardReport {
	return r.leaders(from, r.acted)
}

// Known is Leaders for showing: groups of which a step ended are there as well.
func (r *Reports) Known(from int64) map[uint16]*ShardReport { return r.leaders(from, nil) }

func (r *Reports) leaders(from int64, acted map[uint16]uint64) map[uint16]*ShardReport {
	out := map[uint16]*ShardReport{}
	for _, h := range r.heard {
		if h.at < from || h.at < 0 {
			continue
		}
		for i := range h.report.Leads {
			s := &h.report.Leads[i]
			if h.seq <= acted[s.Group] || NodeOf(s.Replica) != h.report.Node {
				continue
			}
			if old := out[s.Group]; old == nil || cmp.Or(cmp.Compare(s.Term, old.Term), cmp.Compare(s.ConfIndex, old.ConfIndex), cmp.Compare(s.Replica, old.Replica)) > 0 {
				out[s.Group] = s
			}
		}
	}
	return out
}

func sortMembers(list []Member) {
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Replica, b.Replica) })
}
