package simulate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// machine is the state machine of a shard on a node: the delivery table, and of
// each site what was counted and up to which index. Its records are written as
// package actors does: those of a site whenever it is its turn, those of the
// table as of the index where a flush began.
type machine struct {
	node    *node
	g       rafthost.Group
	applied uint64
	last    uint64 // newest entry that came
	horizon uint64 // newest index that any record held when they were read
	written uint64
	table   *delivery.Table
	sites   map[uint64]*siteState
	dirty   []*siteState
	sum     uint64 // of all sites
	still   bool
}

// siteState is one site.
type siteState struct {
	site  uint64
	index uint64 // newest entry that it holds
	chain uint64 // of all ids in order
	pages [4]uint64
	ids   []uint32
	dirty bool
}

func (x *siteState) digest() uint64 {
	h := mix(x.site, x.chain)
	for _, p := range x.pages {
		h = mix(h, p)
	}
	return mix(h, uint64(len(x.ids)))
}

// count takes one event in. An event that a client may send again under its old
// id is counted once.
func (x *siteState) count(id uint32) {
	if retried(id) && slices.Contains(x.ids, id) {
		return
	}
	x.ids = append(x.ids, id)
	x.chain = mix(x.chain, uint64(id))
	x.pages[id%4]++
}

func (x *siteState) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, x.index)
	b = binary.BigEndian.AppendUint64(b, x.chain)
	for _, p := range x.pages {
		b = binary.BigEndian.AppendUint64(b, p)
	}
	for _, id := range x.ids {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	return b
}

func decodeSite(site uint64, b []byte) *siteState {
	x := &siteState{site: site, index: binary.BigEndian.Uint64(b), chain: binary.BigEndian.Uint64(b[8:])}
	for i := range x.pages {
		x.pages[i] = binary.BigEndian.Uint64(b[16+8*i:])
	}
	for b = b[48:]; len(b) >= 4; b = b[4:] {
		x.ids = append(x.ids, binary.BigEndian.Uint32(b))
	}
	return x
}

func newMachine(n *node, g rafthost.Group) *machine {
	return &machine{node: n, g: g, table: &delivery.Table{}, sites: map[uint64]*siteState{}}
}

func tableKey(g rafthost.Group) []byte { return persistence.SiteKey(uint16(g), 0, 0, 0, 0) }

func siteKey(g rafthost.Group, site uint64) []byte {
	return persistence.SiteKey(uint16(g), site, 0, 0, 0)
}

func loadMachine(n *node, g rafthost.Group) (*machine, error) {
	m := newMachine(n, g)
	if n.sim.actors {
		err := n.sites.Add(uint16(g))
		m.applied = n.sites.Applied(uint16(g))
		return m, err
	}
	raw, err := n.store.Get(tableKey(g))
	switch {
	case errors.Is(err, persistence.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if m.table, err = delivery.Decode(raw); err != nil {
			return nil, err
		}
	}
	m.applied, m.written = m.table.Index(), m.table.Index()
	from, to := persistence.StateSpan(uint16(g))
	err = n.store.Scan(from, to, func(k, v []byte) error {
		_, site, _, _, _, ok := persistence.ParseSiteKey(k)
		if !ok {
			return fmt.Errorf("key %x is not of a site", k)
		}
		if site == 0 {
			return nil
		}
		x := decodeSite(site, v)
		m.sites[site] = x
		m.sum ^= x.digest()
		m.horizon = max(m.horizon, x.index)
		return nil
	})
	return m, err
}

// restored says that the records are those of another replica as of index.
func (m *machine) restored(index uint64) error {
	if m.node.sim.actors {
		m.last, m.applied = index, index
		return m.node.sites.Reset(uint16(m.g), index)
	}
	if m.table.Index() > index {
		return fmt.Errorf("the records are of entry %d, their table of entry %d", index, m.table.Index())
	}
	m.last, m.applied, m.written = index, index, index
	return nil
}

func (m *machine) site(id uint64) *siteState {
	x := m.sites[id]
	if x == nil {
		x = &siteState{site: id}
		m.sites[id] = x
		m.sum ^= x.digest()
	}
	return x
}

// apply takes an entry.
func (m *machine) apply(index uint64, data []byte) {
	n, s := m.node, m.node.sim
	if index <= m.last || m.still {
		s.fail(InvariantOrder, "node %d shard %d: entry %d comes after %d, suspended %v", n.number, m.g, index, m.last, m.still)
		return
	}
	if m.last = index; index <= m.applied { // the records hold it, as package actors has it
		return
	}
	if s.bug == EntrySkipped && index%97 == 0 && n.slot%2 == 1 {
		return
	}
	m.applied = index
	rd, err := entry.Open(data)
	if err != nil {
		s.fail(InvariantLog, "node %d shard %d: entry %d: %v", n.number, m.g, index, err)
		return
	}
	hd := rd
	if s.actors {
		d := m.applyReal(index, data)
		if s.violation == nil && !n.store.dead {
			s.truth.applied(m, index, data, hd)
		}
		if n.edge != nil {
			n.edge.applied(m.g, index, hd, d)
		}
		return
	}
	e := delivery.Entry{Index: index, Edge: rd.Edge, Epoch: rd.Epoch, Sequence: rd.Sequence, Time: rd.Time}
	if s.bug == EpochIgnored {
		e.Epoch = 1
	}
	d := m.table.Decide(e)
	if s.bug == DedupeOff && d.Verdict == delivery.Duplicate {
		d = delivery.Decision{}
	}
	var it entry.Item
	for d.Verdict == delivery.Apply {
		more, err := rd.Next(&it)
		if err != nil {
			s.fail(InvariantLog, "node %d shard %d: entry %d: %v", n.number, m.g, index, err)
			return
		}
		if !more {
			break
		}
		m.step(index, uint64(it.Site), uint32(it.ID))
	}
	for _, x := range m.sites {
		if x.index == openIndex {
			x.index = index
		}
	}
	s.truth.applied(m, index, data, hd)
	if n.edge != nil {
		n.edge.applied(m.g, index, hd, d)
	}
}

// openIndex marks a site while its entry is being applied.
const openIndex = ^uint64(0)

func (m *machine) step(index, site uint64, id uint32) {
	x := m.site(site)
	if x.index >= index && x.index != openIndex {
		return // its records hold the entry
	}
	m.sum ^= x.digest()
	x.count(id)
	m.sum ^= x.digest()
	x.index = openIndex
	if !x.dirty {
		x.dirty = true
		m.dirty = append(m.dirty, x)
	}
}

// flushRun is a flush under way.
type flushRun struct {
	m     *machine
	to    uint64
	table *delivery.Table
	left  []*siteState
	ended bool // the last batch is committed, the log does not know yet
}

// startFlush begins to write the records of a group.
func (n *node) startFlush(g rafthost.Group) {
	if g == rafthost.Control {
		if n.control != nil {
			n.control.flush()
		}
		return
	}
	m := n.machines[g]
	if m != nil && n.sim.actors {
		if !m.still {
			_ = n.sites.FlushShard(context.Background(), uint16(g)) // fails with the disk
		}
		return
	}
	if m == nil || m.still || m.applied == m.written || slices.ContainsFunc(n.flushes, func(f *flushRun) bool { return f.m == m }) {
		return
	}
	f := &flushRun{m: m, to: m.applied, table: m.table.Clone(), left: m.dirty}
	for _, x := range f.left {
		x.dirty = false
	}
	m.dirty = nil
	if n.sim.bug == TruncateFirst {
		n.finish(f)
	}
	n.flushes = append(n.flushes, f)
}

// flushSome goes on with flushes and now and then begins one.
func (n *node) flushSome() {
	s := n.sim
	if s.rng.IntN(100) < s.flushing && len(n.host.Groups()) > 0 {
		gs := n.host.Groups()
		n.startFlush(gs[s.rng.IntN(len(gs))])
	}
	kept := n.flushes[:0]
	for _, f := range n.flushes {
		if s.rng.IntN(3) == 0 || !n.flushOn(f) {
			kept = append(kept, f)
		}
	}
	n.flushes = kept
}

// flushOn writes the records of a site, or ends the flush and says so.
func (n *node) flushOn(f *flushRun) (over bool) {
	if f.ended && len(f.left) == 0 {
		n.host.Truncated(f.m.g, f.to)
		f.m.written = f.to
		return true
	}
	if len(f.left) == 0 {
		return !n.finish(f)
	}
	i := n.sim.rng.IntN(len(f.left))
	x := f.left[i]
	f.left[i] = f.left[len(f.left)-1]
	f.left = f.left[:len(f.left)-1]
	b := n.store.NewBatch()
	b.Set(siteKey(f.m.g, x.site), x.encode())
	return n.store.Commit(b, false) != nil
}

// finish writes the table as of the index and lets the log be cut; false: the
// power is cut.
func (n *node) finish(f *flushRun) bool {
	g := f.m.g
	b := n.store.NewBatch()
	switch n.sim.bug {
	case TableTooNew:
		b.Set(tableKey(g), f.m.table.Encode())
	case TableTooOld:
		if raw, err := n.store.Get(tableKey(g)); err == nil && n.sim.rng.IntN(2) == 0 {
			b.Set(tableKey(g), raw)
			break
		}
		b.Set(tableKey(g), f.table.Encode())
	default:
		b.Set(tableKey(g), f.table.Encode())
	}
	n.host.Persisted(b, g, f.to)
	f.ended = n.store.Commit(b, false) == nil
	return f.ended
}
