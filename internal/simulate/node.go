package simulate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"footfall/actors"
	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
	"footfall/cluster/spool"
	"footfall/persistence"
)

// node is a machine: its disk outlives its process, and a wiped disk comes back
// as a stranger.
type node struct {
	sim    *simulation
	slot   int    // place in simulation.nodes
	ident  uint64 // of the disk; also the edge id of its streams
	number uint16 // 0: not a member yet
	store  *store
	zone   string

	up          bool
	host        *rafthost.Host // nil while down or joining
	life        int
	pausedUntil int64
	skew        time.Duration // of the edge's clock
	lostDisk    bool          // was wiped and is not a member under its new number yet
	retired     bool          // was removed and switched off for ever
	closed      bool          // the balancer sends it nothing: it is to leave
	closedAt    int64

	machines map[rafthost.Group]*machine
	sites    *actors.Sites // with Config.Actors: keeps the shards
	flushes  []*flushRun
	control  *controlMachine // nil: this node does not follow the control group
	proposed [][]byte        // commands for the control group
	edge     *edge
	reports  *placement.Reports // nil: this node does not control
	askFlush []rafthost.Group
	wanted   []wanted
	ledNews  []rafthost.Group
	asked    int64 // step of the last try to join
}

// wanted is a replica that a leader writes to and that is not here.
type wanted struct {
	group   rafthost.Group
	replica uint64
}

// identityKey is where a node keeps its number.
var identityKey = []byte{persistence.TableIdent, 1}

// start runs the node's process.
func (n *node) start() {
	s := n.sim
	n.life++
	n.up = true
	n.machines, n.flushes, n.control, n.proposed = map[rafthost.Group]*machine{}, nil, nil, nil
	n.reports, n.askFlush, n.wanted, n.ledNews, n.edge, n.host = nil, nil, nil, nil, nil, nil
	s.note(evStart, uint64(n.slot), uint64(n.number), uint64(n.life))
	if n.number == 0 {
		switch raw, err := n.store.Get(identityKey); {
		case err == nil:
			n.number = binary.BigEndian.Uint16(raw)
		case n.slot > 0 || n.life > 1:
			return // it asks to be taken in
		default:
			n.number = 1
			n.keepNumber()
		}
	}
	if n.number != 0 {
		n.open()
	}
}

func (n *node) keepNumber() {
	b := n.store.NewBatch()
	b.Set(identityKey, binary.BigEndian.AppendUint16(nil, n.number))
	if err := n.store.Commit(b, true); err != nil {
		n.crash()
		return
	}
	n.sim.byNumber[n.number] = n
	n.lostDisk = false
}

// open brings up everything that a member runs.
func (n *node) open() {
	s := n.sim
	s.byNumber[n.number] = n
	cfg := rafthost.Config{
		Store: n.store, Source: n, Applier: n, Transport: n, Workers: 1,
		RetainGroupBytesMax: s.retain, RetainBytesMax: s.retain * 4, SnapshotsMax: 4, SnapshotBytesPerSecond: -1,
		Now: func() time.Time { return s.now() }, Rand: s.rng.IntN, WindowMax: 2,
		Led:     n.led,
		Flush:   func(g rafthost.Group) { n.askFlush = append(n.askFlush, g) },
		Unknown: func(g rafthost.Group, to, _ uint64) { n.wanted = append(n.wanted, wanted{g, to}) },
	}
	if n.number == 1 && n.slot == 0 {
		cfg.Groups = s.groups
	}
	if s.actors {
		n.sites = s.newSites(n.store, logOf{n})
	}
	host, err := rafthost.Open(cfg)
	if err == nil {
		for _, g := range host.Groups() {
			if err = n.load(g); err != nil {
				break
			}
		}
	}
	if errors.Is(err, errCut) {
		n.crash()
		return
	}
	if err != nil {
		s.fail(InvariantServes, "node %d does not start: %v", n.number, err)
		return
	}
	n.host = host
	for _, g := range host.Groups() {
		st := host.Status(g)
		s.truth.born(n, g, st.Replica)
		if st.Failed != nil {
			s.fail(InvariantServes, "node %d: group %d does not start: %v", n.number, g, st.Failed)
		}
	}
	sp, err := spool.Open(n.store, 1<<30, func() int64 { return n.clock() })
	var epoch uint32
	if err == nil {
		epoch, err = sp.NextEpoch()
	}
	if errors.Is(err, errCut) {
		n.crash()
		return
	}
	if err != nil {
		s.fail(InvariantServes, "node %d: the spool does not open: %v", n.number, err)
		return
	}
	n.edge = newEdge(n, sp, epoch)
}

// clock is the node's own, Unix ms.
func (n *node) clock() int64 { return n.sim.now().Add(n.skew).UnixMilli() }

// load reads the state of a group.
func (n *node) load(g rafthost.Group) error {
	if g == rafthost.Control {
		c, err := loadControl(n)
		n.control = c
		return err
	}
	m, err := loadMachine(n, g)
	n.machines[g] = m
	return err
}

// crash cuts the power.
func (n *node) crash() {
	n.sim.stats.Crashes++
	n.sim.note(evCrash, uint64(n.slot), uint64(n.number), uint64(len(n.store.unsynced)))
	if n.edge != nil {
		n.edge.abandon()
	}
	n.store = n.store.cut()
	n.closeSites()
	n.up, n.host, n.edge, n.reports, n.control = false, nil, nil, nil, nil
	n.machines, n.flushes = nil, nil
	n.pausedUntil = 0
}

// Next implements rafthost.Source.
func (n *node) Next(g rafthost.Group) []byte {
	if g != rafthost.Control {
		if n.edge == nil {
			return nil
		}
		return n.edge.next(g)
	}
	if len(n.proposed) == 0 {
		return nil
	}
	data := n.proposed[0]
	n.proposed = n.proposed[1:]
	return data
}

// Apply implements rafthost.Applier.
func (n *node) Apply(g rafthost.Group, index uint64, data []byte) {
	if g == rafthost.Control {
		n.control.apply(index, data)
		return
	}
	m := n.machines[g]
	if m == nil {
		n.sim.fail(InvariantOrder, "node %d group %d: entry %d comes to a replica that is not here", n.number, g, index)
		return
	}
	m.apply(index, data)
}

// Suspend implements rafthost.Suspender.
func (n *node) Suspend(g rafthost.Group) {
	n.dropFlush(g)
	if m := n.machines[g]; m != nil {
		m.still = true
		if n.sites != nil {
			n.sites.Drop(uint16(g))
		}
	}
}

// Restore implements rafthost.Restorer.
func (n *node) Restore(g rafthost.Group, index uint64) error {
	n.dropFlush(g)
	if n.host == nil {
		return nil // open reads it
	}
	n.sim.stats.Restored++
	n.sim.note(evRestore, uint64(n.number), uint64(g), index)
	if err := n.load(g); err != nil {
		return err
	}
	if m := n.machines[g]; m != nil && g != rafthost.Control {
		return m.restored(index)
	}
	return nil
}

// Remove implements rafthost.Restorer.
func (n *node) Remove(g rafthost.Group) {
	n.dropFlush(g)
	delete(n.machines, g)
	if n.sites != nil && g != rafthost.Control {
		n.sites.Drop(uint16(g))
	}
	if g == rafthost.Control {
		n.control = nil
	}
}

func (n *node) dropFlush(g rafthost.Group) {
	n.flushes = slices.DeleteFunc(n.flushes, func(f *flushRun) bool { return f.m.g == g })
}

// led takes note of a new leader; it is looked at after the turn.
func (n *node) led(g rafthost.Group, leader uint64, self bool) {
	n.ledNews = append(n.ledNews, g)
	if g == rafthost.Control {
		if !self {
			n.proposed = nil
		}
		return
	}
	if n.edge != nil {
		n.edge.led(g, uint16(leader), self)
	}
}

// turn lets the process run for one step.
func (n *node) turn() {
	s := n.sim
	if n.pausedUntil > s.step {
		return
	}
	if n.host == nil {
		n.askToJoin()
		return
	}
	for range 1 + s.rng.IntN(3) {
		busy, err := n.host.Turn()
		if err != nil {
			if !errors.Is(err, errCut) {
				s.fail(InvariantServes, "node %d: %v", n.number, err)
			}
			n.crash()
			return
		}
		if !busy {
			break
		}
	}
	n.afterTurn()
	if n.host == nil {
		return
	}
	n.flushSome()
	if n.store.dead {
		n.crash()
		return
	}
	if s.step%5 == int64(n.slot)%5 {
		if err := n.host.Tick(); err != nil {
			s.fail(InvariantServes, "node %d: %v", n.number, err)
		}
		if n.edge != nil {
			n.edge.check()
		}
	}
	if n.store.dead {
		n.crash()
		return
	}
	n.manage()
}

// afterTurn does what hooks asked for.
func (n *node) afterTurn() {
	news := n.ledNews
	n.ledNews = nil
	for _, g := range news {
		if st := n.host.Status(g); n.host.Leads(g) {
			n.sim.truth.leads(n, g, st)
		}
	}
	list := n.wanted
	n.wanted = nil
	for _, w := range list {
		if placement.NodeOf(w.replica) == n.number {
			n.addReplica(w)
		}
		if n.host == nil {
			return
		}
	}
	asked := n.askFlush
	n.askFlush = nil
	for _, g := range asked {
		n.startFlush(g)
	}
}

func (n *node) addReplica(w wanted) {
	if n.host.Status(w.group).Replica == w.replica {
		return
	}
	if n.host.Status(w.group).Replica != 0 {
		return // the controller has the old one destroyed first
	}
	s := n.sim
	if w.group == rafthost.Control {
		n.control = newControlMachine(n)
	} else {
		n.machines[w.group] = newMachine(n, w.group)
	}
	err := n.host.AddReplica(w.group, w.replica)
	if errors.Is(err, errCut) {
		n.crash()
		return
	}
	if err != nil { // a late message to one that was here once
		n.Remove(w.group)
		return
	}
	s.note(evAdd, uint64(n.number), uint64(w.group), w.replica)
	s.truth.born(n, w.group, w.replica)
}

func (n *node) removeReplica(g rafthost.Group, replica uint64) {
	if n.host.Status(g).Replica != replica {
		return
	}
	s := n.sim
	s.truth.destroys(n, g, replica)
	if err := n.host.RemoveReplica(g); err != nil {
		if !errors.Is(err, errCut) {
			s.fail(InvariantServes, "node %d group %d: %v", n.number, g, err)
		}
		n.crash()
		return
	}
	s.truth.destroyed(g, replica)
	if n.edge != nil {
		n.edge.led(g, 0, false)
	}
	s.stats.Removed++
	s.note(evRemove, uint64(n.number), uint64(g), replica)
}

func (n *node) String() string {
	if n.host == nil {
		return fmt.Sprintf("node %d (place %d) down, up=%v", n.number, n.slot, n.up)
	}
	return fmt.Sprintf("node %d (place %d)", n.number, n.slot)
}
