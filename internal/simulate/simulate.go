// Package simulate runs a whole cluster in one goroutine, from one seed: raft
// hosts driven turn by turn over disks in memory that lose what was not synced,
// a network that loses, delays, doubles and cuts, clocks that lie, a placement
// controller, edges with their spools, clients and readers, and an onlooker who
// knows the truth and compares. It must never read a clock, start a goroutine of
// its own or use randomness that is not from the seed: a seed that fails fails
// again. Start at Run; DESIGN.md says what is real, what is a model, and which
// planted bugs are found.
package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// replicas is how many voters a shard is to have.
const replicas = 3

// Config of a run.
type Config struct {
	Seed   uint64
	Nodes  int
	Shards int
	// Steps of 10 ms in which things go wrong; default 2000.
	Steps int
	Bug   Bug // planted; none by default
	// Actors has shards kept in actors.Sites and not in a model of it: slower.
	Actors bool
}

// Stats counts what happened.
type Stats struct {
	Views, Acked, Retried, Spooled, Gaps int
	Entries, Reads, Elections            int
	Faults, Crashes, Wiped, Retired      int
	Snapshots, Restored, Removed, Steps  int
	Verdicts                             [5]int // by delivery.Verdict, on all replicas
	Settled                              int    // steps until all was quiet after healing
}

// Add adds another run's.
func (a *Stats) Add(b Stats) {
	a.Views += b.Views
	a.Acked += b.Acked
	a.Retried += b.Retried
	a.Spooled += b.Spooled
	a.Gaps += b.Gaps
	a.Entries += b.Entries
	a.Reads += b.Reads
	a.Elections += b.Elections
	a.Faults += b.Faults
	a.Crashes += b.Crashes
	a.Wiped += b.Wiped
	a.Retired += b.Retired
	a.Snapshots += b.Snapshots
	a.Restored += b.Restored
	a.Removed += b.Removed
	a.Steps += b.Steps
	for i := range a.Verdicts {
		a.Verdicts[i] += b.Verdicts[i]
	}
	a.Settled = max(a.Settled, b.Settled)
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant Invariant
	What      string
	At        time.Duration // since the beginning, of the simulation's time
	Trace     string        // the newest events before
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%s: %s (after %s)", v.Invariant, v.What, v.At)
}

// Result of a run. Two runs of one Config give the same.
type Result struct {
	Violation *Violation // nil: all invariants held
	Hash      uint64     // of everything that was traced
	Stats     Stats
}

// simulation is a cluster and its world.
type simulation struct {
	rng      *rand.Rand
	bug      Bug
	actors   bool
	perShard uint64 // sites
	size     int
	step     int64
	groups   []rafthost.Group // shards, then Control
	nodes    []*node
	byNumber map[uint16]*node
	doomed   doomed
	gone     []uint16 // numbers whose disks were wiped
	net      *network
	clients  *clients
	truth    *truth
	settings placement.Settings

	retain   int64
	flushing int // percent of steps in which a node begins a flush
	rarely   int // a fault about every so many steps
	traffic  int // views per 100 steps

	stats     Stats
	violation *Violation
	trace     [traceMax]traced
	traced    int
	hash      uint64
}

// epochStart is when simulations begin.
var epochStart = time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)

const stepLength = 10 * time.Millisecond

func (s *simulation) now() time.Time { return epochStart.Add(time.Duration(s.step) * stepLength) }

// fail notes the first violation; the run ends with the step.
func (s *simulation) fail(i Invariant, format string, args ...any) {
	if s.violation == nil {
		s.violation = &Violation{Invariant: i, What: fmt.Sprintf(format, args...), At: time.Duration(s.step) * stepLength, Trace: s.last()}
	}
}

// fresh gives the ident of a new disk.
func (s *simulation) fresh() uint64 { return s.rng.Uint64() | 1 }

// Run runs one simulation. It allocates what it needs and keeps nothing; any
// number may run at the same time.
func Run(cfg Config) (res Result) {
	if cfg.Steps == 0 {
		cfg.Steps = 2000
	}
	s := newSimulation(cfg)
	defer func() {
		if r := recover(); r != nil {
			s.fail(InvariantServes, "panic: %v\n%s", r, debug.Stack())
			res = Result{Violation: s.violation, Hash: s.hash, Stats: s.stats}
		}
	}()
	defer s.end()
	s.run(int64(cfg.Steps))
	return Result{Violation: s.violation, Hash: s.hash, Stats: s.stats}
}

func newSimulation(cfg Config) *simulation {
	s := &simulation{rng: rand.New(rand.NewPCG(cfg.Seed, 0xf007fa11)), bug: cfg.Bug, actors: cfg.Actors, perShard: 3, size: cfg.Nodes, byNumber: map[uint16]*node{}}
	for g := range cfg.Shards {
		s.groups = append(s.groups, rafthost.Group(g))
	}
	s.groups = append(s.groups, rafthost.Control)
	s.net = &network{sim: s, delay: 2}
	s.clients = &clients{sim: s}
	for range 4 {
		s.clients.readers = append(s.clients.readers, &reader{tokens: map[rafthost.Group]uint64{}, seen: map[uint64]int{}})
	}
	if s.actors {
		s.perShard = 1
	}
	s.truth = newTruth(s)
	s.settings = placement.Settings{LiveWithin: 3 * time.Second, DeadAfter: 8 * time.Second, GiveUp: 6 * time.Second, Quarantine: 20 * time.Second, SnapshotsMax: max(2, cfg.Shards/8)}
	s.retain = []int64{1, 400, 4 << 10}[s.rng.IntN(3)]
	s.flushing = []int{1, 4, 15}[s.rng.IntN(3)]
	s.rarely = []int{30, 60, 120}[s.rng.IntN(3)]
	s.traffic = 20 + s.rng.IntN(60)
	for range cfg.Nodes {
		s.addNode()
	}
	return s
}

func (s *simulation) addNode() {
	n := &node{sim: s, slot: len(s.nodes), ident: s.fresh(), store: newStore(s.rng), zone: fmt.Sprint("z", len(s.nodes)%3)}
	if s.rng.IntN(3) == 0 {
		n.skew = time.Duration(s.rng.Int64N(int64(2*time.Hour))) - time.Hour
	}
	s.nodes = append(s.nodes, n)
	s.plant(n)
	n.start()
}

// once lets one step pass.
func (s *simulation) once() {
	s.step++
	s.net.deliver()
	for _, n := range s.nodes {
		if n.up && s.violation == nil {
			n.turn()
		}
		if !n.up && !n.retired && s.step%1000 == 999 { // whatever cut its power, somebody turns it on again
			n.start()
		}
	}
	s.clients.read()
	if s.step%50 == 0 {
		s.operate()
	}
}

func (s *simulation) views() {
	for range s.traffic / 100 {
		s.clients.view()
	}
	if s.rng.IntN(100) < s.traffic%100 {
		s.clients.view()
	}
}

func (s *simulation) run(steps int64) {
	calm := s.rng.Int64N(800)
	for s.step < calm+steps && s.violation == nil {
		s.once()
		s.views()
		if s.step > calm {
			s.trouble()
		}
	}
	s.heal()
	s.settle()
	if s.violation != nil {
		return
	}
	// Whatever was acknowledged is on disk: the power of all goes once more.
	for _, n := range s.nodes {
		if n.up {
			n.crash()
		}
	}
	for _, n := range s.nodes {
		s.restart(n)
	}
	s.settle()
	if s.violation == nil {
		s.truth.atEnd()
	}
}

// end stops what runs on goroutines of its own.
func (s *simulation) end() {
	for _, n := range s.nodes {
		n.store.dead = true
		n.closeSites()
	}
	if s.truth.sites != nil {
		s.truth.store.dead = true
		_ = s.truth.sites.Close(context.Background())
	}
}

// heal ends all trouble.
func (s *simulation) heal() {
	s.note(evHeal, 0, 0, 0)
	s.net.loss, s.net.twice, s.net.delay, s.net.late, s.net.cuts = 0, 0, 1, 0, nil
	for _, n := range s.nodes {
		n.pausedUntil = 0
		n.store.cutAt = 0
		if n.store.dead && n.up {
			n.crash()
		}
		s.restart(n)
	}
}
