package session

import (
	"cmp"
	"context"
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/site"
)

// Blocks gives the blocks that a view names but does not hold. Safe for
// concurrent use; what it gives is immutable.
type Blocks interface {
	Events(ctx context.Context, id analytics.SiteID, r site.Ref) (*column.Events, error)
	Visits(ctx context.Context, id analytics.SiteID, r site.Ref) (*column.Visits, error)
	Sealed(ctx context.Context, id analytics.SiteID, r site.Ref) (*column.Sealed, error)
}

// Build makes the visits of view that begin in a UTC day. It reads what it needs
// through blocks and stops with ctx. Errors are those of blocks.
func Build(ctx context.Context, view *site.View, day int32, blocks Blocks, lex *Lexicon) (*Day, error) {
	b := &builder{ctx: ctx, view: view, day: day, blocks: blocks, lex: lex, rows: map[int32][]uint32{}}
	if err := b.readVisits(); err != nil {
		return nil, err
	}
	sealed, err := b.readSealed()
	if err != nil {
		return nil, err
	}
	d := &Day{Day: day, Lexicon: lex}
	if sealed != nil {
		d.Layers = []*Layer{sealed}
	}
	if len(b.visits) > 0 {
		if err := b.readEvents(); err != nil {
			return nil, err
		}
		l := b.layer()
		if sealed != nil {
			l = join(sealed, l, lex)
		}
		d.Layers = []*Layer{l}
	}
	d.measure()
	return d, nil
}

// measure fills in what a day says of its layers.
func (d *Day) measure() {
	d.First, d.Last, d.Visits, d.Events = 0, 0, 0, 0
	for _, l := range d.Layers {
		d.Events += len(l.At)
		for i := range l.ID {
			if l.Hides(i) {
				continue
			}
			if d.Visits == 0 || l.Start[i] < d.First {
				d.First = l.Start[i]
			}
			d.Last = max(d.Last, l.Last[i])
			d.Visits++
		}
	}
}

// source is a row of a segment of visits.
type source struct {
	seg *segment
	row int
}

// segment is visits with the numbers of its texts in the lexicon.
type segment struct {
	v   *column.Visits
	ids []uint32
}

// builder collects one day.
type builder struct {
	ctx    context.Context
	view   *site.View
	day    int32
	blocks Blocks
	lex    *Lexicon

	visits      []source
	rows        map[int32][]uint32 // filing day -> visit number -> place in visits, plus 1
	first, last int64

	parts  []part
	counts []uint32 // events of each visit
}

// part is the events of a segment that belong to visits of the day.
type part struct {
	e   *column.Events
	ids []uint32
	row []uint32 // place in visits of each event taken
	at  []uint32 // its row in e
}

// readVisits finds the visits that begin in the day. A visit is filed under the
// day of the event that arrived first; a later arrival can have moved its start
// to an earlier day.
func (b *builder) readVisits() error {
	from, to := int64(b.day)*column.DayMS, int64(b.day+1)*column.DayMS
	for i := range b.view.Days {
		d := &b.view.Days[i]
		if d.Day < b.day || d.Start >= to {
			continue
		}
		for j := range d.Filed {
			f := &d.Filed[j]
			if f.Start >= to {
				continue
			}
			if err := b.ctx.Err(); err != nil {
				return err
			}
			v := f.Visits
			if v == nil {
				var err error
				if v, err = b.blocks.Visits(b.ctx, b.view.Site, f.Ref); err != nil {
					return err
				}
			}
			b.take(v, d.Visits, from, to)
		}
	}
	return nil
}

func (b *builder) take(v *column.Visits, numbers uint32, from, to int64) {
	var seg *segment
	for i, n := range v.Number {
		if v.Start[i] < from || v.Start[i] >= to || v.Flags[i]&column.Dead != 0 {
			continue
		}
		if seg == nil {
			seg = &segment{v: v, ids: b.lexicon(v.Dict, v.Entry, v.Exit, v.EntryHost, v.ExitHost, v.Agent, v.Place, v.Acquisition, v.Language, v.Screen)}
		}
		rows := b.rows[v.Day]
		if rows == nil {
			rows = make([]uint32, numbers)
			b.rows[v.Day] = rows
		}
		b.visits = append(b.visits, source{seg, i})
		rows[n] = uint32(len(b.visits))
		if len(b.visits) == 1 || v.Start[i] < b.first {
			b.first = v.Start[i]
		}
		b.last = max(b.last, v.Last[i])
	}
}

// lexicon numbers the texts of a dictionary. Of a large one that its columns
// hardly use, as that of live rows can be, only what is used is numbered.
func (b *builder) lexicon(dict []string, cols ...[]uint32) []uint32 {
	rows := 0
	for _, c := range cols {
		rows += len(c)
	}
	if rows >= len(dict) {
		return b.lex.IDs(dict)
	}
	ids := make([]uint32, len(dict))
	for _, c := range cols {
		for _, n := range c {
			if n != 0 && ids[n] == 0 {
				ids[n] = b.lex.ID(dict[n])
			}
		}
	}
	return ids
}

func (b *builder) readEvents() error {
	b.counts = make([]uint32, len(b.visits))
	earliest := b.first - analytics.VisitGapMS // an engagement can come before the first event
	for i := range b.view.Days {
		d := &b.view.Days[i]
		if d.Day < column.DayOf(earliest) || d.Day > column.DayOf(b.last) {
			continue
		}
		for j := range d.Events {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			x := &d.Events[j]
			if x.To < earliest || x.From > b.last {
				continue
			}
			e := x.Events
			if e == nil {
				var err error
				if e, err = b.blocks.Events(b.ctx, b.view.Site, x.Ref); err != nil {
					return err
				}
			}
			b.takeEvents(e)
		}
	}
	return nil
}

func (b *builder) takeEvents(e *column.Events) {
	p := part{e: e}
	for i := range e.At {
		id := e.VisitID(i)
		if b.view.Alias != nil {
			if to, ok := b.view.Alias[id]; ok {
				id = to
			}
		}
		rows := b.rows[id.Day()]
		if int(id.Number()) >= len(rows) || rows[id.Number()] == 0 {
			continue
		}
		row := rows[id.Number()] - 1
		p.row, p.at = append(p.row, row), append(p.at, uint32(i))
		b.counts[row]++
	}
	if len(p.row) == 0 {
		return
	}
	p.ids = b.lexicon(e.Dict, e.Name, e.Page, e.Host, e.Props, e.Revenue)
	b.parts = append(b.parts, p)
}

// layer sorts what was collected.
func (b *builder) layer() *Layer {
	n := len(b.visits)
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int { return b.compare(b.visits[x], b.visits[y]) })
	l := newLayer(n)
	place := make([]uint32, n) // in the layer
	next := make([]uint32, n)  // where the next event of a visit goes
	total := uint32(0)
	for i, o := range order {
		s := b.visits[o]
		b.appendVisit(l, s)
		place[o] = uint32(i)
		next[o] = total
		l.FirstEvent = append(l.FirstEvent, total)
		total += b.counts[o]
	}
	l.FirstEvent = append(l.FirstEvent, total)
	b.events(l, next, int(total))
	l.sortEvents()
	l.share(b.lex)
	return l
}

// compare gives the order of visits in a layer.
func (b *builder) compare(s, t source) int {
	return cmp.Or(cmp.Compare(s.seg.v.Visitor[s.row], t.seg.v.Visitor[t.row]),
		cmp.Compare(s.seg.v.Start[s.row], t.seg.v.Start[t.row]), cmp.Compare(b.id(s), b.id(t)))
}

func (b *builder) id(s source) column.VisitID {
	return column.MakeVisitID(s.seg.v.Day, s.seg.v.Number[s.row])
}

// newLayer makes room for n visits.
func newLayer(n int) *Layer {
	long := func() []int64 { return make([]int64, 0, n) }
	short := func() []uint32 { return make([]uint32, 0, n) }
	if n < sharedMin { // few allocations rather than columns that can be let go of
		longs, ints := make([]int64, 3*n), make([]uint32, 11*n)
		long = func() []int64 { s := longs[:0:n]; longs = longs[n:]; return s }
		short = func() []uint32 { s := ints[:0:n]; ints = ints[n:]; return s }
	}
	return &Layer{ID: make([]column.VisitID, 0, n), Visitor: make([]uint64, 0, n), Flags: make([]uint8, 0, n), FirstEvent: make([]uint32, 0, n+1),
		Start: long(), Last: long(), LastEvent: long(), Views: short(), Customs: short(),
		Entry: short(), Exit: short(), EntryHost: short(), ExitHost: short(),
		Agent: short(), Place: short(), Acquisition: short(), Language: short(), Screen: short()}
}

func (b *builder) appendVisit(l *Layer, s source) {
	v, i, t := s.seg.v, s.row, s.seg.ids
	l.ID = append(l.ID, b.id(s))
	l.Visitor = append(l.Visitor, v.Visitor[i])
	l.Start, l.Last, l.LastEvent = append(l.Start, v.Start[i]), append(l.Last, v.Last[i]), append(l.LastEvent, v.LastEvent[i])
	l.Views, l.Customs, l.Flags = append(l.Views, v.Views[i]), append(l.Customs, v.Customs[i]), append(l.Flags, v.Flags[i])
	l.Entry, l.Exit = append(l.Entry, t[v.Entry[i]]), append(l.Exit, t[v.Exit[i]])
	l.EntryHost, l.ExitHost = append(l.EntryHost, t[v.EntryHost[i]]), append(l.ExitHost, t[v.ExitHost[i]])
	l.Agent, l.Place, l.Acquisition = append(l.Agent, t[v.Agent[i]]), append(l.Place, t[v.Place[i]]), append(l.Acquisition, t[v.Acquisition[i]])
	l.Language, l.Screen = append(l.Language, t[v.Language[i]]), append(l.Screen, t[v.Screen[i]])
}

// events puts the events in their places; next[v] is where visit v of b.visits
// has its next one.
func (b *builder) events(l *Layer, next []uint32, n int) {
	l.At, l.Kind = make([]int64, n), make([]uint8, n)
	l.Page, l.Host, l.Rare = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for k := range b.parts {
		p := &b.parts[k]
		e, t := p.e, p.ids
		for j, row := range p.row {
			i, o := p.at[j], next[row]
			next[row]++
			l.At[o], l.Kind[o] = e.Time(int(i)), e.Kind[i]
			l.Page[o], l.Host[o] = t[e.Page[i]], t[e.Host[i]]
			l.Rare[o] = l.addRare(Rare{t[e.Name[i]], t[e.Props[i]], t[e.Revenue[i]], e.Engaged[i], e.Scroll[i]})
		}
	}
}

// addRare keeps what is rare of an event and gives its place plus 1.
func (l *Layer) addRare(r Rare) uint32 {
	if r == plain {
		return 0
	}
	l.Rares = append(l.Rares, r)
	return uint32(len(l.Rares))
}

// sortEvents brings the events of each visit into order of time; those of one
// millisecond stay in order of arrival. Nearly always nothing has to be done.
func (l *Layer) sortEvents() {
	for i := range l.ID {
		from, to := int(l.FirstEvent[i]), int(l.FirstEvent[i+1])
		at := l.At[from:to]
		if !slices.IsSorted(at) {
			sort.Stable(&eventSorter{l, from, to - from})
		}
	}
}

// eventSorter sorts the events [from, from+n) of a layer by time.
type eventSorter struct {
	l    *Layer
	from int
	n    int
}

func (s *eventSorter) Len() int           { return s.n }
func (s *eventSorter) Less(i, j int) bool { return s.l.At[s.from+i] < s.l.At[s.from+j] }
func (s *eventSorter) Swap(i, j int) {
	i, j = s.from+i, s.from+j
	l := s.l
	l.At[i], l.At[j] = l.At[j], l.At[i]
	l.Kind[i], l.Kind[j] = l.Kind[j], l.Kind[i]
	for _, c := range [][]uint32{l.Page, l.Host, l.Rare} {
		c[i], c[j] = c[j], c[i]
	}
}

// sharedMin is how many rows are worth looking for columns of one value.
const sharedMin = 512

// share lets go of columns that have one value only: all such columns of one
// value are one piece of memory.
func (l *Layer) share(lex *Lexicon) {
	if len(l.At) < sharedMin || len(l.ID) < sharedMin {
		return
	}
	for _, c := range []*[]uint32{&l.Host, &l.Rare, &l.Customs, &l.EntryHost, &l.ExitHost, &l.Place, &l.Acquisition, &l.Language, &l.Screen} {
		x := (*c)[0]
		if !slices.ContainsFunc(*c, func(y uint32) bool { return y != x }) {
			*c = lex.constant(x, len(*c))
		}
	}
}
