package placement

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// checkSettled checks what a cluster at rest must be like.
func (w *world) checkSettled() {
	w.t.Helper()
	v := w.state.View()
	cl, _ := v.Cluster()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf(format+"\n%s", append(args, w)...)
	}
	var targets []*Node
	for _, n := range v.Nodes() {
		if n.State == Active && n.Data() {
			targets = append(targets, n)
		}
	}
	want := cl.Replicas
	if len(targets) < want {
		want = odd(max(1, len(targets)))
	}
	load, leads := map[uint16]int{}, map[uint16]int{}
	for _, s := range v.Shards() {
		g := w.groups[s.ID]
		if s.Op != nil || s.ConfIndex != g.conf && g.conf > 1 {
			fail("shard %d is not at rest", s.ID)
		}
		if s.ID == Control {
			continue
		}
		if len(g.learners) > 0 || len(g.voters) < want || len(g.voters)%2 == 0 {
			fail("shard %d has voters %v and learners %v, want %d voters", s.ID, g.voters, g.learners, want)
		}
		for _, r := range g.voters {
			load[NodeOf(r)]++
			if n, _ := v.Node(NodeOf(r)); n.State != Active && len(targets) >= cl.Replicas {
				fail("shard %d is on node %d, which is %s", s.ID, n.Number, n.State)
			}
		}
		leads[NodeOf(g.leader)]++
	}
	for _, m := range w.nodes {
		for id, r := range m.hosted {
			if g := w.groups[id]; m.up && !slices.Contains(g.voters, r) && !slices.Contains(g.learners, r) {
				fail("node %d keeps replica %d of shard %d", m.number, r, id)
			}
		}
	}
	w.checkControl(targets, fail)
	if len(targets) >= cl.Replicas {
		w.checkEven("replicas", targets, load, fail)
	}
	if len(targets) >= cl.Replicas {
		w.checkEven("leaders", targets, leads, fail)
	}
	w.checkZones(targets, want, fail)
}

func (w *world) checkControl(targets []*Node, fail func(string, ...any)) {
	v, g := w.state.View(), w.groups[Control]
	dead := 0
	for _, n := range v.Nodes() {
		if n.State == Dead && n.Data() {
			dead++
		}
		in := slices.ContainsFunc(slices.Concat(g.voters, g.learners), func(r uint64) bool { return NodeOf(r) == n.Number })
		if want := n.State == Active || n.State == Draining; want && !in || n.State == Removed && in {
			fail("node %d is %s; member of the control group: %v", n.Number, n.State, in)
		}
	}
	if n := len(g.voters); n < controlSize(len(targets)) || n > controlSize(len(targets)+dead) {
		fail("the control group has %d voters for %d nodes", n, len(targets))
	}
}

// checkEven checks that no two nodes between which things could be moved are
// uneven by more than one thing or a tenth; with zones only where it is free.
func (w *world) checkEven(what string, targets []*Node, count map[uint16]int, fail func(string, ...any)) {
	zones := map[string]bool{}
	total, weight := 0, 0
	for _, n := range targets {
		zones[n.Region+"/"+n.Zone] = true
		total += count[n.Number]
		weight += n.Weight
	}
	if len(zones) > 1 && len(zones) < len(targets) {
		return
	}
	per := float64(total) / float64(weight)
	for _, a := range targets {
		for _, b := range targets {
			d := float64(count[a.Number])/float64(a.Weight) - float64(count[b.Number])/float64(b.Weight)
			round := 1/float64(a.Weight) + 1/float64(b.Weight)
			if what == "replicas" && a.Weight == b.Weight {
				round = 1 / float64(a.Weight)
			}
			if d > math.Max(hysteresis*per, round)+1e-9 {
				fail("%s: node %d has %d by weight %d, node %d has %d by weight %d", what, a.Number, count[a.Number], a.Weight, b.Number, count[b.Number], b.Weight)
			}
		}
	}
}

// checkZones checks that each shard is spread as well as it could be, found by
// trying every choice of nodes.
func (w *world) checkZones(targets []*Node, want int, fail func(string, ...any)) {
	if len(targets) > 12 || len(targets) < want {
		return
	}
	var all []*nodeState
	for _, n := range targets {
		all = append(all, &nodeState{Node: n})
	}
	best := math.MaxInt
	var choose func(from int, chosen []*nodeState)
	choose = func(from int, chosen []*nodeState) {
		if len(chosen) == want {
			best = min(best, crowd(chosen))
			return
		}
		for i := from; i < len(all); i++ {
			choose(i+1, append(chosen, all[i]))
		}
	}
	choose(0, nil)
	v := w.state.View()
	for _, s := range v.Shards() {
		if s.ID == Control || len(w.groups[s.ID].voters) != want {
			continue
		}
		var have []*nodeState
		for _, r := range w.groups[s.ID].voters {
			n, _ := v.Node(NodeOf(r))
			have = append(have, &nodeState{Node: n})
		}
		if c := crowd(have); c != best {
			fail("shard %d is spread with cost %d, possible is %d", s.ID, c, best)
		}
	}
}

func (w *world) set1(number uint16, to NodeState) {
	w.t.Helper()
	if r := w.do(&SetNodeState{Number: number, To: to}); r.Err != nil {
		w.t.Fatal(r.Err)
	}
}

func TestOneNodeGrowsToThreeFiveAndBack(t *testing.T) {
	w := newWorld(t, 1, 64, 3)
	w.settle(100)
	w.join("", "", 0)
	w.settle(200)
	for _, g := range w.groups {
		if len(g.voters) != 1 {
			t.Fatalf("with two nodes shard %d has voters %v", g.id, g.voters)
		}
	}
	w.join("", "", 0)
	w.settle(2000)
	w.checkSettled()
	a, b := w.join("", "", 0), w.join("", "", 0)
	w.settle(3000)
	w.checkSettled()
	if g := w.groups[Control]; len(g.voters) != 5 {
		t.Errorf("control voters %v", g.voters)
	}
	w.set1(a, Draining)
	w.set1(b, Draining)
	w.settle(3000)
	w.checkSettled()
	for _, n := range []uint16{a, b} {
		if got := w.state.View().Holds(n); !slices.Equal(got, []uint16{Control}) {
			t.Errorf("drained node %d holds %v", n, got)
		}
		w.set1(n, Removed)
	}
	w.settle(300)
	w.checkSettled()
	for _, n := range []uint16{a, b} {
		if m := w.nodes[n]; w.state.View().Holds(n) != nil {
			t.Errorf("removed node %d holds %v, %v", n, w.state.View().Holds(n), m.hosted)
		}
	}
}

func TestADeadNodeIsReplacedOnlyIfThereIsASpare(t *testing.T) {
	for _, spare := range []bool{false, true} {
		w := newWorld(t, 2, 32, 3)
		w.join("", "", 0)
		lost := w.join("", "", 0)
		if spare {
			w.join("", "", 0)
		}
		w.settle(3000)
		w.checkSettled()
		w.down(lost)
		for range 9 * 60 {
			w.round()
		}
		if n, _ := w.state.View().Node(lost); n.State != Active {
			t.Fatalf("after 9 minutes node %d is %s", lost, n.State)
		}
		for range 2 * 60 {
			w.round()
		}
		w.settle(3000)
		n, _ := w.state.View().Node(lost)
		on := 0
		for _, g := range w.groups {
			if slices.ContainsFunc(g.voters, func(r uint64) bool { return NodeOf(r) == lost }) {
				on++
			}
			if len(g.voters) != 3 {
				t.Errorf("shard %d has voters %v", g.id, g.voters)
			}
		}
		if n.State != Dead || spare && on != 0 || !spare && on != 33 {
			t.Errorf("spare %v: node %d is %s and votes in %d groups", spare, lost, n.State, on)
		}
		if spare {
			w.checkSettled()
		}
		w.nodes[lost].up, w.nodes[lost].since = true, w.now
		w.settle(3000)
		if n, _ := w.state.View().Node(lost); n.State != Active {
			t.Errorf("back again, node %d is %s", lost, n.State)
		}
		w.checkSettled()
	}
}

func (w *world) down(n uint16) {
	w.nodes[n].up, w.nodes[n].since = false, w.now
}

func TestLeadersLeaveADrainingNodeFirst(t *testing.T) {
	w := newWorld(t, 3, 48, 3)
	for range 3 {
		w.join("", "", 0)
	}
	w.settle(3000)
	w.checkSettled()
	w.set1(1, Draining)
	for range 12 {
		w.round()
	}
	left := 0
	for _, g := range w.groups {
		if NodeOf(g.leader) == 1 {
			left++
		}
	}
	if left > 0 {
		t.Errorf("after 12 rounds the draining node leads %d groups", left)
	}
	if n := len(w.state.View().Holds(1)); n < 10 {
		t.Errorf("it holds %d replicas: they left before their leaders", n)
	}
}

func TestLeadershipGoesToNobodyWhoIsBehind(t *testing.T) {
	w := newWorld(t, 10, 8, 3)
	for range 3 {
		w.join("", "", 0)
	}
	w.settle(2000)
	w.set1(1, Draining)
	for range 20 {
		w.now += 1000
		w.live()
		for _, n := range w.numbers() {
			rep := w.report(w.nodes[n])
			for i := range rep.Leads {
				rep.Leads[i].Commit += 10_000 // and nobody has followed yet
			}
			w.reports.Take(rep, w.now)
		}
		for _, s := range Plan(w.state.View(), w.reports, w.now, w.set) {
			if s.Kind == StepTransfer {
				t.Fatalf("group %d is handed to replica %d", s.Shard, s.Replica)
			}
		}
	}
}

func TestANodeWithASickDiskLeadsNothingAndGetsNothing(t *testing.T) {
	w := newWorld(t, 4, 16, 3)
	for range 2 {
		w.join("", "", 0)
	}
	w.settle(2000)
	for range 30 {
		w.now += 1000
		w.live()
		for _, n := range w.numbers() {
			rep := w.report(w.nodes[n])
			rep.Shed = n == 2
			w.reports.Take(rep, w.now)
		}
		for _, s := range Plan(w.state.View(), w.reports, w.now, w.set) {
			w.reports.Begin(s)
			w.execute(s, true)
			w.reports.End(s)
		}
	}
	for _, g := range w.groups {
		if NodeOf(g.leader) == 2 {
			t.Errorf("node 2 leads shard %d", g.id)
		}
	}
}

func TestADamagedReplicaIsReplaced(t *testing.T) {
	w := newWorld(t, 5, 8, 3)
	for range 3 {
		w.join("", "", 0)
	}
	w.settle(2000)
	bad := w.groups[3].voters[0]
	for range 60 {
		w.now += 1000
		w.live()
		for _, n := range w.numbers() {
			rep := w.report(w.nodes[n])
			for i, h := range rep.Hosted {
				rep.Hosted[i].Failed = h.Group == 3 && h.Replica == bad
			}
			w.reports.Take(rep, w.now)
		}
		for _, s := range Plan(w.state.View(), w.reports, w.now, w.set) {
			w.reports.Begin(s)
			w.execute(s, true)
			w.reports.End(s)
		}
	}
	if g := w.groups[3]; slices.Contains(g.voters, bad) || len(g.voters) != 3 {
		t.Errorf("voters %v still have %d", g.voters, bad)
	}
	w.settle(500)
	w.checkSettled()
}

func TestWeightsDecideHowMuchANodeTakes(t *testing.T) {
	w := newWorld(t, 6, 120, 1)
	w.join("", "", 2*NormalWeight)
	w.join("", "", NormalWeight)
	w.settle(4000)
	w.checkSettled()
	load := map[uint16]int{}
	for id, g := range w.groups {
		if id != Control {
			load[NodeOf(g.voters[0])]++
		}
	}
	if load[2] < 55 || load[2] > 65 {
		t.Errorf("loads %v, want about 30, 60, 30", load)
	}
}

func TestFewerReplicasAreMadeInOneChange(t *testing.T) {
	w := newWorld(t, 7, 16, 5)
	for range 4 {
		w.join("", "", 0)
	}
	w.settle(3000)
	w.checkSettled()
	for _, n := range []int{3, 1, 5} {
		if r := w.do(&SetReplicas{Replicas: n}); r.Err != nil {
			t.Fatal(r.Err)
		}
		w.settle(3000)
		for id, g := range w.groups {
			if id != Control && len(g.voters) != n {
				t.Errorf("want %d voters, shard %d has %v", n, id, g.voters)
			}
		}
		w.checkSettled()
	}
}

// An operation that was fine when it was planned is not carried out when those
// that would be left have died since; in the end others are chosen.
func TestAChangeIsNotMadeWhenTheRestIsDead(t *testing.T) {
	w := newWorld(t, 9, 6, 5)
	for range 4 {
		w.join("", "", 0)
	}
	w.settle(2000)
	w.checkSettled()
	w.do(&SetReplicas{Replicas: 3})
	var s *Shard
	for s = w.state.View().Shards()[0]; s.Op == nil; s = w.state.View().Shards()[0] {
		w.now += 1000
		for _, step := range Plan(w.state.View(), w.reports, w.now, w.set) {
			if step.Kind == StepCommand {
				w.execute(step, true)
			}
		}
	}
	g := w.groups[0]
	before := slices.Clone(g.voters)
	stay := voters(s.Intended())
	var lost []uint16
	for _, m := range stay { // two of the three that would be left, not the leader
		if m.Replica != g.leader && len(lost) < 2 {
			w.down(m.Node)
			lost = append(lost, m.Node)
		}
	}
	for range 30 {
		w.round()
	}
	if !slices.Equal(g.voters, before) {
		t.Fatalf("voters %v became %v, though nodes %v are down", before, g.voters, lost)
	}
	for range 120 {
		w.round()
	}
	if len(g.voters) != 3 || slices.ContainsFunc(g.voters, func(r uint64) bool { return slices.Contains(lost, NodeOf(r)) }) {
		t.Errorf("voters %v, lost are %v", g.voters, lost)
	}
}

func TestAPlanThatChangesNothingStaysQuiet(t *testing.T) {
	w := newWorld(t, 8, 32, 3)
	for range 4 {
		w.join("", "", 0)
	}
	w.settle(3000)
	before := w.ops
	for range 500 {
		if w.round() {
			t.Fatalf("a cluster at rest is given steps: %s", describe(Plan(w.state.View(), w.reports, w.now, w.set)))
		}
	}
	if w.ops != before {
		t.Errorf("%d operations", w.ops-before)
	}
}

// Random clusters with joins, deaths, drains, and a network that loses, doubles
// and delays: no law is broken on the way, and in the end all is even.
func TestRandomClustersStaySafeAndComeToRest(t *testing.T) {
	seeds := uint64(16)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { randomCluster(t, seed) })
	}
}

func randomCluster(t *testing.T, seed uint64) {
	shards := 4 + int(seed%5)*7
	w := newWorld(t, seed, shards, []int{3, 3, 1, 5}[seed%4])
	w.set.SnapshotsMax = 1 + int(seed%3)
	w.wild = true
	zones, regions := 1+int(seed/2)%4, 1+int(seed/8)%2
	most := 2 + int(seed*7)%29
	for range 600 {
		w.round()
		v := w.state.View()
		switch w.rng.IntN(25) {
		case 0, 1:
			if len(v.Nodes()) < most {
				w.join(fmt.Sprint("z", w.rng.IntN(zones)), fmt.Sprint("r", w.rng.IntN(regions)), NormalWeight)
			}
		case 2: // a node goes down, if everything can be had without it
			if n := w.numbers()[w.rng.IntN(len(w.nodes))]; w.nodes[n].up && w.spareable(n) {
				w.down(n)
				w.nodes[n].gone = w.rng.IntN(4) == 0
			}
		case 3, 4:
			for _, n := range w.numbers() {
				if m := w.nodes[n]; !m.up && !m.gone && w.rng.IntN(2) == 0 {
					m.up, m.since = true, w.now
				}
			}
		case 5:
			n := v.Nodes()[w.rng.IntN(len(v.Nodes()))]
			to := []NodeState{Draining, Active, Dead, Removed}[w.rng.IntN(4)]
			if to != Dead && to != Removed || n.State == Draining && w.nodes[n.Number].up {
				if r := w.do(&SetNodeState{Number: n.Number, To: to}); r.Err == nil && to == Removed {
					w.down(n.Number)
					w.nodes[n.Number].gone = true
				}
			}
		}
	}
	for _, n := range w.state.View().Nodes() {
		if m := w.nodes[n.Number]; !m.up && !m.gone {
			m.up, m.since = true, w.now
		}
		if n.State == Draining && w.nodes[n.Number].up {
			w.do(&SetNodeState{Number: n.Number, To: Active})
		}
	}
	ops := w.ops
	w.wild = false
	for range 700 { // until the dead are known to be
		w.round()
	}
	w.settle(6000)
	w.checkSettled()
	// Every operation makes the cluster better, so there cannot be many.
	if n := w.ops - ops; n > 12*(shards+1)+2*len(w.nodes)+50 {
		t.Errorf("%d operations until rest", n)
	}
}

// spareable tells whether every group keeps a live majority without a node.
func (w *world) spareable(n uint16) bool {
	m := w.nodes[n]
	m.up = false
	defer func() { m.up = true }()
	for _, g := range w.groups {
		if !w.quorum(g, g.voters) {
			return false
		}
	}
	return true
}
