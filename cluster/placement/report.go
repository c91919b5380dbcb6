package placement

import (
	"encoding/binary"
	"fmt"
)

// NodeReport is what a node tells the controller, about once a second and after
// every change of a configuration or a leader.
type NodeReport struct {
	Node       uint16
	Ident      uint64
	Version    string // of its release
	GateMax    uint32 // the newest formats it can read
	Epoch      uint32 // of its producer streams
	DiskFree   uint64 // bytes
	DiskSize   uint64 // bytes
	SpoolBytes uint64
	Shed       bool          // its disk is nearly full or sick: it should lead nothing
	Hosted     []Hosted      // every replica on its disk
	Leads      []ShardReport // of every group that it leads
}

// Hosted is a replica on a node's disk.
type Hosted struct {
	Group   uint16
	Replica uint64
	Failed  bool // does not serve: its data is damaged
}

// ShardReport is what the leader of a group knows.
type ShardReport struct {
	Group     uint16
	Replica   uint64 // the leader's own
	Term      uint64
	Commit    uint64
	ConfIndex uint64 // of the configuration in force
	Joint     bool   // between two configurations
	Voters    []uint64
	Learners  []uint64
	Progress  []Progress
	Rate      uint64 // bytes appended per second
	LogBytes  uint64
}

// Progress is what a leader knows of a member.
type Progress struct {
	Replica  uint64
	Match    uint64
	Active   bool // answered lately
	Snapshot bool // is being sent one
}

// A report's bytes, numbers as uvarints unless said otherwise:
//
//	version(1) node ident(8) length version-text gate epoch free size spool flags
//	count { group replica flags }…   count { shard report }…
//
//	group replica term commit conf flags count voter… count learner…
//	count { replica match flags }…   rate log
const reportVersion = 1

const (
	flagShed     = 1 << 0
	flagFailed   = 1 << 0
	flagJoint    = 1 << 0
	flagActive   = 1 << 0
	flagSnapshot = 1 << 1
)

// Bounds of what a report may hold.
const (
	reportTextMax  = 256
	reportItemsMax = 1 << 16
)

func bit(on bool, value uint64) uint64 {
	if on {
		return value
	}
	return 0
}

// Append appends the report's bytes to dst.
func (r *NodeReport) Append(dst []byte) []byte {
	u := binary.AppendUvarint
	dst = u(append(dst, reportVersion), uint64(r.Node))
	dst = binary.BigEndian.AppendUint64(dst, r.Ident)
	dst = append(u(dst, uint64(len(r.Version))), r.Version...)
	for _, x := range []uint64{uint64(r.GateMax), uint64(r.Epoch), r.DiskFree, r.DiskSize, r.SpoolBytes, bit(r.Shed, flagShed)} {
		dst = u(dst, x)
	}
	dst = u(dst, uint64(len(r.Hosted)))
	for _, h := range r.Hosted {
		dst = u(u(u(dst, uint64(h.Group)), h.Replica), bit(h.Failed, flagFailed))
	}
	dst = u(dst, uint64(len(r.Leads)))
	for i := range r.Leads {
		dst = r.Leads[i].append(dst)
	}
	return dst
}

// Append appends the bytes of a shard's report, with their version, to dst.
func (s *ShardReport) Append(dst []byte) []byte { return s.append(append(dst, reportVersion)) }

func (s *ShardReport) append(dst []byte) []byte {
	u := binary.AppendUvarint
	for _, x := range []uint64{uint64(s.Group), s.Replica, s.Term, s.Commit, s.ConfIndex, bit(s.Joint, flagJoint)} {
		dst = u(dst, x)
	}
	for _, list := range [][]uint64{s.Voters, s.Learners} {
		dst = u(dst, uint64(len(list)))
		for _, r := range list {
			dst = u(dst, r)
		}
	}
	dst = u(dst, uint64(len(s.Progress)))
	for _, p := range s.Progress {
		dst = u(u(u(dst, p.Replica), p.Match), bit(p.Active, flagActive)|bit(p.Snapshot, flagSnapshot))
	}
	return u(u(dst, s.Rate), s.LogBytes)
}

// reader takes numbers off the front of b; the first thing wrong stays in err.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s", what)
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("it is cut off")
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	return x
}

func (r *reader) number(max uint64) uint64 {
	x, n := binary.Uvarint(r.b)
	switch {
	case n <= 0:
		r.fail("it is cut off")
		return 0
	case x > max:
		r.fail(fmt.Sprintf("%d is more than %d", x, max))
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) fixed64() uint64 {
	if len(r.b) < 8 {
		r.fail("it is cut off")
		return 0
	}
	x := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return x
}

// count reads the length of a list whose items take at least size bytes each, so
// that a short text cannot ask for much memory.
func (r *reader) count(size int) int {
	n := r.number(reportItemsMax)
	if n > uint64(len(r.b)/size) {
		r.fail("it is cut off")
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.number(reportTextMax)
	if n > uint64(len(r.b)) {
		r.fail("it is cut off")
		return ""
	}
	x := string(r.b[:n])
	r.b = r.b[n:]
	return x
}

const (
	any16 = 1<<16 - 1
	any32 = 1<<32 - 1
	any64 = 1<<64 - 1
)

func (r *reader) replicas() []uint64 {
	var out []uint64
	for range r.count(1) {
		out = append(out, r.number(any64))
	}
	return out
}

func (r *reader) version() {
	if v := r.byte(); r.err == nil && v != reportVersion {
		r.fail(fmt.Sprintf("format %d is not known to this release, which knows %d", v, reportVersion))
	}
}

func (r *reader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("there is something after it")
	}
	if r.err != nil {
		return fmt.Errorf("decode the report of a %s: %w", what, r.err)
	}
	return nil
}

// DecodeNodeReport reads what Append wrote.
func DecodeNodeReport(b []byte) (NodeReport, error) {
	r := &reader{b: b}
	r.version()
	out := NodeReport{Node: uint16(r.number(any16)), Ident: r.fixed64(), Version: r.text(), GateMax: uint32(r.number(any32)),
		Epoch: uint32(r.number(any32)), DiskFree: r.number(any64), DiskSize: r.number(any64), SpoolBytes: r.number(any64)}
	out.Shed = r.number(flagShed) != 0
	for range r.count(3) {
		h := Hosted{Group: uint16(r.number(any16)), Replica: r.number(any64)}
		h.Failed = r.number(flagFailed) != 0
		out.Hosted = append(out.Hosted, h)
	}
	for range r.count(11) {
		out.Leads = append(out.Leads, r.shard())
	}
	return out, r.end("node")
}

// DecodeShardReport reads what ShardReport.Append wrote.
func DecodeShardReport(b []byte) (ShardReport, error) {
	r := &reader{b: b}
	r.version()
	out := r.shard()
	return out, r.end("shard")
}

func (r *reader) shard() ShardReport {
	s := ShardReport{Group: uint16(r.number(any16)), Replica: r.number(any64), Term: r.number(any64), Commit: r.number(any64), ConfIndex: r.number(any64)}
	s.Joint = r.number(flagJoint) != 0
	s.Voters, s.Learners = r.replicas(), r.replicas()
	for range r.count(3) {
		p := Progress{Replica: r.number(any64), Match: r.number(any64)}
		flags := r.number(flagActive | flagSnapshot)
		p.Active, p.Snapshot = flags&flagActive != 0, flags&flagSnapshot != 0
		s.Progress = append(s.Progress, p)
	}
	s.Rate, s.LogBytes = r.number(any64), r.number(any64)
	return s
}

// Of finds what the leader knows of a member; the leader itself has everything.
func (s *ShardReport) Of(replica uint64) (Progress, bool) {
	if replica == s.Replica {
		return Progress{Replica: replica, Match: s.Commit, Active: true}, true
	}
	for _, p := range s.Progress {
		if p.Replica == replica {
			return p, true
		}
	}
	return Progress{}, false
}

// caughtUpWithin is how many entries behind the leader's commit a member may be
// and still count as caught up.
const caughtUpWithin = 64

// CaughtUp tells whether a member follows closely.
func (s *ShardReport) CaughtUp(replica uint64) bool {
	p, ok := s.Of(replica)
	return ok && p.Active && !p.Snapshot && p.Match+caughtUpWithin >= s.Commit
}

// Members gives the configuration in order of replica ids.
func (s *ShardReport) Members() []Member {
	var out []Member
	for _, r := range s.Voters {
		out = append(out, Member{Node: NodeOf(r), Replica: r, Role: Voter})
	}
	for _, r := range s.Learners {
		out = append(out, Member{Node: NodeOf(r), Replica: r, Role: Learner})
	}
	sortMembers(out)
	return out
}
