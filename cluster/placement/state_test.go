package placement

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
)

func TestNodesJoinAndLeave(t *testing.T) {
	s := NewState()
	info := func(ident uint64) NodeInfo {
		return NodeInfo{Ident: ident, Name: "n", Roles: RoleData, GateMax: 1}
	}
	do := func(c Change) Result { return s.Apply(Command{At: 1000, Change: c}) }
	wants := func(r Result, code analytics.Code, text string) {
		t.Helper()
		if analytics.CodeOf(r.Err) != code || r.Err == nil || !strings.Contains(r.Err.Error(), text) {
			t.Errorf("got %v, want %q", r.Err, text)
		}
	}
	wants(do(&AddNode{Node: info(2)}), analytics.Unavailable, "was not founded")
	do(&Found{ID: ID{1}, Shards: 2, Replicas: 3, Gate: 1, Node: info(1)})
	wants(do(&AddNode{Of: ID{2}, Node: info(2)}), analytics.Conflict, "belongs to cluster 02")
	a := do(&AddNode{Node: info(2)})
	moved := info(2)
	moved.Cluster = "elsewhere:1"
	b := do(&AddNode{Of: ID{1}, Node: moved})
	if a.Node.Number != 2 || b.Node.Number != 2 || b.Node.Cluster != "elsewhere:1" || b.Node.State != Joining || len(s.View().Nodes()) != 2 {
		t.Errorf("%+v, again %+v", a.Node, b.Node)
	}
	wants(do(&AddNode{Of: ID{1}, Node: info(3)}), analytics.Conflict, "does not know it")
	wants(do(&SetNodeState{Number: 2, From: Active, To: Draining}), analytics.Conflict, "is joining, not active")
	wants(do(&SetNodeState{Number: 1, To: Removed, Force: true}), analytics.Conflict, "node 1: holds the last copy of shard 0")
	if r := do(&SetNodeState{Number: 2, To: Removed}); r.Err != nil {
		t.Error(r.Err)
	}
	wants(do(&AddNode{Node: info(2)}), analytics.Conflict, "was removed")
	wants(do(&SetNodeState{Number: 2, To: Active}), analytics.Conflict, "cannot become active")
	wants(do(&UpdateNode{Number: 2, Weight: new(5)}), analytics.Conflict, "was removed")
	if c := do(&AddNode{Node: info(4)}); c.Node.Number != 3 {
		t.Errorf("a number is given again: %+v", c.Node)
	}
	old := info(5)
	if r := do(&RaiseGate{To: 2}); r.Err == nil {
		t.Error("the gate is raised over nodes that could not read")
	}
	for _, n := range []uint16{1, 3} {
		do(&UpdateNode{Number: n, GateMax: new(uint32(2))})
	}
	if r := do(&RaiseGate{To: 2}); r.Err != nil {
		t.Error(r.Err)
	}
	wants(do(&AddNode{Node: old}), analytics.Conflict, "formats up to 1")
	if r := do(&UpdateNode{Number: 3, Epoch: new(uint32(8))}); r.Node.Epoch != 8 {
		t.Errorf("%+v", r.Node)
	}
	if r := do(&UpdateNode{Number: 3, Epoch: new(uint32(7))}); r.Node.Epoch != 8 {
		t.Errorf("the epoch went back: %+v", r.Node)
	}
}

func TestPlansAreTakenByWhatTheyWereMadeFor(t *testing.T) {
	s := sampleState(t)
	x, _ := s.View().Shard(1)
	y, _ := s.View().Shard(0)
	op := func(o OpPlan) *OpPlan { o.Kind = OpMove; return &o }
	for _, c := range []struct {
		name string
		plan ShardPlan
		text string
	}{
		{"an old record", ShardPlan{Shard: 1, Rev: x.Rev - 1, Op: op(OpPlan{Remove: []uint64{1}})}, "changed meanwhile"},
		{"no such shard", ShardPlan{Shard: 9, Rev: 1, Op: op(OpPlan{Remove: []uint64{1}})}, "no shard 9"},
		{"one under way", ShardPlan{Shard: 0, Rev: y.Rev, Op: op(OpPlan{Add: []Place{{2, Learner}}})}, "under way"},
		{"none to give up", ShardPlan{Shard: 1, Rev: x.Rev}, "no operation"},
		{"two voters", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Add: []Place{{2, Voter}}})}, "2 voters"},
		{"no voters", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Remove: []uint64{1}})}, "0 voters"},
		{"a node twice", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Add: []Place{{2, Voter}, {2, Voter}}})}, "has a replica already"},
		{"a node that has one", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Add: []Place{{1, Learner}}})}, "has a replica already"},
		{"a node that is not there", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Add: []Place{{7, Learner}}})}, "no node 7"},
		{"a stranger", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Remove: []uint64{77}})}, "replica 77"},
		{"a voter promoted", ShardPlan{Shard: 1, Rev: x.Rev, Op: op(OpPlan{Promote: []uint64{1}})}, "replica 1"},
	} {
		before := s.View()
		r := s.Apply(Command{At: 5, Change: &PlanShards{Plans: []ShardPlan{c.plan}}})
		if r.Err == nil || !strings.Contains(r.Err.Error(), c.text) || !reflect.DeepEqual(before, s.View()) {
			t.Errorf("%s: %v", c.name, r.Err)
		}
	}
	// One item that is refused leaves the others alone; ids rise for ever.
	r := s.Apply(Command{At: 5, Change: &PlanShards{Plans: []ShardPlan{
		{Shard: 9, Rev: 1}, {Shard: 1, Rev: x.Rev, Op: op(OpPlan{Add: []Place{{2, Voter}}, Remove: []uint64{1}})}}}})
	z, _ := s.View().Shard(1)
	if r.Err != nil || len(r.Refused) != 1 || z.Op == nil || z.Op.Add[0].Replica != ReplicaID(2, 2) {
		t.Errorf("%+v, %+v", r, z.Op)
	}
}

func TestANoteEndsTheOperationItShows(t *testing.T) {
	s := sampleState(t)
	x, _ := s.View().Shard(0)
	add := x.Op.Add[0].Replica
	note := func(index uint64, members ...Member) *Shard {
		s.Apply(Command{At: 6, Change: &NoteShards{Notes: []ShardNote{{Shard: 0, ConfIndex: index, Members: members}}}})
		x, _ := s.View().Shard(0)
		return x
	}
	if x := note(6, Member{1, 1, Voter}, Member{3, 65539, Learner}, Member{2, add, Learner}); x.Op == nil || x.ConfIndex != 6 {
		t.Errorf("half way: %+v", x)
	}
	if x := note(5, Member{2, add, Voter}); x.Op == nil || x.ConfIndex != 6 {
		t.Errorf("an old note counts: %+v", x)
	}
	if x := note(8, Member{2, add, Voter}); x.Op != nil || len(x.Members) != 1 {
		t.Errorf("at the end: %+v", x)
	}
}

func TestPeriodsFollowTheCalendar(t *testing.T) {
	for now := time.Date(2023, 12, 1, 5, 0, 0, 0, time.UTC); now.Year() < 2029; now = now.Add(7 * time.Hour) {
		for f := Daily; f < familyEnd; f++ {
			p := f.PeriodAt(now.UnixMilli())
			from, to := time.UnixMilli(f.Begin(p)).UTC(), time.UnixMilli(f.Begin(f.Next(p))).UTC()
			if now.Before(from) || !now.Before(to) {
				t.Fatalf("%v is not in the %v from %v to %v", now, f, from, to)
			}
			if f == Weekly && (from.Weekday() != time.Monday || to.Sub(from) != 7*24*time.Hour) || f == Monthly && (from.Day() != 1 || to.Day() != 1 || to.Sub(from) > 31*24*time.Hour) ||
				f == Daily && to.Sub(from) != 24*time.Hour {
				t.Fatalf("the %v of %v is from %v to %v", f, now, from, to)
			}
		}
	}
}

func TestRolesAreText(t *testing.T) {
	for text, want := range map[string]Roles{"edge": RoleEdge, "data": RoleData, "data, edge": RoleEdge | RoleData} {
		if got, err := ParseRoles(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "edge,", "king"} {
		if _, err := ParseRoles(bad); analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The same commands make the same records, whatever was flushed when.
func TestDirtyRecordsAreAllThatChanged(t *testing.T) {
	s := sampleState(t)
	kept := map[Ref][]byte{}
	flush := func() {
		for _, r := range s.TakeDirty() {
			b, err := s.View().Record(r)
			if err != nil {
				t.Fatal(err)
			}
			kept[r] = b
			if b == nil {
				delete(kept, r)
			}
		}
	}
	flush()
	for i, c := range []Change{&SetReplicas{Replicas: 1}, &RetireSalts{Family: Weekly, Before: 99999}, &SetNodeState{Number: 2, To: Draining}} {
		s.Apply(Command{At: 1_900_000_000_000, Change: c})
		if got := len(s.dirty); got != 1 {
			t.Errorf("change %d touches %d records", i, got)
		}
		flush()
	}
	refs := s.View().Refs()
	if len(refs) != len(kept) {
		t.Errorf("%d records are kept, there are %d", len(kept), len(refs))
	}
	for _, r := range refs {
		if b, _ := s.View().Record(r); !slices.Equal(b, kept[r]) {
			t.Errorf("record %v is %q, kept %q", r, b, kept[r])
		}
	}
}
