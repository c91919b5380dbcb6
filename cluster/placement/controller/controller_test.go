package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/cluster/placement"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is a cluster whose groups do at once what they are told. It is the Log,
// the Executor and the SaltHolder of one controller.
type fleet struct {
	t        testing.TB
	mu       sync.Mutex
	now      int64
	leads    bool
	state    *placement.State
	view     *placement.View
	groups   map[uint16]*placement.ShardReport
	hosted   map[uint16]map[uint16]uint64 // by node and group
	down     map[uint16]bool
	removed  []uint64
	salts    map[uint16][]placement.ID // by node
	made     byte
	noPush   map[uint16]bool
	blocking bool // steps hang until their time is over
	hanging  int
}

func newFleet(t testing.TB, nodes int) *fleet {
	f := &fleet{t: t, now: 1_800_000_000_000, leads: true, state: placement.NewState(), groups: map[uint16]*placement.ShardReport{},
		hosted: map[uint16]map[uint16]uint64{}, down: map[uint16]bool{}, salts: map[uint16][]placement.ID{}, noPush: map[uint16]bool{}}
	f.do(&placement.Found{ID: placement.ID{1}, Shards: 4, Replicas: 3, Gate: 1, Node: info(1)})
	for i := 2; i <= nodes; i++ {
		f.do(&placement.AddNode{Node: info(i)})
	}
	f.hosted[1] = map[uint16]uint64{}
	for _, s := range f.view.Shards() {
		f.groups[s.ID] = &placement.ShardReport{Group: s.ID, Replica: 1, Term: 1, Commit: 10, ConfIndex: 1, Voters: []uint64{1}}
		f.hosted[1][s.ID] = 1
	}
	return f
}

func info(i int) placement.NodeInfo {
	return placement.NodeInfo{Ident: uint64(100 + i), Name: fmt.Sprint("n", i), Roles: placement.RoleEdge | placement.RoleData, GateMax: 1}
}

func (f *fleet) do(c placement.Change) placement.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.state.Apply(placement.Command{At: f.now, Change: c})
	f.view = f.state.View()
	return r
}

func (f *fleet) Placement() *placement.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

func (f *fleet) DoPlacement(_ context.Context, c placement.Change) (placement.Result, error) {
	r := f.do(c)
	return r, r.Err
}

func (f *fleet) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now++
	return time.UnixMilli(f.now)
}

// group finds the group that node leads.
func (f *fleet) group(node, shard uint16) (*placement.ShardReport, error) {
	g := f.groups[shard]
	if placement.NodeOf(g.Replica) != node || f.down[node] {
		return nil, errors.New("the node does not lead the group")
	}
	return g, nil
}

func (f *fleet) hang(ctx context.Context) {
	f.mu.Lock()
	blocking := f.blocking
	if blocking {
		f.hanging++
	}
	f.mu.Unlock()
	if blocking {
		<-ctx.Done()
	}
}

func (f *fleet) AddLearners(ctx context.Context, leader, shard uint16, after uint64, replicas []uint64) error {
	f.hang(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	g, err := f.group(leader, shard)
	if err != nil || g.ConfIndex != after {
		return errors.Join(err, errors.New("another configuration"))
	}
	for _, r := range replicas {
		n := placement.NodeOf(r)
		if f.hosted[n] == nil {
			f.hosted[n] = map[uint16]uint64{}
		}
		f.hosted[n][shard] = r
	}
	g.Learners = append(g.Learners, replicas...)
	g.ConfIndex++
	return nil
}

func (f *fleet) ChangeMembers(_ context.Context, leader, shard uint16, c Members) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, err := f.group(leader, shard)
	if err != nil || g.ConfIndex != c.After {
		return errors.Join(err, errors.New("another configuration"))
	}
	drop := func(list []uint64, but ...uint64) []uint64 {
		return slices.DeleteFunc(slices.Clone(list), func(r uint64) bool { return slices.Contains(but, r) })
	}
	g.Voters = append(drop(g.Voters, slices.Concat(c.Remove, c.Demote)...), c.Promote...)
	g.Learners = append(drop(g.Learners, slices.Concat(c.Remove, c.Promote)...), c.Demote...)
	g.ConfIndex++
	if !slices.Contains(g.Voters, g.Replica) {
		g.Replica, g.Term = g.Voters[0], g.Term+1
	}
	return nil
}

func (f *fleet) RemoveReplica(_ context.Context, node, shard uint16, replica uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosted[node][shard] == replica {
		delete(f.hosted[node], shard)
		f.removed = append(f.removed, replica)
	}
	return nil
}

func (f *fleet) Transfer(_ context.Context, leader, shard uint16, to uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, err := f.group(leader, shard)
	if err != nil {
		return err
	}
	g.Replica, g.Term = to, g.Term+1
	return nil
}

// report sends what every node that is up has to tell.
func (f *fleet) report(c *Controller) {
	for _, n := range f.Placement().Nodes() {
		f.mu.Lock()
		r := placement.NodeReport{Node: n.Number, Ident: n.Ident, Version: "1.0", GateMax: 1, Epoch: 3, DiskFree: 5, DiskSize: 9}
		for id, replica := range f.hosted[n.Number] {
			r.Hosted = append(r.Hosted, placement.Hosted{Group: id, Replica: replica})
		}
		for _, s := range f.view.Shards() {
			if g := f.groups[s.ID]; placement.NodeOf(g.Replica) == n.Number {
				copied := *g
				for _, m := range slices.Concat(g.Voters, g.Learners) {
					if m != g.Replica {
						copied.Progress = append(copied.Progress, placement.Progress{Replica: m, Match: g.Commit, Active: !f.down[placement.NodeOf(m)]})
					}
				}
				r.Leads = append(r.Leads, copied)
			}
		}
		down := f.down[n.Number]
		f.mu.Unlock()
		if !down {
			c.Report(r)
		}
	}
}

func (f *fleet) isLeader() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leads
}

func (f *fleet) Has(_ placement.Family, _ uint32, id placement.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.salts[1], id)
}

func (f *fleet) Make(placement.Family, uint32) (placement.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	id := placement.ID{f.made}
	f.salts[1] = append(f.salts[1], id)
	return id, nil
}

func (f *fleet) Push(_ context.Context, node uint16, _ placement.Family, _ uint32, id placement.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.noPush[node] {
		return errors.New("no way there")
	}
	if !slices.Contains(f.salts[node], id) {
		f.salts[node] = append(f.salts[node], id)
	}
	return nil
}

func (f *fleet) controller(set func(*Config)) *Controller {
	f.t.Helper()
	cfg := Config{Log: f, Executor: f, Leads: f.isLeader, Clock: f.clock, Self: 1, Interval: 2 * time.Millisecond, IntervalMin: time.Millisecond}
	if set != nil {
		set(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// run serves c until the test ends or stop is called.
func (f *fleet) run(c *Controller) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			f.t.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	f.t.Cleanup(stop)
	return stop
}

// until sends reports until something is the case.
func (f *fleet) until(c *Controller, what string, ok func(Status) bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		f.report(c)
		if ok(c.Status()) {
			return
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("never: %s\n%+v", what, c.Status())
		case <-tick.C:
		}
	}
}

func threeVoters(s Status) bool {
	for _, x := range s.Shards {
		voters := 0
		for _, m := range x.Members {
			if m.Role == placement.Voter {
				voters++
			}
		}
		if voters != 3 || x.Op != nil {
			return false
		}
	}
	return true
}

func TestAClusterGrowsDrainsAndLetsGo(t *testing.T) {
	f := newFleet(t, 4)
	c := f.controller(nil)
	f.run(c)
	f.until(c, "every shard has three voters", threeVoters)
	if n, _ := f.Placement().Node(2); n.Epoch != 3 || n.Version != "1.0" {
		t.Errorf("node 2 is known as %+v", n)
	}
	if err := c.Drain(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), 2, false); analytics.CodeOf(err) != analytics.Conflict {
		t.Errorf("removed while it holds replicas: %v", err)
	}
	f.until(c, "node 2 is empty", func(s Status) bool { return s.Nodes[1].Replicas == 0 && s.Nodes[1].Leaders == 0 && threeVoters(s) })
	if err := c.Remove(t.Context(), 2, false); err != nil {
		t.Fatal(err)
	}
	f.until(c, "node 2 holds nothing", func(Status) bool { return len(f.Placement().Holds(2)) == 0 })
	if err := c.Drain(t.Context(), 3); err == nil || !strings.Contains(err.Error(), "3 replicas") {
		t.Errorf("the last three nodes: %v", err)
	}
}

func TestOperatorsAreToldWhatIsWrong(t *testing.T) {
	f := newFleet(t, 4)
	c := f.controller(nil)
	f.run(c)
	ctx := t.Context()
	for _, x := range []struct {
		name string
		err  error
		code analytics.Code
		text string
	}{
		{"no such node", c.Drain(ctx, 99), analytics.NotFound, "node: there is no node 99"},
		{"the only copy", c.Remove(ctx, 1, true), analytics.Conflict, "node 1: holds the last copy of shard 0"},
		{"not draining", c.Undrain(ctx, 1), analytics.Conflict, "node 1: is active, not draining"},
		{"no such shard", c.Move(ctx, 77, 1, 2), analytics.NotFound, "shard: there is no shard 77"},
		{"nothing newer", c.RaiseGate(ctx), analytics.Conflict, "gate: is 1, and not all nodes read newer formats"},
		{"control", c.Move(ctx, placement.Control, 1, 2), analytics.NotFound, "shard: there is no shard 65535"},
	} {
		if analytics.CodeOf(x.err) != x.code || x.err == nil || x.err.Error() != x.text {
			t.Errorf("%s: %v", x.name, x.err)
		}
	}
	f.until(c, "every shard has three voters", threeVoters)
	s := f.Placement().Shards()[0]
	var free uint16
	for n := uint16(1); n <= 4; n++ {
		if !s.On(n) {
			free = n
		}
	}
	if err := c.Move(ctx, 0, free, free); err == nil || !strings.Contains(err.Error(), "has no replica of shard 0") {
		t.Errorf("from where nothing is: %v", err)
	}
	from := s.Members[0].Node
	if err := c.Move(ctx, 0, from, s.Members[1].Node); err == nil || !strings.Contains(err.Error(), "has a replica of shard 0 already") {
		t.Errorf("to where it is: %v", err)
	}
	if err := c.Move(ctx, 0, from, free); err != nil {
		t.Fatal(err)
	}
	f.until(c, "the shard has moved", func(x Status) bool {
		on := map[uint16]bool{}
		for _, m := range x.Shards[0].Members {
			on[m.Node] = true
		}
		return on[free] && !on[from] && x.Shards[0].Op == nil
	})
	f.mu.Lock()
	f.leads = false
	f.mu.Unlock()
	for _, err := range []error{c.Drain(ctx, 1), c.RaiseGate(ctx)} {
		if analytics.CodeOf(err) != analytics.Unavailable {
			t.Errorf("on a node that does not lead: %v", err)
		}
	}
}

func TestANodeThatHangsHoldsNobodyUpAndStopsWithTheController(t *testing.T) {
	f := newFleet(t, 3)
	f.blocking = true
	c := f.controller(func(cfg *Config) { cfg.StepTimeout = time.Hour; cfg.StepsMax = 2 })
	stop := f.run(c)
	f.until(c, "a step hangs", func(Status) bool { f.mu.Lock(); defer f.mu.Unlock(); return f.hanging > 0 })
	f.until(c, "the controller goes on: node 3 is known by its epoch", func(Status) bool {
		n, _ := f.Placement().Node(3)
		return n.Epoch == 3
	})
	stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hanging > 2 {
		t.Errorf("%d steps hang, there is room for 2", f.hanging)
	}
}

func TestOnlyTheLeaderControls(t *testing.T) {
	f := newFleet(t, 3)
	f.leads = false
	c := f.controller(nil)
	f.run(c)
	before := len(f.Placement().Shards()[0].Members)
	for range 50 {
		f.report(c)
	}
	if s := c.Status(); s.Leading || s.Nodes[0].LastReport != 0 || len(s.Shards[0].Members) != before {
		t.Errorf("%+v", s)
	}
	f.mu.Lock()
	f.leads = true
	f.mu.Unlock()
	c.Wake()
	f.until(c, "it controls", threeVoters)
}

func TestOneSaltPerPeriodAheadOfTime(t *testing.T) {
	f := newFleet(t, 3)
	f.salts = map[uint16][]placement.ID{}
	c := f.controller(func(cfg *Config) { cfg.Salts = f })
	k := newKeeper(c)
	ctx := t.Context()
	day := placement.Daily.PeriodAt(f.now)
	at := func(ms int64) { f.mu.Lock(); f.now = ms; f.mu.Unlock() }

	f.noPush = map[uint16]bool{2: true, 3: true}
	at(placement.Daily.Begin(day) + 3_600_000)
	k.round(ctx) // the first ever: at once; node 1 alone is a majority of one voter
	if s, ok := f.Placement().Salt(placement.Daily, day); !ok || s.By != 1 {
		t.Fatalf("no salt for today: %+v", s)
	}
	f.do(&placement.NoteShards{Notes: []placement.ShardNote{{Shard: placement.Control, ConfIndex: 2, Members: []placement.Member{
		{Node: 1, Replica: 1, Role: placement.Voter}, {Node: 2, Replica: 2, Role: placement.Voter}, {Node: 3, Replica: 3, Role: placement.Voter}}}}})
	at(placement.Daily.Begin(day+1) - aheadDay.Milliseconds() - 1000)
	k.round(ctx)
	if len(f.Placement().Salts()) != 1 {
		t.Error("tomorrow's salt was chosen too early")
	}
	at(placement.Daily.Begin(day+1) - aheadDay.Milliseconds())
	k.round(ctx)
	k.round(ctx)
	if len(f.Placement().Salts()) != 1 || f.made != 2 {
		t.Errorf("%d salts chosen, %d made, though one node of three has tomorrow's", len(f.Placement().Salts()), f.made)
	}
	f.noPush = map[uint16]bool{3: true}
	k.round(ctx)
	next, ok := f.Placement().Salt(placement.Daily, day+1)
	if !ok || next.ID != (placement.ID{2}) || !slices.Contains(f.salts[2], next.ID) {
		t.Fatalf("tomorrow's salt %+v, node 2 has %v", next, f.salts[2])
	}
	// Another leader, which made one as well, finds what holds.
	other := newKeeper(c)
	other.made[made{placement.Daily, day + 1}] = placement.ID{99}
	other.round(ctx)
	if again, _ := f.Placement().Salt(placement.Daily, day+1); again.ID != next.ID || f.made != 2 {
		t.Errorf("another one was chosen: %+v", again)
	}
	if r := f.do(&placement.ChooseSalt{Family: placement.Daily, Period: day + 1, ID: placement.ID{99}, By: 2}); analytics.CodeOf(r.Err) != analytics.Conflict || r.Salt.ID != next.ID {
		t.Errorf("a second choice: %+v", r)
	}
	at(placement.Daily.Begin(day+1) + placement.SaltGrace)
	k.round(ctx)
	if _, still := f.Placement().Salt(placement.Daily, day); still {
		t.Error("the choice for a day that is long over is still there")
	}
	if r := f.do(&placement.ChooseSalt{Family: placement.Daily, Period: day, ID: placement.ID{77}, By: 2}); r.Err == nil {
		t.Error("a day that is over gets another salt")
	}
}
