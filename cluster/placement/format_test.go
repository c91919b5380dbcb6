package placement

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

var write = flag.Bool("write", false, "write samples that are missing in testdata")

// sample gives the bytes kept for a name; got are those that this release makes.
func sample(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "format-1", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text = append(hex.AppendEncode(nil, got), '\n')
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func samples() map[string]Change {
	node := NodeInfo{Ident: 0xfedcba9876543210, Name: "n1", Zone: "a", Region: "eu", Cluster: "10.0.0.1:7000", HTTP: "10.0.0.1:8000",
		Roles: RoleEdge | RoleData, Weight: 150, Version: "1.2", GateMax: 2}
	return map[string]Change{
		"found":          &Found{ID: ID{1, 2, 3}, Shards: 256, Replicas: 3, Gate: 1, Node: node},
		"add-node":       &AddNode{Of: ID{1, 2, 3}, Node: node},
		"update-node":    &UpdateNode{Number: 2, Name: new("x"), Zone: new("b"), Region: new("us"), Cluster: new("h:1"), HTTP: new("h:2"), Roles: new(RoleData), Weight: new(100), Version: new("1.3"), GateMax: new(uint32(3)), Epoch: new(uint32(9))},
		"set-node-state": &SetNodeState{Number: 2, From: Active, To: Removed, Force: true},
		"set-replicas":   &SetReplicas{Replicas: 5},
		"plan-shards": &PlanShards{Plans: []ShardPlan{{Shard: 7, Rev: 3, Op: &OpPlan{Kind: OpVoters, Add: []Place{{4, Voter}}, Promote: []uint64{65538},
			Demote: []uint64{65539}, Remove: []uint64{1}}}, {Shard: 8, Rev: 1}}},
		"note-shards":  &NoteShards{Notes: []ShardNote{{Shard: Control, ConfIndex: 9, Members: []Member{{1, 1, Voter}, {2, 65538, Learner}}}}},
		"choose-salt":  &ChooseSalt{Family: Monthly, Period: 20423, ID: ID{9}, By: 1},
		"retire-salts": &RetireSalts{Family: Weekly, Before: 20423},
		"raise-gate":   &RaiseGate{To: 2},
	}
}

func TestCommandsOfFormat1StayReadable(t *testing.T) {
	all := samples()
	for k := kind(1); newChange(k) != nil; k++ {
		found := false
		for _, c := range all {
			found = found || c.kind() == k
		}
		if !found {
			t.Errorf("there is no sample of kind %d", k)
		}
	}
	for name, change := range all {
		want := Command{At: 1_800_000_000_000, Change: change}
		b, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommand(sample(t, "command-"+name, b))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got.Change, err)
		}
		if err := change.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sampleState has every kind of record, with every field set.
func sampleState(t *testing.T) *State {
	t.Helper()
	s := NewState()
	info := samples()["found"].(*Found).Node
	second := info
	second.Ident = 2
	for _, c := range []Change{
		&Found{ID: ID{1}, Shards: 2, Replicas: 3, Gate: 1, Node: info},
		&AddNode{Node: second}, &SetNodeState{Number: 2, To: Active}, &UpdateNode{Number: 2, Epoch: new(uint32(4))},
		&NoteShards{Notes: []ShardNote{{Shard: 0, ConfIndex: 5, Members: []Member{{1, 1, Voter}, {3, 65539, Learner}}}}},
		&PlanShards{Plans: []ShardPlan{{Shard: 0, Rev: 2, Op: &OpPlan{Kind: OpMove, Add: []Place{{2, Voter}}, Remove: []uint64{1, 65539}}}}},
		&PlanShards{Plans: []ShardPlan{{Shard: 1, Rev: 1, Op: &OpPlan{Kind: OpMove, Add: []Place{{2, Learner}}}}}},
		&PlanShards{Plans: []ShardPlan{{Shard: 1, Rev: 2}}},
		&ChooseSalt{Family: Weekly, Period: Weekly.PeriodAt(1_800_000_000_000), ID: ID{5}, By: 2},
	} {
		if r := s.Apply(Command{At: 1_800_000_000_000, Change: c}); r.Err != nil {
			t.Fatalf("%+v: %v", c, r.Err)
		}
	}
	return s
}

func TestRecordsOfFormat1StayReadable(t *testing.T) {
	s := sampleState(t)
	back := NewState()
	names := map[Ref]string{{RefCluster, 0}: "cluster", {RefNode, 2}: "node", {RefShard, 0}: "shard", {RefShard, 1}: "shard-given-up", {RefSalt, saltKey(Weekly, Weekly.PeriodAt(1_800_000_000_000))}: "salt"}
	for _, r := range slices.Backward(s.View().Refs()) { // any order
		b, err := s.View().Record(r)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := names[r]; ok {
			b = sample(t, "record-"+name, b)
			delete(names, r)
		}
		if err := back.Restore(r, b); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) > 0 {
		t.Errorf("no record %v", names)
	}
	if !reflect.DeepEqual(back.View(), s.View()) {
		t.Error("what comes back is not what was kept")
	}
}

func sampleReport() NodeReport {
	return NodeReport{Node: 3, Ident: 0xfedcba9876543210, Version: "1.2", GateMax: 2, Epoch: 7, DiskFree: 1 << 40, DiskSize: 1 << 41, SpoolBytes: 99, Shed: true,
		Hosted: []Hosted{{7, 65539, false}, {8, 3, true}},
		Leads: []ShardReport{{Group: 7, Replica: 65539, Term: 4, Commit: 1000, ConfIndex: 44, Joint: true, Voters: []uint64{1, 65539}, Learners: []uint64{131074},
			Progress: []Progress{{1, 990, true, false}, {131074, 0, true, true}}, Rate: 5000, LogBytes: 1 << 20}}}
}

func TestReportsOfFormat1StayReadable(t *testing.T) {
	want := sampleReport()
	got, err := DecodeNodeReport(sample(t, "node-report", want.Append(nil)))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	shard, err := DecodeShardReport(sample(t, "shard-report", want.Leads[0].Append(nil)))
	if err != nil || !reflect.DeepEqual(shard, want.Leads[0]) {
		t.Errorf("%+v, %v", shard, err)
	}
}

func FuzzCommand(f *testing.F) {
	for _, c := range samples() {
		b, err := Command{At: 5, Change: c}.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{commandVersion, 1, 0, 0, 0, 0, 0, 0, 0, 0, '{', '}', '{'})
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := cmd.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeCommand(again)
		if err != nil {
			t.Fatalf("%+v becomes %q: %v", cmd.Change, again, err)
		}
		if b, err := back.Append(nil); err != nil || !bytes.Equal(b, again) {
			t.Fatalf("%q becomes %q, %v", again, b, err)
		}
		s := NewState()
		s.Apply(Command{At: 1, Change: &Found{ID: ID{1}, Shards: 9, Replicas: 3, Gate: 1, Node: NodeInfo{Ident: 1, Roles: RoleData, GateMax: 1}}})
		before := s.View()
		if r := s.Apply(cmd); r.Err != nil && !reflect.DeepEqual(s.View(), before) {
			t.Fatalf("refused with %v, and yet something changed", r.Err)
		}
		for _, x := range s.View().Shards() {
			if n := len(voters(x.Intended())); x.Op != nil && n%2 == 0 {
				t.Fatalf("shard %d is to have %d voters", x.ID, n)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	s := NewState()
	s.Apply(Command{At: 1, Change: samples()["found"]})
	for _, r := range s.View().Refs()[:3] {
		b, err := s.View().Record(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Kind, r.ID, b)
	}
	f.Add(byte(RefSalt), uint64(1), []byte("\x01{}"))
	f.Fuzz(func(t *testing.T, kind byte, id uint64, b []byte) {
		s := NewState()
		if err := s.Restore(Ref{kind, id}, b); err != nil {
			return
		}
		got, err := s.View().Record(Ref{kind, id})
		if err != nil || got == nil {
			t.Fatalf("record %d/%d is gone: %v", kind, id, err)
		}
	})
}

func FuzzReport(f *testing.F) {
	r := sampleReport()
	f.Add(r.Append(nil))
	f.Add(r.Leads[0].Append(nil))
	f.Add([]byte{reportVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeNodeReport(b); err == nil {
			if back, err := DecodeNodeReport(r.Append(nil)); err != nil || !reflect.DeepEqual(back, r) {
				t.Fatalf("%+v becomes %+v, %v", r, back, err)
			}
		}
		if s, err := DecodeShardReport(b); err == nil {
			if back, err := DecodeShardReport(s.Append(nil)); err != nil || !reflect.DeepEqual(back, s) {
				t.Fatalf("%+v becomes %+v, %v", s, back, err)
			}
		}
	})
}
