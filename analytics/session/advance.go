package session

import (
	"context"
	"slices"
	"sort"

	"footfall/analytics/column"
	"footfall/analytics/site"
)

// Sizes of the layers of a day that still counts, in events. The last layer is
// made anew for every view, so it is small; when it is full it goes into the one
// before it, and that one into the first when it is more than a share of it.
const (
	topMax    = 2048
	midShare  = 8
	layersMax = 3
)

// Advance makes the visits of view that begin in a day from those of an earlier
// view of the same site. The days are equal to what Build gives, but it costs
// what changed. It falls back on Build where what changed cannot be told from
// the events that were added.
func Advance(ctx context.Context, old *Day, before, view *site.View, blocks Blocks) (*Day, error) {
	a := &advance{builder: builder{ctx: ctx, view: view, day: old.Day, blocks: blocks, lex: old.Lexicon, rows: map[int32][]uint32{}},
		old: old, before: before, added: map[column.VisitID][]added{}, known: map[int32]uint32{}}
	ok, err := a.readAdded()
	if err != nil {
		return nil, err
	}
	if !ok {
		return Build(ctx, view, old.Day, blocks, old.Lexicon)
	}
	if len(a.added) == 0 {
		return old, nil
	}
	if ok, err = a.readChanged(); err != nil {
		return nil, err
	}
	if !ok {
		return Build(ctx, view, old.Day, blocks, old.Lexicon)
	}
	d := &Day{Day: old.Day, Lexicon: old.Lexicon, Layers: a.layers()}
	d.measure()
	return d, nil
}

// added is an event that came after the earlier view.
type added struct {
	e *column.Events
	i int
}

type advance struct {
	builder
	old    *Day
	before *site.View
	added  map[column.VisitID][]added
	known  map[int32]uint32 // visits of a filing day that the earlier view had
	gone   []lost
}

// readAdded finds the events that came since. false means that more than that
// has happened.
func (a *advance) readAdded() (bool, error) {
	if len(a.view.Alias) != len(a.before.Alias) || a.view.Removals != a.before.Removals {
		return false, nil
	}
	then := map[int32]*site.ViewDay{}
	for i := range a.before.Days {
		d := &a.before.Days[i]
		then[d.Day] = d
		a.known[d.Day] = d.Visits
	}
	for i := range a.view.Days {
		d := &a.view.Days[i]
		if d.Changed <= a.before.Index {
			continue
		}
		had := 0
		if t := then[d.Day]; t != nil {
			if t.Moved != d.Moved {
				return false, nil // rows went into segments or came back
			}
			for j := range t.Events {
				had += t.Events[j].Rows
			}
		}
		for j := range d.Events {
			x := &d.Events[j]
			if had >= x.Rows {
				had -= x.Rows
				continue
			}
			e := x.Events
			if e == nil {
				var err error
				if e, err = a.blocks.Events(a.ctx, a.view.Site, x.Ref); err != nil {
					return false, err
				}
			}
			for i := had; i < e.Len(); i++ {
				id := e.VisitID(i)
				if to, ok := a.view.Alias[id]; ok {
					id = to
				}
				a.added[id] = append(a.added[id], added{e, i})
			}
			had = 0
		}
		if had > 0 {
			return false, nil // there are fewer events than before
		}
	}
	return true, nil
}

// readChanged reads what the visits with new events are now. false means that
// one of them began in another day before.
func (a *advance) readChanged() (bool, error) {
	from, to := int64(a.day)*column.DayMS, int64(a.day+1)*column.DayMS
	for i := range a.view.Days {
		d := &a.view.Days[i]
		if d.Day < a.day {
			continue
		}
		want, left := a.wanted(d)
		for j := range d.Filed { // nearly all visits that changed are live
			if v := d.Filed[j].Visits; v != nil && left > 0 {
				left -= a.takeChanged(v, want, from, to)
			}
		}
		for j := range d.Filed {
			if f := &d.Filed[j]; f.Visits == nil && left > 0 {
				v, err := a.blocks.Visits(a.ctx, a.view.Site, f.Ref)
				if err != nil {
					return false, err
				}
				left -= a.takeChanged(v, want, from, to)
			}
		}
	}
	for _, s := range a.visits {
		id := a.id(s)
		if _, _, found := a.find(s.seg.v.Visitor[s.row], id); !found && id.Number() < a.known[id.Day()] {
			return false, nil
		}
	}
	return true, nil
}

// wanted has a bit for each visit of a filing day that has new events, and counts
// them.
func (a *advance) wanted(d *site.ViewDay) (want []uint64, n int) {
	for id := range a.added {
		if id.Day() != d.Day {
			continue
		}
		if want == nil {
			want = make([]uint64, d.Visits/64+1)
		}
		want[id.Number()>>6] |= 1 << (id.Number() & 63)
		n++
	}
	return want, n
}

// takeChanged takes the wanted visits of a segment and counts them.
func (a *advance) takeChanged(v *column.Visits, want []uint64, from, to int64) (n int) {
	var seg *segment
	for i, number := range v.Number {
		if want[number>>6]&(1<<(number&63)) == 0 {
			continue
		}
		n++
		if v.Start[i] < from || v.Start[i] >= to || v.Flags[i]&column.Dead != 0 {
			if _, _, found := a.find(v.Visitor[i], column.MakeVisitID(v.Day, number)); found {
				a.gone = append(a.gone, lost{v.Visitor[i], column.MakeVisitID(v.Day, number)})
			}
			continue
		}
		if seg == nil {
			seg = &segment{v: v, ids: make([]uint32, len(v.Dict))}
		}
		for _, col := range [][]uint32{v.Entry, v.Exit, v.EntryHost, v.ExitHost, v.Agent, v.Place, v.Acquisition, v.Language, v.Screen} {
			if t := col[i]; t != 0 && seg.ids[t] == 0 {
				seg.ids[t] = a.lex.ID(v.Dict[t])
			}
		}
		a.visits = append(a.visits, source{seg, i})
	}
	return n
}

// lost is a visit that the day had and has no more.
type lost struct {
	visitor uint64
	id      column.VisitID
}

// find gives the place of a visit in the day as it was.
func (a *advance) find(visitor uint64, id column.VisitID) (layer, row int, ok bool) {
	for k, l := range a.old.Layers {
		i := sort.Search(l.Len(), func(i int) bool { return l.Visitor[i] >= visitor })
		for ; i < l.Len() && l.Visitor[i] == visitor; i++ {
			if l.ID[i] == id && !l.Hides(i) {
				return k, i, true
			}
		}
	}
	return 0, 0, false
}

// layers gives the layers of the day as it is: those there were, with what
// changed hidden, and on top what changed.
func (a *advance) layers() []*Layer {
	fresh := a.sorted()
	hidden := make([][]uint64, len(a.old.Layers))
	hide := func(visitor uint64, id column.VisitID) (*Layer, int) {
		k, i, ok := a.find(visitor, id)
		if !ok {
			return nil, 0
		}
		l := a.old.Layers[k]
		if hidden[k] == nil {
			hidden[k] = make([]uint64, l.Len()/64+1)
			copy(hidden[k], l.Hidden)
		}
		hidden[k][i>>6] |= 1 << (i & 63)
		return l, i
	}
	for _, g := range a.gone {
		hide(g.visitor, g.id)
	}
	top := newLayer(len(fresh))
	for _, s := range fresh {
		id := a.id(s)
		l, i := hide(s.seg.v.Visitor[s.row], id)
		a.appendVisit(top, s)
		top.FirstEvent = append(top.FirstEvent, uint32(len(top.At)))
		if l != nil {
			top.appendEvents(l, int(l.FirstEvent[i]), int(l.FirstEvent[i+1]))
		}
		for _, x := range a.added[id] {
			a.appendAdded(top, x)
		}
	}
	top.FirstEvent = append(top.FirstEvent, uint32(len(top.At)))
	top.sortEvents()
	var out []*Layer
	for k, l := range a.old.Layers {
		if hidden[k] != nil {
			c := *l
			c.Hidden = hidden[k]
			l = &c
		}
		out = append(out, l)
	}
	return settle(append(out, top), a.lex)
}

// settle joins layers until they have the sizes that they should.
func settle(ls []*Layer, lex *Lexicon) []*Layer {
	for len(ls) > 1 {
		last, before := ls[len(ls)-1], ls[len(ls)-2]
		full := topMax
		if len(ls) == 2 {
			full = max(topMax, len(before.At)/midShare)
		}
		if len(ls) <= layersMax && len(last.At) <= full && !(len(ls) == layersMax && len(last.At) > topMax) {
			break
		}
		ls = append(ls[:len(ls)-2:len(ls)-2], join(before, last, lex))
	}
	return ls
}

// sorted gives the changed visits in the order of a layer.
func (a *advance) sorted() []source {
	out := slices.Clone(a.visits)
	slices.SortFunc(out, func(s, t source) int { return a.compare(s, t) })
	return out
}

func (a *advance) appendAdded(l *Layer, x added) {
	e, i := x.e, x.i
	t := func(n uint32) uint32 {
		if n == 0 {
			return 0
		}
		return a.lex.ID(e.Dict[n])
	}
	l.AppendEvent(e.Time(i), e.Kind[i], t(e.Page[i]), t(e.Host[i]), Rare{t(e.Name[i]), t(e.Props[i]), t(e.Revenue[i]), e.Engaged[i], e.Scroll[i]})
}

// appendEvents adds the events [from, to) of o.
func (l *Layer) appendEvents(o *Layer, from, to int) {
	l.At, l.Kind = append(l.At, o.At[from:to]...), append(l.Kind, o.Kind[from:to]...)
	l.Page, l.Host = append(l.Page, o.Page[from:to]...), append(l.Host, o.Host[from:to]...)
	for _, r := range o.Rare[from:to] {
		if r != 0 {
			r = l.addRare(o.Rares[r-1])
		}
		l.Rare = append(l.Rare, r)
	}
}

// appendVisits adds the visits [from, to) of o with their events; none of them is
// hidden.
func (l *Layer) appendVisits(o *Layer, from, to int) {
	first := uint32(len(l.At))
	for i := from; i < to; i++ {
		l.FirstEvent = append(l.FirstEvent, first+o.FirstEvent[i]-o.FirstEvent[from])
	}
	l.appendEvents(o, int(o.FirstEvent[from]), int(o.FirstEvent[to]))
	l.ID, l.Visitor, l.Flags = append(l.ID, o.ID[from:to]...), append(l.Visitor, o.Visitor[from:to]...), append(l.Flags, o.Flags[from:to]...)
	l.Start, l.Last, l.LastEvent = append(l.Start, o.Start[from:to]...), append(l.Last, o.Last[from:to]...), append(l.LastEvent, o.LastEvent[from:to]...)
	for _, c := range [][2]*[]uint32{{&l.Views, &o.Views}, {&l.Customs, &o.Customs}, {&l.Entry, &o.Entry}, {&l.Exit, &o.Exit},
		{&l.EntryHost, &o.EntryHost}, {&l.ExitHost, &o.ExitHost}, {&l.Agent, &o.Agent}, {&l.Place, &o.Place},
		{&l.Acquisition, &o.Acquisition}, {&l.Language, &o.Language}, {&l.Screen, &o.Screen}} {
		*c[0] = append(*c[0], (*c[1])[from:to]...)
	}
}

// before tells whether visit i of l comes before visit j of o.
func (l *Layer) before(i int, o *Layer, j int) bool {
	if l.Visitor[i] != o.Visitor[j] {
		return l.Visitor[i] < o.Visitor[j]
	}
	if l.Start[i] != o.Start[j] {
		return l.Start[i] < o.Start[j]
	}
	return l.ID[i] < o.ID[j]
}

// join makes one layer of two, without what is hidden.
func join(a, b *Layer, lex *Lexicon) *Layer {
	l := newLayer(a.Len() + b.Len())
	n := len(a.At) + len(b.At)
	l.At, l.Kind = make([]int64, 0, n), make([]uint8, 0, n)
	l.Page, l.Host, l.Rare = make([]uint32, 0, n), make([]uint32, 0, n), make([]uint32, 0, n)
	i, j := 0, 0
	for i < a.Len() || j < b.Len() {
		for i < a.Len() && a.Hides(i) {
			i++
		}
		for j < b.Len() && b.Hides(j) {
			j++
		}
		from := i
		for i < a.Len() && !a.Hides(i) && (j == b.Len() || a.before(i, b, j)) {
			i++
		}
		if i > from {
			l.appendVisits(a, from, i)
			continue
		}
		if j < b.Len() {
			l.appendVisits(b, j, j+1)
			j++
		}
	}
	l.FirstEvent = append(l.FirstEvent, uint32(len(l.At)))
	l.share(lex)
	return l
}
