package site

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sort"

	"footfall/analytics"
	"footfall/analytics/column"
)

// The header of a site, one record, holds all that is live:
//
//	header = version(1)=3  applied now first sealedLast
//	         kept removals removedAt removedLast  seals: count, then the last month if any
//	         days: count, then for each: n visits events start last chunk idChunks changed
//	               at moved
//	               blocks and vblocks: count, then chunk rows from to each
//	               sealed: count, then chunk visits events start last flags each
//	               ids not yet in a record: count(uvarint) and 8 bytes each
//	         drops: count, then day reason n     alias: count, then two ids each
//	         window: count, then number chunks and ids as above
//	         outcomes: count, then index visits events each
//	         segments: count, then length and a column block each: live events, live visits
//	         crc32c(4) over all before
//
// Numbers are varints, signed where they can be negative. Older versions are
// still read: version 2 has neither at nor moved nor sealed, version 1 besides
// neither changed nor outcomes nor the line of kept. An ids record is version(1)=1, count(uvarint), 8 bytes each, crc32c(4).
const (
	headerVersion  = 3
	headerVersion2 = 2
	headerVersion1 = 1
	idsVersion     = 1
)

var (
	errDamaged = errors.New("site record: unknown or damaged format")
	crcTable   = crc32.MakeTable(crc32.Castagnoli)
)

// Write is one record to be stored, or to be deleted if Value is nil. Events or
// Visits is the decoded form of a new block, for a cache.
type Write struct {
	Ref    Ref
	Value  []byte
	Events *column.Events
	Visits *column.Visits
}

// Flush gives the writes that bring the records up to the state; all of them
// belong into one batch. Afterwards sealed rows are no longer held in memory
// and are read from their records.
func (m *Machine) Flush() []Write {
	if !m.dirty {
		return nil
	}
	m.sealForFlush()
	var out []Write
	for _, r := range m.obsolete {
		out = append(out, Write{Ref: r})
	}
	m.obsolete = nil
	for _, d := range m.days {
		for i := range d.blocks {
			if b := &d.blocks[i]; !b.written {
				out = append(out, Write{Ref: Ref{KindEvents, uint32(d.n), b.chunk}, Value: column.AppendEvents(nil, b.events), Events: b.events})
				b.written, b.events = true, nil
			}
		}
		for i := range d.vblocks {
			if b := &d.vblocks[i]; !b.written {
				out = append(out, Write{Ref: Ref{KindVisits, uint32(d.n), b.chunk}, Value: column.AppendVisits(nil, b.visits), Visits: b.visits})
				b.written, b.visits = true, nil
			}
		}
		for i := range d.sealed {
			if g := &d.sealed[i]; !g.written {
				out = append(out, Write{Ref: g.ref(d.n), Value: column.AppendSealed(nil, g.sealed, m.packer)})
				g.written, g.sealed = true, nil
			}
		}
		if len(d.fresh) >= idsChunkMin || len(d.fresh) > 0 && m.over(d.n) {
			out = append(out, Write{Ref: Ref{KindIDs, uint32(d.n), d.idChunks}, Value: encodeIDs(d.fresh)})
			d.fresh = nil
			d.idChunks++
		}
		if d.idsLoaded && d.idChunks > 0 && m.over(d.n) {
			d.ids, d.idsLoaded = idSet{}, false
		}
	}
	for i := range m.window.gens {
		if g := &m.window.gens[i]; len(g.fresh) >= idsChunkMin {
			out = append(out, Write{Ref: Ref{KindWindow, uint32(g.number), g.chunks}, Value: encodeIDs(g.fresh)})
			g.fresh = nil
			g.chunks++
		}
	}
	for k := range m.drops {
		if k.day < column.DayOf(m.now)-dropDaysMax {
			delete(m.drops, k)
		}
	}
	if m.sealsDirty {
		out = append(out, Write{Ref: Ref{KindSeals, 0, 0}, Value: m.encodeSeals()})
		m.sealsDirty = false
	}
	out = append(out, Write{Ref: Ref{KindHeader, 0, 0}, Value: m.encodeHeader()})
	m.dirty, m.view = false, nil
	return out
}

// sealForFlush seals what will not change any more.
func (m *Machine) sealForFlush() {
	m.sealVisits()
	for _, d := range m.days {
		if d.tail != nil && m.over(d.n) {
			m.sealEvents(d)
		}
	}
	if m.dict.bytes > 2*m.dict.kept+dictBytesMin {
		m.rebuildDict()
	}
}

func encodeIDs(ids []uint64) []byte {
	b := make([]byte, 0, 8*len(ids)+16)
	b = append(b, idsVersion)
	b = appendIDs(b, ids)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

func appendIDs(b []byte, ids []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

// checked verifies version and checksum and gives what lies between.
func checked(b []byte, version byte) (*decoder, error) {
	if len(b) < 5 || b[0] != version ||
		crc32.Checksum(b[:len(b)-4], crcTable) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, errDamaged
	}
	return &decoder{b: b[1 : len(b)-4]}, nil
}

func decodeIDs(b []byte) ([]uint64, error) {
	d, err := checked(b, idsVersion)
	if err != nil {
		return nil, err
	}
	ids := d.ids()
	return ids, d.err()
}

func (m *Machine) encodeHeader() []byte {
	b := make([]byte, 0, 1024)
	b = append(b, headerVersion)
	u := func(x uint64) { b = binary.AppendUvarint(b, x) }
	i := func(x int64) { b = binary.AppendVarint(b, x) }
	u(m.applied)
	i(m.now)
	i(m.first)
	i(m.sealedLast)
	i(int64(m.kept))
	u(m.removals)
	u(m.removedAt)
	i(m.removedLast)
	u(uint64(len(m.seals)))
	if n := len(m.seals); n > 0 {
		i(int64(m.seals[n-1].Month))
	}
	u(uint64(len(m.days)))
	for _, d := range m.days {
		i(int64(d.n))
		u(uint64(d.visits))
		u(uint64(d.events))
		i(d.start)
		i(d.last)
		u(uint64(d.chunk))
		u(uint64(d.idChunks))
		u(d.changed)
		i(d.at)
		u(d.moved)
		for _, blocks := range [][]block{d.blocks, d.vblocks} {
			u(uint64(len(blocks)))
			for _, bl := range blocks {
				u(uint64(bl.chunk))
				u(uint64(bl.rows))
				i(bl.from)
				i(bl.to)
			}
		}
		u(uint64(len(d.sealed)))
		for _, g := range d.sealed {
			u(uint64(g.chunk))
			u(uint64(g.visits))
			u(uint64(g.events))
			i(g.start)
			i(g.last)
			u(uint64(g.flags))
		}
		b = appendIDs(b, d.fresh)
	}
	keys := make([]dropKey, 0, len(m.drops))
	for k := range m.drops {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].day < keys[j].day || keys[i].day == keys[j].day && keys[i].reason < keys[j].reason
	})
	u(uint64(len(keys)))
	for _, k := range keys {
		i(int64(k.day))
		u(uint64(k.reason))
		u(m.drops[k])
	}
	from := make([]column.VisitID, 0, len(m.alias))
	for k := range m.alias {
		from = append(from, k)
	}
	sort.Slice(from, func(i, j int) bool { return from[i] < from[j] })
	u(uint64(len(from)))
	for _, k := range from {
		u(uint64(k))
		u(uint64(m.alias[k]))
	}
	u(uint64(len(m.window.gens)))
	for k := range m.window.gens {
		g := &m.window.gens[k]
		i(g.number)
		u(uint64(g.chunks))
		b = appendIDs(b, g.fresh)
	}
	u(uint64(len(m.outcomes)))
	for _, o := range m.outcomes {
		u(o.index)
		u(o.visits)
		u(o.events)
	}
	var segs [][]byte
	for _, d := range m.days {
		if d.tail != nil {
			d.tail.Dict = m.dict.texts
			segs = append(segs, column.AppendEvents(nil, d.tail.Compact()))
		}
	}
	for _, s := range m.liveVisitsByDay() {
		segs = append(segs, column.AppendVisits(nil, s.Compact()))
	}
	u(uint64(len(segs)))
	for _, s := range segs {
		u(uint64(len(s)))
		b = append(b, s...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crcTable))
}

// liveVisitsByDay gives the live visits in order of day and number.
func (m *Machine) liveVisitsByDay() []*column.Visits {
	order := make([]int32, len(m.visits))
	for i := range order {
		order[i] = int32(i)
	}
	less := func(i, j int) bool { return m.visits[order[i]].id < m.visits[order[j]].id }
	if !sort.SliceIsSorted(order, less) { // nearly always they are: slots are given in order
		sort.Slice(order, less)
	}
	var segs []*column.Visits
	for i, s := range order {
		v := &m.visits[s]
		if n := len(segs); n == 0 || segs[n-1].Day != v.id.Day() {
			day := v.id.Day()
			end := i + sort.Search(len(order)-i, func(k int) bool { return m.visits[order[i+k]].id.Day() != day })
			segs = append(segs, column.NewVisits(day, end-i, m.dict.texts))
		}
		v.appendTo(segs[len(segs)-1])
	}
	return segs
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) err() error {
	if d.bad {
		return errDamaged
	}
	return nil
}

func (d *decoder) u() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return x
}

func (d *decoder) i() int64 {
	x, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return x
}

// count reads a number of things that take at least one byte each.
func (d *decoder) count() int {
	n := d.u()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) ids() []uint64 {
	n := d.count()
	if n == 0 {
		return nil
	}
	if n > len(d.b)/8 {
		d.bad, d.b = true, nil
		return nil
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(d.b[8*i:])
	}
	d.b = d.b[8*n:]
	return out
}

// bytes cuts the next n bytes out; they refer into the record.
func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

// restoreTop reads a header up to and with its days.
func restoreTop(id analytics.SiteID, header []byte) (m *Machine, d *decoder, old bool, err error) {
	version := byte(headerVersion)
	if len(header) > 0 && header[0] >= headerVersion1 && header[0] < headerVersion {
		version = header[0]
	}
	if d, err = checked(header, version); err != nil {
		return nil, nil, false, err
	}
	old = version == headerVersion1
	m = New(id)
	m.applied, m.now, m.first, m.sealedLast = d.u(), d.i(), d.i(), d.i()
	if !old {
		m.kept, m.removals, m.removedAt, m.removedLast = int32(d.i()), d.u(), d.u(), d.i()
		if n := d.count(); n > 0 {
			m.seals = make([]Seal, n) // until their record is provided
			m.seals[n-1].Month = int32(d.i())
		}
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		x := &day{n: int32(d.i()), visits: uint32(d.u()), events: uint32(d.u()), start: d.i(), last: d.i(), chunk: uint32(d.u()), idChunks: uint32(d.u())}
		if !old {
			x.changed = d.u()
		}
		if x.at = m.now; version >= 3 {
			x.at, x.moved = d.i(), d.u()
		}
		for _, blocks := range []*[]block{&x.blocks, &x.vblocks} {
			for k := d.count(); k > 0 && !d.bad; k-- {
				*blocks = append(*blocks, block{chunk: uint32(d.u()), rows: uint32(d.u()), from: d.i(), to: d.i(), written: true})
			}
		}
		if version >= 3 {
			for k := d.count(); k > 0 && !d.bad; k-- {
				x.sealed = append(x.sealed, segment{chunk: uint32(d.u()), visits: uint32(d.u()), events: uint32(d.u()), start: d.i(), last: d.i(), flags: uint8(d.u()), written: true})
			}
		}
		x.fresh = d.ids()
		m.days = append(m.days, x)
	}
	return m, d, old, d.err()
}

// Restore makes the state from its header. records names those that must be
// given to ProvideWindow before the first Step.
func Restore(id analytics.SiteID, header []byte) (m *Machine, records []Ref, err error) {
	m, d, old, err := restoreTop(id, header)
	if err != nil {
		return nil, nil, err
	}
	if len(m.seals) > 0 {
		records = append(records, Ref{Kind: KindSeals})
	}
	for _, x := range m.days {
		for _, id := range x.fresh {
			x.ids.add(id)
		}
		x.idsLoaded = x.idChunks == 0
	}
	for n := d.count(); n > 0; n-- {
		k := dropKey{int32(d.i()), int(d.u())}
		if k.reason >= len(analytics.Reasons) {
			return nil, nil, errDamaged
		}
		m.drop(k.day, k.reason, d.u())
	}
	for n := d.count(); n > 0; n-- {
		if m.alias == nil {
			m.alias = make(map[column.VisitID]column.VisitID)
		}
		from := column.VisitID(d.u())
		m.alias[from] = column.VisitID(d.u())
	}
	for n := d.count(); n > 0; n-- {
		g := generation{number: d.i(), chunks: uint32(d.u())}
		g.fresh = d.ids()
		for _, id := range g.fresh {
			g.set.add(id)
		}
		for c := uint32(0); c < g.chunks && !d.bad; c++ {
			records = append(records, Ref{KindWindow, uint32(g.number), c})
		}
		m.window.gens = append(m.window.gens, g)
	}
	if !old {
		for n := d.count(); n > 0; n-- {
			m.outcomes = append(m.outcomes, outcome{index: d.u(), visits: d.u(), events: d.u()})
		}
	}
	for n := d.count(); n > 0; n-- {
		l := d.count()
		seg := d.b[:l]
		d.b = d.b[l:]
		if d.bad {
			break
		}
		if err := m.restoreSegment(seg); err != nil {
			return nil, nil, err
		}
	}
	m.sealAt = max(visitsSealMin, 2*len(m.visits))
	if old {
		m.widen()
	}
	return m, records, d.err()
}

// widen gives the days of a header of version 1 what it did not say: when they
// changed last, and bounds that hold engagements too.
func (m *Machine) widen() {
	for _, d := range m.days {
		d.changed = m.applied
		d.start -= analytics.VisitGapMS
		for i := range d.vblocks {
			d.last = max(d.last, d.vblocks[i].to)
		}
	}
	for i := range m.visits {
		v := &m.visits[i]
		d := m.findDay(v.id.Day())
		d.last = max(d.last, v.last)
	}
}

func (m *Machine) restoreSegment(b []byte) error {
	if e, err := column.DecodeEvents(b); err == nil {
		d := m.findDay(e.Day)
		if d == nil {
			return errDamaged
		}
		for _, col := range [][]uint32{e.Name, e.Page, e.Host, e.Props, e.Revenue} {
			for i, n := range col {
				col[i] = m.dict.idOf(e.Dict[n])
			}
		}
		e.Dict = nil
		d.tail = e
		return nil
	}
	v, err := column.DecodeVisits(b)
	if err != nil {
		return err
	}
	if m.findDay(v.Day) == nil {
		return errDamaged
	}
	for i := 0; i < v.Len(); i++ {
		m.addVisit(visitOf(v, i, &m.dict))
	}
	return nil
}

// ProvideWindow takes a record that Restore named.
func (m *Machine) ProvideWindow(r Ref, value []byte) error {
	if r.Kind == KindSeals {
		return m.provideSeals(value)
	}
	ids, err := decodeIDs(value)
	if err != nil {
		return err
	}
	for i := range m.window.gens {
		if g := &m.window.gens[i]; uint32(g.number) == r.Period {
			for _, id := range ids {
				g.set.add(id)
			}
		}
	}
	return nil
}
