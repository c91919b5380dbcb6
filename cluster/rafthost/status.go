package rafthost

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
)

// Status is a picture of one replica.
type Status struct {
	Replica uint64 // 0: the group is not here
	Leader  uint64 // replica that leads as far as is known, or 0
	Term    uint64
	// Invariant: Truncated <= Persisted <= Commit and Applied <= Commit.
	Commit    uint64
	Applied   uint64
	Persisted uint64
	Truncated uint64 // the log begins after it
	Conf      Conf
	Members   []Progress // on the leader only, in order of replica
	// Staleness is how long ago the replica was known to be up to date with the
	// leader; 0 on a leader, which stops leading within two election times of
	// having lost its quorum. Never (the longest Duration) before it was once.
	Staleness time.Duration
	Failed    error // why the replica stands still, or nil
}

// Conf is who belongs to a group.
type Conf struct {
	Index    uint64 // of the entry that made it; what Change.After names
	Voters   []uint64
	Learners []uint64 // those that become learners at the end of a joint change included
	Outgoing []uint64 // not empty between the two halves of a joint change
}

// Progress is a member as the leader sees it.
type Progress struct {
	Replica  uint64
	Match    uint64 // it has the log up to here
	Active   bool   // was heard within the last second or so
	Snapshot bool   // is being sent one
}

// Never is the staleness of a replica that never was up to date.
const Never = time.Duration(1<<63 - 1)

// Status gives a picture of g's replica; it costs a few allocations. Any
// goroutine but those of the hooks and of the Applier's methods.
func (h *Host) Status(g Group) Status {
	gr := h.find(g)
	if gr == nil {
		return Status{}
	}
	gr.worker.drive.Lock()
	defer gr.worker.drive.Unlock()
	c := &gr.log.conf
	s := Status{Replica: gr.replica, Leader: gr.leader.Load(), Applied: gr.applied.Load(), Staleness: Never,
		Conf: Conf{Index: c.index, Voters: slices.Clone(c.voters), Learners: slices.Concat(c.learners, c.learnersNext), Outgoing: slices.Clone(c.outgoing)}}
	begin, persisted, _ := gr.log.ends()
	s.Truncated, s.Persisted = begin.index, persisted.index
	if f := gr.failure.Load(); f != nil {
		s.Failed = f.err
		return s
	}
	basic := gr.rn.BasicStatus()
	s.Term, s.Commit = basic.GetTerm(), basic.GetCommit()
	switch {
	case gr.lead && basic.RaftState == raft.StateLeader:
		s.Staleness = 0
		gr.visitMembers(func(p Progress, _ uint64) { s.Members = append(s.Members, p) })
	case !gr.fresh.at.IsZero():
		s.Staleness = max(0, h.cfg.Now().Sub(gr.fresh.at))
	}
	return s
}

// Failed is why the replica of g stands still; nil if it does not, or is not
// here. Any goroutine; it takes no lock.
func (h *Host) Failed(g Group) error {
	if gr := h.find(g); gr != nil {
		if f := gr.failure.Load(); f != nil {
			return f.err
		}
	}
	return nil
}

// Groups lists the groups that have a replica here, in order.
func (h *Host) Groups() []Group {
	var ids []Group
	for id := range *h.groups.Load() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
