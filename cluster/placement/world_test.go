package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a cluster reduced to what the planner deals with: nodes that are up
// or down, and groups with a configuration, a leader and replicas on disks.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	now     int64
	state   *State
	reports *Reports
	set     Settings
	nodes   map[uint16]*machine
	groups  map[uint16]*group
	late    []Step // on their way for too long
	old     []NodeReport
	wild    bool // steps and reports are lost, doubled and delayed
	calm    bool // never was wild
	ops     int  // operations begun
	steps   int
}

type machine struct {
	number  uint16
	ident   uint64
	up      bool
	since   int64 // of up
	gone    bool  // never comes back
	hosted  map[uint16]uint64
	removed map[uint16]uint64 // highest replica id that a group had here
}

type group struct {
	id       uint16
	voters   []uint64
	learners []uint64
	conf     uint64
	term     uint64
	commit   uint64
	leader   uint64
	filled   map[uint64]bool // has caught up
	ever     map[uint64]bool // replica ids that were in a configuration
}

func newWorld(t testing.TB, seed uint64, shards, replicas int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: 1_800_000_000_000, state: NewState(),
		nodes: map[uint16]*machine{}, groups: map[uint16]*group{}, calm: true}
	w.reports = NewReports(w.now)
	r := w.do(&Found{ID: ID{1}, Shards: shards, Replicas: replicas, Gate: 1, Node: w.info("", "")})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	m := w.machine(r.Node)
	for _, s := range w.state.View().Shards() {
		m.hosted[s.ID] = 1
		w.groups[s.ID] = &group{id: s.ID, voters: []uint64{1}, conf: 1, term: 1, commit: 100, leader: 1, filled: map[uint64]bool{1: true}, ever: map[uint64]bool{1: true}}
	}
	return w
}

func (w *world) info(zone, region string) NodeInfo {
	return NodeInfo{Ident: w.rng.Uint64() | 1, Name: "n", Zone: zone, Region: region, Cluster: "127.0.0.1:1", HTTP: "127.0.0.1:2", Roles: RoleEdge | RoleData, GateMax: 1}
}

func (w *world) machine(n *Node) *machine {
	m := &machine{number: n.Number, ident: n.Ident, up: true, hosted: map[uint16]uint64{}, removed: map[uint16]uint64{}}
	w.nodes[n.Number] = m
	return m
}

// do makes a change, by way of its bytes.
func (w *world) do(c Change) Result {
	w.t.Helper()
	b, err := Command{At: w.now, Change: c}.Append(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd, err := DecodeCommand(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.state.Apply(cmd)
}

func (w *world) join(zone, region string, weight int) uint16 {
	info := w.info(zone, region)
	info.Weight = weight
	r := w.do(&AddNode{Node: info})
	if r.Err != nil {
		w.t.Fatal(r.Err)
	}
	w.machine(r.Node)
	return r.Node.Number
}

// serves tells whether a replica can vote and store.
func (w *world) serves(g *group, replica uint64) bool {
	m := w.nodes[NodeOf(replica)]
	return m != nil && m.up && m.hosted[g.id] == replica && g.filled[replica]
}

func (w *world) quorum(g *group, voters []uint64) bool {
	n := 0
	for _, r := range voters {
		if w.serves(g, r) {
			n++
		}
	}
	return n > len(voters)/2
}

// live lets groups elect leaders, take entries and fill learners.
func (w *world) live() {
	for _, id := range w.ids() {
		g := w.groups[id]
		if !w.quorum(g, g.voters) {
			g.leader = 0
			continue
		}
		if g.leader == 0 || !slices.Contains(g.voters, g.leader) || !w.serves(g, g.leader) {
			var can []uint64
			for _, r := range g.voters {
				if w.serves(g, r) {
					can = append(can, r)
				}
			}
			g.leader = can[w.rng.IntN(len(can))]
			g.term++
		}
		g.commit += uint64(w.rng.IntN(200))
		for _, r := range g.learners { // the leader's first message makes a replica that is missing
			if o := w.nodes[NodeOf(r)]; o != nil && o.up && o.hosted[g.id] == 0 && r > o.removed[g.id] {
				o.hosted[g.id] = r
			}
		}
		for _, r := range slices.Concat(g.voters, g.learners) {
			if m := w.nodes[NodeOf(r)]; m != nil && m.up && m.hosted[g.id] == r && w.rng.IntN(2) == 0 {
				g.filled[r] = true
			}
		}
	}
}

func (w *world) ids() []uint16 {
	var out []uint16
	for _, s := range w.state.View().Shards() {
		out = append(out, s.ID)
	}
	return out
}

func (w *world) numbers() []uint16 {
	var out []uint16
	for n := range w.nodes {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (w *world) report(m *machine) NodeReport {
	rep := NodeReport{Node: m.number, Ident: m.ident, Version: "1", GateMax: 1, Epoch: 1}
	for _, id := range w.ids() {
		g := w.groups[id]
		if r, ok := m.hosted[id]; ok {
			rep.Hosted = append(rep.Hosted, Hosted{Group: id, Replica: r})
		}
		if g.leader == 0 || NodeOf(g.leader) != m.number {
			continue
		}
		s := ShardReport{Group: id, Replica: g.leader, Term: g.term, Commit: g.commit, ConfIndex: g.conf, Voters: g.voters, Learners: g.learners}
		for _, r := range slices.Concat(g.voters, g.learners) {
			if r == g.leader {
				continue
			}
			o := w.nodes[NodeOf(r)]
			p := Progress{Replica: r, Active: o != nil && o.up && o.hosted[id] == r}
			if g.filled[r] {
				p.Match = g.commit - min(g.commit, uint64(w.rng.IntN(20)))
			}
			s.Progress = append(s.Progress, p)
		}
		rep.Leads = append(rep.Leads, s)
	}
	b := rep.Append(nil)
	got, err := DecodeNodeReport(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) odds(n int) bool {
	w.calm = w.calm && !w.wild
	return w.wild && w.rng.IntN(100) < n
}

// round is one turn of the controller; it tells whether there was something to
// do.
func (w *world) round() bool {
	w.now += int64(time.Second / time.Millisecond)
	w.live()
	for _, number := range w.numbers() {
		m := w.nodes[number]
		if !m.up {
			continue
		}
		rep := w.report(m)
		switch {
		case w.odds(10): // lost
		case w.odds(10):
			w.old = append(w.old, rep)
		default:
			w.reports.Take(rep, w.now)
		}
	}
	if len(w.old) > 0 && w.odds(30) { // one of long ago arrives
		i := w.rng.IntN(len(w.old))
		w.reports.Take(w.old[i], w.now)
		w.old = slices.Delete(w.old, i, i+1)
	}
	if w.odds(4) { // another controller
		w.reports = NewReports(w.now)
	}
	if len(w.late) > 0 && (w.odds(30) || !w.wild) {
		i := w.rng.IntN(len(w.late))
		w.execute(w.late[i], false)
		w.late = slices.Delete(w.late, i, i+1)
	}
	steps := Plan(w.state.View(), w.reports, w.now, w.set)
	w.steps += len(steps)
	seen := map[uint16]bool{}
	for _, s := range steps {
		if s.Kind != StepCommand {
			if seen[s.Shard] {
				w.t.Fatalf("two steps of shard %d in one plan", s.Shard)
			}
			seen[s.Shard] = true
		}
		if p, ok := s.Change.(*PlanShards); ok {
			for _, x := range p.Plans {
				if x.Op != nil {
					w.ops++
				}
			}
		}
		w.reports.Begin(s)
		switch {
		case w.odds(15):
		case w.odds(15):
			w.late = append(w.late, s)
		case w.odds(10):
			w.execute(s, true)
			w.execute(s, false)
		default:
			w.execute(s, true)
		}
		w.reports.End(s)
	}
	w.bounds()
	return len(steps) > 0
}

// bounds checks that no node fills more replicas than it may.
func (w *world) bounds() {
	filling := map[uint16]int{}
	for _, s := range w.state.View().Shards() {
		if s.Op == nil {
			continue
		}
		for _, m := range s.Op.Add {
			if !w.groups[s.ID].filled[m.Replica] {
				filling[m.Node]++
			}
		}
	}
	for n, count := range filling {
		if most := max(2, w.set.SnapshotsMax); count > most && w.calm {
			w.t.Fatalf("node %d fills %d replicas at once", n, count)
		}
	}
}

// steady tells whether nothing about a node changed for so long that the
// controller must know.
func (w *world) steady(replicas []uint64) bool {
	for _, r := range replicas {
		if m := w.nodes[NodeOf(r)]; m != nil && w.now-m.since < 60_000 {
			return false
		}
	}
	return true
}

func (w *world) execute(s Step, fresh bool) {
	if s.Kind == StepCommand {
		w.do(s.Change) // refusals are fine: something changed meanwhile
		return
	}
	m := w.nodes[s.Node]
	if m == nil || !m.up {
		return
	}
	g := w.groups[s.Shard]
	if s.Kind == StepRemove {
		if slices.Contains(g.voters, s.Replica) {
			w.t.Fatalf("shard %d: replica %d is destroyed while it votes in %v", g.id, s.Replica, g.voters)
		}
		if m.hosted[g.id] == s.Replica {
			delete(m.hosted, g.id)
			m.removed[g.id] = max(m.removed[g.id], s.Replica)
			delete(g.filled, s.Replica)
		}
		return
	}
	if g.leader == 0 || NodeOf(g.leader) != s.Node {
		return
	}
	switch s.Kind {
	case StepTransfer:
		if slices.Contains(g.voters, s.Replica) && w.serves(g, s.Replica) {
			g.leader = s.Replica
			g.term++
		}
	case StepAddLearners:
		if g.conf != s.After {
			return
		}
		for _, r := range s.Replicas {
			if g.ever[r] {
				w.t.Fatalf("shard %d: replica id %d is used again", g.id, r)
			}
			g.ever[r] = true
			g.learners = append(slices.Clone(g.learners), r)
			o := w.nodes[NodeOf(r)]
			if _, has := o.hosted[g.id]; o.up && !has && r > o.removed[g.id] {
				o.hosted[g.id] = r
			}
		}
		g.conf++
	case StepChange:
		w.change(g, s, fresh)
	}
}

func (w *world) change(g *group, s Step, fresh bool) {
	if g.conf != s.After {
		return
	}
	keep := func(list []uint64, but ...[]uint64) []uint64 {
		return slices.DeleteFunc(slices.Clone(list), func(r uint64) bool {
			return slices.ContainsFunc(but, func(b []uint64) bool { return slices.Contains(b, r) })
		})
	}
	voters := append(keep(g.voters, s.Remove, s.Demote), s.Promote...)
	learners := append(keep(g.learners, s.Remove, s.Promote), s.Demote...)
	if len(voters)%2 == 0 {
		w.t.Fatalf("shard %d: %d voters %v", g.id, len(voters), voters)
	}
	if fresh && w.steady(voters) && !w.quorum(g, voters) {
		w.t.Fatalf("shard %d: %v is changed to %v, most of which are not alive or not filled", g.id, g.voters, voters)
	}
	if !w.quorum(g, voters) || !w.quorum(g, g.voters) {
		return
	}
	g.voters, g.learners = voters, learners
	g.conf++
}

// settle runs rounds until nothing is to be done any more.
func (w *world) settle(most int) {
	w.t.Helper()
	w.wild = false
	quiet := 0
	for range most {
		if w.round() || len(w.late) > 0 {
			quiet = 0
		} else if quiet++; quiet == 40 { // more than the quarantine
			return
		}
	}
	steps := Plan(w.state.View(), w.reports, w.now, w.set)
	w.t.Fatalf("still busy after %d rounds: %s\n%s", most, describe(steps), w)
}

func describe(steps []Step) string {
	var out string
	for i, s := range steps {
		if i == 5 {
			out += " …"
			break
		}
		out += fmt.Sprintf(" [%v shard %d node %d %+v %v %v %v %v %d]", s.Kind, s.Shard, s.Node, s.Change, s.Replicas, s.Promote, s.Demote, s.Remove, s.Replica)
	}
	return out
}

func (w *world) String() string {
	var out string
	for _, n := range w.state.View().Nodes() {
		out += fmt.Sprintf("node %d %s zone %q region %q weight %d up %v\n", n.Number, n.State, n.Zone, n.Region, n.Weight, w.nodes[n.Number].up)
	}
	for _, s := range w.state.View().Shards() {
		g := w.groups[s.ID]
		out += fmt.Sprintf("shard %d conf %d/%d voters %v learners %v leader %d op %+v\n", s.ID, s.ConfIndex, g.conf, g.voters, g.learners, g.leader, s.Op)
	}
	return out
}
