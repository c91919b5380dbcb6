package site

import (
	"fmt"
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/column"
)

// SealedEvents is about how many events a segment holds at most, and so how much
// a late event brings back.
const SealedEvents = 65_536

const (
	sealAfterMS     = 2 * 60 * 60 * 1000 // of log time, from the end of a day
	sealQuietMS     = 30 * 60 * 1000     // of log time, without a change
	forgetAfterMS   = 35 * column.DayMS  // of log time, without a change: longer than any salt lives
	forgetEventsMax = 4 << 20            // days with more keep their ids
	smallSegment    = SealedEvents / 4   // is made anew together with what comes to it
)

// SealRule says what may be sealed.
type SealRule struct {
	// Forget lets ids of visitors without a name be replaced by numbers once no event
	// can have them any more. It must not be set where the same visitor has the same
	// id on several days.
	Forget bool
	// Hurry seals days that were changed just now too, as after an import.
	Hurry bool
}

// SealPart is a part of a day that can be sealed. Need are the records that
// SealPart must be given.
type SealPart struct {
	Day  int32
	Need []Ref

	blocks   int      // how many of the first vblocks
	segments []uint32 // chunks of those that are made anew
	forget   bool
	from, to int64 // span of the visits' events
}

// NextSeal gives the earliest part that can be sealed now. It is asked right
// before Flush, and again after each SealPart, for as long as there is time.
func (m *Machine) NextSeal(rule SealRule) (p SealPart, ok bool) {
	live := map[int32]bool{}
	m.sealForFlush()
	for i := range m.visits {
		if n := m.visits[i].id.Day(); i == 0 || n != m.visits[i-1].id.Day() { // mostly the day of the one before
			live[n] = true
		}
	}
	for _, d := range m.days {
		switch end := int64(d.n+1) * column.DayMS; {
		case d.odd, live[d.n], len(d.vblocks)+len(d.sealed) == 0, end+sealAfterMS >= m.now,
			!rule.Hurry && m.now-d.at < sealQuietMS:
		case len(d.vblocks) > 0:
			return m.partOf(d), true
		case rule.Forget && m.now-d.at > forgetAfterMS:
			if p, ok = forgetPart(d); ok {
				return p, true
			}
		}
	}
	return SealPart{}, false
}

// partOf takes the first blocks of visits of a day; with the last of them what
// late events left of segments.
func (m *Machine) partOf(d *day) SealPart {
	p := SealPart{Day: d.n, from: d.vblocks[0].from, to: d.vblocks[0].to}
	rows := uint32(0)
	for i := range d.vblocks {
		b := &d.vblocks[i]
		if rows += b.rows; i > 0 && rows > VisitsBlockRows {
			break
		}
		p.blocks++
		p.from, p.to = min(p.from, b.from), max(p.to, b.to)
		if b.visits == nil {
			p.Need = append(p.Need, Ref{KindVisits, uint32(d.n), b.chunk})
		}
	}
	p.from -= analytics.VisitGapMS // an engagement can come before the first event
	if p.blocks == len(d.vblocks) {
		for i := range d.sealed {
			if g := &d.sealed[i]; g.events < smallSegment && rows+g.visits <= VisitsBlockRows {
				rows += g.visits
				p.takeSegment(d, g)
			}
		}
	}
	for _, other := range m.days {
		for i := range other.blocks {
			if b := &other.blocks[i]; b.events == nil && p.touches(b) {
				p.Need = append(p.Need, Ref{KindEvents, uint32(other.n), b.chunk})
			}
		}
	}
	return p
}

func (p *SealPart) touches(b *block) bool { return b.from <= p.to && b.to >= p.from }

func (p *SealPart) takeSegment(d *day, g *segment) {
	p.segments = append(p.segments, g.chunk)
	if g.sealed == nil {
		p.Need = append(p.Need, g.ref(d.n))
	}
}

// forgetPart takes all segments of a day that still have ids.
func forgetPart(d *day) (SealPart, bool) {
	p := SealPart{Day: d.n, forget: true}
	events := uint32(0)
	for i := range d.sealed {
		if g := &d.sealed[i]; g.flags&segmentNumbered == 0 {
			events += g.events
			p.takeSegment(d, g)
		}
	}
	return p, len(p.segments) > 0 && events <= forgetEventsMax
}

// SealPart seals a part that NextSeal gave. What is counted does not change. An
// error changes nothing; a day whose rows contradict each other stays as it is
// until it changes.
func (m *Machine) SealPart(p SealPart, records map[Ref][]byte) error {
	d := m.findDay(p.Day)
	s := &sealing{m: m, d: d, part: p, records: records}
	err := s.read()
	if err == nil && p.forget {
		s.forget()
	} else if err == nil {
		err = s.join()
	}
	if err != nil {
		d.odd = true
		return fmt.Errorf("seal day %d of site %d: %w", p.Day, m.id, err)
	}
	s.commit()
	return nil
}

// sealing makes segments of a part.
type sealing struct {
	m       *Machine
	d       *day
	part    SealPart
	records map[Ref][]byte

	texts  dict    // of visits
	visits []visit // of blocks, in order of number; texts are numbers of texts
	old    []*column.Sealed
	place  map[column.VisitID]int32 // in visits

	taken   []takenEvents
	counts  []uint32 // events of each visit
	rests   []rest
	made    []*column.Sealed
	number  map[string]uint32 // of the last one's Dict
	touched map[int32]bool    // days that lose rows

	ofVisits       numbered
	ofTaken, ofOld []numbered // as taken and old
}

// takenEvents are rows of the part's visits.
type takenEvents struct {
	e     *column.Events
	rows  []int32
	visit []int32
}

// rest is what stays of a block of events, or of a tail if block is -1.
type rest struct {
	d     *day
	block int
	e     *column.Events // nil: nothing
}

func (s *sealing) read() error {
	for i := range s.part.blocks {
		b := &s.d.vblocks[i]
		v := b.visits
		if v == nil {
			var err error
			if v, err = column.DecodeVisits(s.records[Ref{KindVisits, uint32(s.d.n), b.chunk}]); err != nil {
				return err
			}
		}
		for i := range v.Number {
			if v.Flags[i]&column.Dead == 0 { // what was merged is found by the alias
				s.visits = append(s.visits, visitOf(v, i, &s.texts))
			}
		}
	}
	for i := range s.d.sealed {
		g := &s.d.sealed[i]
		if !slices.Contains(s.part.segments, g.chunk) {
			continue
		}
		x := g.sealed
		if x == nil {
			var err error
			if x, err = column.DecodeSealed(s.records[g.ref(s.d.n)], s.m.packer); err != nil {
				return err
			}
		}
		if x.Day != s.d.n {
			return errDamaged
		}
		s.old = append(s.old, x)
	}
	return nil
}

// forget replaces the ids of visitors without a name by numbers.
func (s *sealing) forget() {
	named := map[uint64]bool{}
	first := map[uint64]uint32{}
	for _, x := range s.old {
		for i, id := range x.Visitor {
			if x.Named[i] != 0 {
				named[id] = true
			}
			if n, ok := first[id]; !ok || x.Number[i] < n {
				first[id] = x.Number[i]
			}
		}
	}
	for _, x := range s.old {
		y := *x
		y.Visitor = slices.Clone(x.Visitor)
		for i, id := range y.Visitor {
			if !named[id] && !column.IsNumbered(x.Day, id) {
				y.Visitor[i] = column.VisitorOf(x.Day, first[id])
			}
		}
		s.made = append(s.made, &y)
	}
}

// join brings visits and events together.
func (s *sealing) join() error {
	sort.Slice(s.visits, func(i, j int) bool { return s.visits[i].id < s.visits[j].id })
	s.place = make(map[column.VisitID]int32, len(s.visits))
	for i := range s.visits {
		s.place[s.visits[i].id] = int32(i)
	}
	s.counts = make([]uint32, len(s.visits))
	s.touched = map[int32]bool{}
	for _, d := range s.m.days {
		for i := range d.blocks {
			b := &d.blocks[i]
			if !s.part.touches(b) {
				continue
			}
			e := b.events
			if e == nil {
				var err error
				if e, err = column.DecodeEvents(s.records[Ref{KindEvents, uint32(d.n), b.chunk}]); err != nil {
					return err
				}
			}
			s.take(d, i, e)
		}
		if d.tail != nil {
			d.tail.Dict = s.m.dict.texts
			s.take(d, -1, d.tail)
		}
	}
	return s.build()
}

// take takes the rows of the part's visits.
func (s *sealing) take(d *day, block int, e *column.Events) {
	t := takenEvents{e: e}
	var stay []int32
	for i := range e.At {
		id := s.m.resolve(e.VisitID(i))
		at, ok := int32(0), false
		if id.Day() == s.d.n {
			at, ok = s.place[id]
		}
		if !ok {
			stay = append(stay, int32(i))
			continue
		}
		t.rows, t.visit = append(t.rows, int32(i)), append(t.visit, at)
		s.counts[at]++
	}
	if len(t.rows) == 0 {
		return
	}
	s.taken = append(s.taken, t)
	s.touched[d.n] = true
	r := rest{d: d, block: block}
	if len(stay) > 0 {
		r.e = pickEvents(e, stay)
	}
	s.rests = append(s.rests, r)
}

// source is an event of a visit: a row of taken[from].
type source struct {
	at   int64
	from int32
	row  int32
}

// build makes the segments, visits in order of number.
func (s *sealing) build() error {
	first := make([]uint32, len(s.visits)+1)
	for i, n := range s.counts {
		first[i+1] = first[i] + n
	}
	events := make([]source, first[len(s.visits)])
	next := slices.Clone(first)
	for k, t := range s.taken {
		for j, row := range t.rows {
			v := t.visit[j]
			events[next[v]] = source{t.e.Time(int(row)), int32(k), row}
			next[v]++
		}
	}
	type whole struct {
		number uint32
		old    int // -1: a visit of blocks
		i      int
	}
	all := make([]whole, 0, len(s.visits))
	for i := range s.visits {
		all = append(all, whole{s.visits[i].id.Number(), -1, i})
	}
	for k, x := range s.old {
		for i, n := range x.Number {
			all = append(all, whole{n, k, i})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].number < all[j].number })
	for j, w := range all {
		if j > 0 && all[j-1].number == w.number {
			return errOdd(column.MakeVisitID(s.d.n, w.number), "is there twice")
		}
		n := 0
		if w.old < 0 {
			n = int(s.counts[w.i])
		} else {
			n = int(s.old[w.old].First[w.i+1] - s.old[w.old].First[w.i])
		}
		if n == 0 || n > column.SealedEventsMax {
			return errOdd(column.MakeVisitID(s.d.n, w.number), fmt.Sprint("has ", n, " events"))
		}
		if len(s.made) == 0 || len(s.last().At)+n > SealedEvents {
			s.begin()
		}
		if w.old >= 0 {
			s.addOld(w.old, w.i)
			continue
		}
		part := events[first[w.i]:first[w.i+1]]
		if !slices.IsSortedFunc(part, func(x, y source) int { return int(x.at - y.at) }) {
			sort.SliceStable(part, func(i, j int) bool { return part[i].at < part[j].at })
		}
		s.addVisit(&s.visits[w.i], part)
		if err := s.check(&s.visits[w.i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *sealing) last() *column.Sealed { return s.made[len(s.made)-1] }

// numbered is a dictionary with the numbers that its texts have in the segment
// in the making, 0 for those that are not there yet.
type numbered struct {
	dict    []string
	numbers []uint32
}

// text gives the number of a text.
func (s *sealing) text(n *numbered, t uint32) uint32 {
	if t == 0 {
		return 0
	}
	if n.numbers == nil {
		n.numbers = make([]uint32, len(n.dict))
	}
	if x := n.numbers[t]; x != 0 {
		return x
	}
	x, ok := s.number[n.dict[t]]
	if !ok {
		last := s.last()
		x = uint32(len(last.Dict))
		last.Dict = append(last.Dict, n.dict[t])
		s.number[n.dict[t]] = x
	}
	n.numbers[t] = x
	return x
}

// begin begins a segment.
func (s *sealing) begin() {
	s.made = append(s.made, &column.Sealed{Day: s.d.n, First: []uint32{0}, Dict: []string{""}})
	s.number = map[string]uint32{"": 0}
	s.ofVisits = numbered{dict: s.texts.texts}
	s.ofTaken, s.ofOld = make([]numbered, len(s.taken)), make([]numbered, len(s.old))
	for i := range s.taken {
		s.ofTaken[i].dict = s.taken[i].e.Dict
	}
	for i := range s.old {
		s.ofOld[i].dict = s.old[i].Dict
	}
}

func (s *sealing) addVisit(v *visit, events []source) {
	x := s.last()
	t := func(n uint32) uint32 { return s.text(&s.ofVisits, n) }
	x.Number, x.Visitor = append(x.Number, v.id.Number()), append(x.Visitor, v.visitor)
	x.Named = append(x.Named, min(v.flags&column.Named, 1))
	x.Agent, x.Place, x.Acquisition = append(x.Agent, t(v.agent)), append(x.Place, t(v.place)), append(x.Acquisition, t(v.acquisition))
	x.Language, x.Screen = append(x.Language, t(v.language)), append(x.Screen, t(v.screen))
	for _, o := range events {
		e, i := s.taken[o.from].e, o.row
		t := func(n uint32) uint32 { return s.text(&s.ofTaken[o.from], n) }
		x.At, x.Kind = append(x.At, o.at), append(x.Kind, e.Kind[i])
		x.Page, x.Host = append(x.Page, t(e.Page[i])), append(x.Host, t(e.Host[i]))
		x.Rare = append(x.Rare, x.AddRare(column.Rare{Name: t(e.Name[i]), Props: t(e.Props[i]), Revenue: t(e.Revenue[i]), Engaged: e.Engaged[i], Scroll: e.Scroll[i]}))
	}
	x.First = append(x.First, uint32(len(x.At)))
}

// addOld copies visit i of old[k].
func (s *sealing) addOld(k, i int) {
	x, o := s.last(), s.old[k]
	t := func(n uint32) uint32 { return s.text(&s.ofOld[k], n) }
	x.Number, x.Visitor, x.Named = append(x.Number, o.Number[i]), append(x.Visitor, o.Visitor[i]), append(x.Named, o.Named[i])
	x.Agent, x.Place, x.Acquisition = append(x.Agent, t(o.Agent[i])), append(x.Place, t(o.Place[i])), append(x.Acquisition, t(o.Acquisition[i]))
	x.Language, x.Screen = append(x.Language, t(o.Language[i])), append(x.Screen, t(o.Screen[i]))
	for e := o.First[i]; e < o.First[i+1]; e++ {
		r := o.RareOf(int(e))
		r.Name, r.Props, r.Revenue = t(r.Name), t(r.Props), t(r.Revenue)
		x.At, x.Kind, x.Rare = append(x.At, o.At[e]), append(x.Kind, o.Kind[e]), append(x.Rare, x.AddRare(r))
		x.Page, x.Host = append(x.Page, t(o.Page[e])), append(x.Host, t(o.Host[e]))
	}
	x.First = append(x.First, uint32(len(x.At)))
}

// check compares what the events of the visit added last tell with what the
// visit says: only what can be told is not stored.
func (s *sealing) check(v *visit) error {
	x := s.last()
	got, want := sealedVisit(x, x.Len()-1), v
	same := got.id == want.id && got.visitor == want.visitor && got.start == want.start && got.last == want.last && got.lastEvent == want.lastEvent &&
		got.views == want.views && got.customs == want.customs && got.flags == want.flags &&
		(got.views == 0 || got.entryAt == want.entryAt && got.exitAt == want.exitAt)
	for _, c := range [][2]uint32{{got.entry, want.entry}, {got.exit, want.exit}, {got.entryHost, want.entryHost}, {got.exitHost, want.exitHost}} {
		same = same && (c[1] == 0 && x.Dict[c[0]] == "" || c[1] != 0 && x.Dict[c[0]] == s.texts.texts[c[1]])
	}
	if !same {
		return errOdd(v.id, "contradicts its events")
	}
	return nil
}

// errOdd is why a day is not sealed.
func errOdd(id column.VisitID, what string) error {
	return fmt.Errorf("visit %d of day %d %s", id.Number(), id.Day(), what)
}

// commit puts the segments in the place of what they were made of.
func (s *sealing) commit() {
	m, d := s.m, s.d
	for i := len(s.rests) - 1; i >= 0; i-- { // from behind: blocks that are removed move the later ones
		r := &s.rests[i]
		if r.block < 0 {
			r.d.tail = r.e
			continue
		}
		b := &r.d.blocks[r.block]
		m.discard(Ref{KindEvents, uint32(r.d.n), b.chunk}, b)
		blocks := slices.Clone(r.d.blocks)
		if r.e == nil {
			blocks = slices.Delete(blocks, r.block, r.block+1)
		} else {
			blocks[r.block] = eventsBlock(r.d.chunk, r.e.Compact())
			r.d.chunk++
		}
		r.d.blocks = blocks
	}
	for i := range s.part.blocks {
		m.discard(Ref{KindVisits, uint32(d.n), d.vblocks[i].chunk}, &d.vblocks[i])
	}
	d.vblocks = slices.Clone(d.vblocks[s.part.blocks:])
	kept := make([]segment, 0, len(d.sealed)+len(s.made))
	for _, g := range d.sealed {
		if !slices.Contains(s.part.segments, g.chunk) {
			kept = append(kept, g)
		} else if g.written {
			m.obsolete = append(m.obsolete, g.ref(d.n))
		}
	}
	for _, x := range s.made {
		kept = append(kept, makeSegment(d.chunk, x, s.part.forget))
		d.chunk++
	}
	d.sealed = kept
	for _, other := range m.days {
		if other == d || s.touched[other.n] {
			other.moved++
		}
	}
	m.dirty, m.view = true, nil
}
