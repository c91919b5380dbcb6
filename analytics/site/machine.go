// Package site is the state machine of one site: log entries in, counted
// columns out. It is pure: no I/O, no clock, no goroutine, no dependence on map
// order; time arrives in the entries. The actor around it loads and stores the
// records that it asks for and gives (Need, Write) and hands out its View.
// Not safe for concurrent use; a View is. Start at Machine.Step.
package site

import (
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
)

// EventsBlockRows and VisitsBlockRows are the sizes at which live rows are
// sealed into an immutable block.
const (
	EventsBlockRows = 16384
	VisitsBlockRows = 16384

	visitsSealMin    = 4096     // closed visits of a running day that are worth a block
	idsChunkMin      = 512      // ids that are worth a record of their own
	dictBytesMin     = 64 << 10 // below, texts no longer used are no matter
	dictBytesMax     = 8 << 20  // above, texts no longer used are dropped at the next seal
	dropDaysMax      = 400      // days for which drop counts are kept
	generationSpanMS = analytics.IDWindowMS / generations
)

// Kinds of a site's records, the kind of persistence.SiteKey.
const (
	KindHeader = 0
	KindEvents = 1 // period is the UTC day
	KindVisits = 2
	KindWindow = 3 // ids of live events; period is the generation
	KindIDs    = 4 // ids of events with given times; period is the UTC day
	KindSeals  = 5 // closed months, one record
	KindSealed = 6 // segments of days that are over; period is the UTC day
)

// Machine is the state of one site.
type Machine struct {
	id      analytics.SiteID
	applied uint64 // index of the last log entry contained
	now     int64  // log time, Unix ms; never goes back
	first   int64  // time of the earliest event, 0 if none

	days   []*day // ascending
	visits []visit
	index  map[uint64]int32 // visitor -> slot of one visit, the others by visit.older
	clean  []visitChunk     // what views share of visits
	dict   dict
	window window
	drops  map[dropKey]uint64
	alias  map[column.VisitID]column.VisitID // merged visit -> the one that took it over

	sealedLast int64 // latest activity of any sealed visit
	sealAt     int   // number of live visits at which sealing is tried
	obsolete   []Ref // records replaced since the last flush
	dirty      bool
	view       *View

	kept        int32  // days before it are closed: nothing is filed there, late events are refused
	removals    uint64 // commands that took something away
	removedAt   uint64 // index of the last Retain that took something
	removedLast int64  // latest activity of anything that a Retain took, Unix ms
	seals       []Seal // closed months in order, without holes
	sealsDirty  bool   // differ from their record
	outcomes    []outcome
	removal     *removal // the command that records are being provided for

	packer column.Packer
}

type dropKey struct {
	day    int32
	reason int
}

// day is one UTC day of the site.
type day struct {
	n       int32
	visits  uint32 // numbers given so far
	events  uint32 // rows so far, engagements included
	start   int64  // no visit filed here has an earlier activity, Unix ms
	last    int64  // nor a later activity
	changed uint64 // see ViewDay.Changed
	at      int64  // log time of that change, Unix ms
	moved   uint64 // see ViewDay.Moved
	tail    *column.Events
	blocks  []block // sealed, events
	vblocks []block // sealed, visits
	sealed  []segment
	odd     bool   // cannot be sealed, see SealPart
	chunk   uint32 // number of the next block record

	ids       idSet // of events with given times, if loaded
	fresh     []uint64
	idChunks  uint32
	idsLoaded bool
}

// block is sealed rows. The pointers are nil once the rows are on disk only.
type block struct {
	chunk    uint32
	rows     uint32
	from, to int64 // events: first and last time; visits: earliest start, latest activity
	written  bool
	events   *column.Events
	visits   *column.Visits
}

// Ref names a record of the site.
type Ref struct {
	Kind   byte
	Period uint32
	Chunk  uint32
}

// New makes the state of a site that has counted nothing.
func New(id analytics.SiteID) *Machine { return &Machine{id: id, sealAt: visitsSealMin} }

// SetPacker says what compresses and reads sealed segments. Without, they are not
// compressed, and compressed ones cannot be read. It is called before anything
// else.
func (m *Machine) SetPacker(p column.Packer) { m.packer = p }

// Applied is the index of the last log entry that the state contains.
func (m *Machine) Applied() uint64 { return m.applied }

// Dirty tells whether the state differs from the records last written.
func (m *Machine) Dirty() bool { return m.dirty }

// First is the time of the earliest event in Unix ms, 0 if there is none.
func (m *Machine) First() int64 { return m.first }

// Need lists the records that must be given to Provide before a Step with these
// items: sealed visits that a late event may join, the ids of a day into which an
// event with a given time falls, and what a command may have to rewrite. After
// they were given it must be asked again, until it is empty; usually it is at
// once.
func (m *Machine) Need(now int64, items []entry.Item) []Ref {
	if c := commandOf(items); c != nil {
		return m.needOf(c)
	}
	m.removal = nil
	var need []Ref
	for i := range items {
		it := &items[i]
		if it.Drop || it.Command != entry.NoCommand {
			continue
		}
		if it.Explicit {
			if d := m.findDay(column.DayOf(it.Time)); d != nil && !d.idsLoaded {
				for c := uint32(0); c < d.idChunks; c++ {
					need = append(need, Ref{KindIDs, uint32(d.n), c})
				}
			}
		}
		if m.sealedLast <= it.Time-analytics.VisitGapMS {
			continue
		}
		for _, d := range m.days {
			for j := range d.vblocks {
				b := &d.vblocks[j]
				if it.Time > b.from-analytics.VisitGapMS && it.Time < b.to+analytics.VisitGapMS {
					need = append(need, Ref{KindVisits, uint32(d.n), b.chunk})
				}
			}
			for j := range d.sealed {
				g := &d.sealed[j]
				if it.Time > g.start-analytics.VisitGapMS && it.Time < g.last+analytics.VisitGapMS && g.joinable() {
					need = append(need, g.ref(d.n))
				}
			}
		}
	}
	return unique(need)
}

func unique(refs []Ref) []Ref {
	seen := make(map[Ref]bool, len(refs))
	out := refs[:0]
	for _, r := range refs {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}

// Provide takes a record that Need named. Sealed visits become live again until
// the next flush, except for a command, which keeps what it has to rewrite.
func (m *Machine) Provide(r Ref, value []byte) error {
	if m.removal != nil {
		return m.removal.provide(m, r, value)
	}
	d := m.findDay(int32(r.Period))
	if d == nil {
		return errDamaged
	}
	if r.Kind == KindIDs {
		ids, err := decodeIDs(value)
		if err != nil {
			return err
		}
		for _, id := range ids {
			d.ids.add(id)
		}
		if r.Chunk+1 >= d.idChunks {
			d.idsLoaded = true
		}
		return nil
	}
	if r.Kind == KindSealed {
		return m.provideSealed(d, r.Chunk, value)
	}
	for i := range d.vblocks {
		if d.vblocks[i].chunk != r.Chunk {
			continue
		}
		v := d.vblocks[i].visits
		if v == nil {
			var err error
			if v, err = column.DecodeVisits(value); err != nil {
				return err
			}
		}
		for j := 0; j < v.Len(); j++ {
			m.addVisit(visitOf(v, j, &m.dict))
		}
		if d.vblocks[i].written {
			m.obsolete = append(m.obsolete, r)
		}
		d.vblocks = append(d.vblocks[:i:i], d.vblocks[i+1:]...)
		m.dirty, m.view = true, nil
		return nil
	}
	return nil
}

// Step applies the items of one log entry that are this site's, in order, and
// says for each what became of it. An entry that the state contains already
// changes nothing. now is the entry's time. len(out) is len(items).
func (m *Machine) Step(index uint64, now int64, items []entry.Item, out []analytics.Reason) {
	if index <= m.applied {
		return
	}
	m.applied, m.dirty, m.view = index, true, nil
	m.now = max(m.now, now)
	command := commandOf(items)
	for i := range items {
		if it := &items[i]; it.Command == entry.NoCommand {
			out[i] = m.apply(it)
		} else {
			out[i] = m.command(it, it == command)
		}
	}
	m.removal = nil
	if len(m.visits) >= m.sealAt {
		m.sealVisits()
	}
}

func (m *Machine) apply(it *entry.Item) analytics.Reason {
	if it.Drop {
		m.drop(it.Day, it.Reason, it.Count)
		return analytics.Counted
	}
	if m.window.has(it.ID) {
		return analytics.DropDuplicate
	}
	t := it.Time
	n := column.DayOf(t)
	if n < m.kept {
		m.drop(column.DayOf(m.now), analytics.DropTooOld.Number(), 1)
		return analytics.DropTooOld
	}
	if it.Explicit {
		if d := m.findDay(n); d != nil && d.ids.has(it.ID) {
			return analytics.DropDuplicate
		}
	}
	visitor := it.Visitor
	slot := m.join(visitor, t)
	if slot < 0 && it.Previous != 0 {
		if slot = m.join(it.Previous, t); slot >= 0 {
			visitor = it.Previous
		}
	}
	if slot >= 0 && !column.Reaches(n, m.visits[slot].id) {
		slot = -1 // a visit of months ends here
	}
	if slot < 0 && it.Kind == analytics.Engagement {
		m.drop(n, analytics.DropNoVisit.Number(), 1)
		return analytics.DropNoVisit
	}
	d := m.openDay(n)
	page, host := m.dict.id(it.Page), m.dict.id(it.Host)
	if slot < 0 {
		slot = m.begin(d, visitor, it)
	}
	v := &m.visits[slot]
	began := column.DayOf(v.start)
	v.note(&m.dict, it, page, host)
	m.touch(slot)
	filed := m.markVisit(v)
	filed.start = min(filed.start, t) // engagement can come before the first event
	if began != column.DayOf(v.start) {
		m.mark(began)
	}
	m.append(d, v.id, it, page, host)
	m.changes(d)
	m.remember(d, it)
	if it.Kind != analytics.Engagement && (m.first == 0 || t < m.first) {
		m.first = t
	}
	return analytics.Counted
}

// remember keeps the id: live ones for the window, those of events with given
// times with their day for ever.
func (m *Machine) remember(d *day, it *entry.Item) {
	g, over := m.window.at(m.now / generationSpanMS)
	for i := range over {
		for c := uint32(0); c < over[i].chunks; c++ {
			m.obsolete = append(m.obsolete, Ref{KindWindow, uint32(over[i].number), c})
		}
	}
	g.set.add(it.ID)
	g.fresh = append(g.fresh, it.ID)
	if it.Explicit {
		if d.idChunks == 0 {
			d.idsLoaded = true
		}
		d.ids.add(it.ID)
		d.fresh = append(d.fresh, it.ID)
	}
}

func (m *Machine) drop(day int32, reason int, count uint64) {
	if m.drops == nil {
		m.drops = make(map[dropKey]uint64)
	}
	m.drops[dropKey{day, reason}] += count
}

// join finds the visit that an event of visitor at t belongs to, merging two
// that the event bridges; -1 if there is none.
func (m *Machine) join(visitor uint64, t int64) int32 {
	slot, ok := m.index[visitor]
	if !ok {
		return -1
	}
	found := int32(-1)
	for ; slot >= 0; slot = m.visits[slot].older {
		v := &m.visits[slot]
		if v.visitor != visitor || !v.near(t) {
			continue
		}
		if found < 0 {
			found = slot
			continue
		}
		keep, gone := found, slot
		if m.visits[gone].start < m.visits[keep].start {
			keep, gone = gone, keep
		}
		m.merge(keep, gone)
		found = keep
	}
	return found
}

func (m *Machine) merge(keep, gone int32) {
	k, g := &m.visits[keep], &m.visits[gone]
	m.markVisit(k)
	m.markVisit(g)
	k.absorb(g)
	m.markVisit(k)
	if m.alias == nil {
		m.alias = make(map[column.VisitID]column.VisitID)
	}
	for from, to := range m.alias {
		if to == g.id {
			m.alias[from] = k.id
		}
	}
	m.alias[g.id] = k.id
	m.touch(keep)
	m.touch(gone)
}

// markVisit says that what questions see of the visit changes now, on the day
// under which it is filed and on that in which it starts, widens the bounds of
// the former, and gives it.
func (m *Machine) markVisit(v *visit) *day {
	filed := m.findDay(v.id.Day())
	m.changes(filed)
	filed.start, filed.last = min(filed.start, v.start), max(filed.last, v.last)
	if start := column.DayOf(v.start); start != filed.n {
		m.mark(start)
	}
	return filed
}

// mark says that what questions see of a day changes now. A day that is not
// there has nothing to be seen.
func (m *Machine) mark(n int32) {
	if d := m.findDay(n); d != nil {
		m.changes(d)
	}
}

// changes says so of a day.
func (m *Machine) changes(d *day) { d.changed, d.at, d.odd = m.applied, m.now, false }

// begin files a new visit under the day of its first event.
func (m *Machine) begin(d *day, visitor uint64, it *entry.Item) int32 {
	v := visit{id: column.MakeVisitID(d.n, d.visits), visitor: visitor, start: it.Time, last: it.Time, lastEvent: it.Time}
	d.visits++
	v.attributes(&m.dict, it)
	if it.Named {
		v.flags |= column.Named
	}
	return m.addVisit(v)
}

func (m *Machine) addVisit(v visit) int32 {
	if m.index == nil {
		m.index = make(map[uint64]int32)
	}
	slot := int32(len(m.visits))
	v.older = -1
	if other, ok := m.index[v.visitor]; ok {
		v.older = other
	}
	m.index[v.visitor] = slot
	if len(m.visits) == cap(m.visits) { // append alone would copy large ones five times over
		m.visits = slices.Grow(m.visits, len(m.visits)/2+16)
	}
	m.visits = append(m.visits, v)
	m.touch(slot)
	return slot
}

// append adds the event as a row of its day.
func (m *Machine) append(d *day, id column.VisitID, it *entry.Item, page, host uint32) {
	if d.tail == nil {
		d.tail = &column.Events{Day: d.n}
	}
	e := d.tail
	kind := uint8(it.Kind)
	if it.NonInteractive {
		kind |= column.NonInteractive
	}
	e.At = append(e.At, uint32(it.Time-int64(d.n)*column.DayMS))
	e.Visit = append(e.Visit, id.Number())
	e.Back = append(e.Back, column.BackTo(d.n, id))
	e.Kind = append(e.Kind, kind)
	e.Name = append(e.Name, m.dict.id(it.Name))
	e.Page, e.Host = append(e.Page, page), append(e.Host, host)
	e.Props = append(e.Props, m.dict.id(it.Props))
	e.Revenue = append(e.Revenue, m.dict.id(it.Revenue))
	e.Scroll = append(e.Scroll, it.Scroll)
	e.Engaged = append(e.Engaged, it.EngagedMS)
	d.events++
	if e.Len() >= EventsBlockRows {
		m.sealEvents(d)
	}
}

func (m *Machine) findDay(n int32) *day {
	// Nearly always the last one.
	for i := len(m.days) - 1; i >= 0 && i >= len(m.days)-2; i-- {
		if m.days[i].n == n {
			return m.days[i]
		}
	}
	i := sort.Search(len(m.days), func(i int) bool { return m.days[i].n >= n })
	if i < len(m.days) && m.days[i].n == n {
		return m.days[i]
	}
	return nil
}

func (m *Machine) openDay(n int32) *day {
	if d := m.findDay(n); d != nil {
		return d
	}
	d := &day{n: n, start: int64(n) * column.DayMS}
	i := sort.Search(len(m.days), func(i int) bool { return m.days[i].n >= n })
	m.days = append(m.days, nil)
	copy(m.days[i+1:], m.days[i:])
	m.days[i] = d
	return d
}
