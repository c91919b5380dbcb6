package session

import (
	"cmp"
	"slices"

	"footfall/analytics/column"
)

// readSealed makes a layer of the sealed visits that begin in the day; nil if
// there are none. They come with their events, so nothing has to be looked for.
func (b *builder) readSealed() (*Layer, error) {
	from, to := int64(b.day)*column.DayMS, int64(b.day+1)*column.DayMS
	var parts []*column.Sealed
	for i := range b.view.Days {
		d := &b.view.Days[i]
		if d.Day < b.day {
			continue
		}
		for j := range d.Sealed {
			g := &d.Sealed[j]
			if g.Start >= to || g.Last < from {
				continue
			}
			if err := b.ctx.Err(); err != nil {
				return nil, err
			}
			s := g.Sealed
			if s == nil {
				var err error
				if s, err = b.blocks.Sealed(b.ctx, b.view.Site, g.Ref); err != nil {
					return nil, err
				}
			}
			parts = append(parts, s)
		}
	}
	return layerOf(parts, from, to, b.lex), nil
}

// sealedVisit is a visit of one of the segments of a layer in the making.
type sealedVisit struct {
	visitor uint64
	start   int64
	part    int32
	row     int32
}

// layerOf makes a layer of the visits that begin in [from, to).
func layerOf(parts []*column.Sealed, from, to int64, lex *Lexicon) *Layer {
	n, events := 0, 0
	for _, s := range parts {
		n += s.Len()
		events += len(s.At)
	}
	if n == 0 {
		return nil
	}
	order := make([]sealedVisit, 0, n)
	for k, s := range parts {
		for i, visitor := range s.Visitor {
			start := s.Start(i)
			if start < from || start >= to {
				events -= int(s.First[i+1] - s.First[i])
				continue
			}
			order = append(order, sealedVisit{visitor, start, int32(k), int32(i)})
		}
	}
	if len(order) == 0 {
		return nil
	}
	order = sortVisits(order, func(x, y sealedVisit) int {
		return cmp.Or(cmp.Compare(x.visitor, y.visitor), cmp.Compare(x.start, y.start),
			cmp.Compare(parts[x.part].Day, parts[y.part].Day), cmp.Compare(parts[x.part].Number[x.row], parts[y.part].Number[y.row]))
	})
	texts := make([][]uint32, len(parts))
	rares := 0
	for k, s := range parts {
		texts[k] = lex.IDs(s.Dict)
		rares += len(s.Rares)
	}
	l := newLayer(len(order)).sized(len(order), events, rares)
	at, rare := 0, 0
	for i := range order {
		o := &order[i]
		l.FirstEvent[i] = uint32(at)
		l.putVisit(i, parts[o.part], int(o.row), texts[o.part])
		at, rare = l.putEvents(at, rare, parts[o.part], int(o.row), texts[o.part])
	}
	l.FirstEvent[len(order)] = uint32(at)
	l.Rares = l.Rares[:rare]
	l.share(lex)
	return l
}

// sized gives the layer with all its rows, to be filled in: columns that grow
// are dearer, above all while memory is being collected.
func (l *Layer) sized(visits, events, rares int) *Layer {
	l.ID, l.Visitor, l.Flags, l.FirstEvent = l.ID[:visits], l.Visitor[:visits], l.Flags[:visits], l.FirstEvent[:visits+1]
	l.Start, l.Last, l.LastEvent = l.Start[:visits], l.Last[:visits], l.LastEvent[:visits]
	for _, c := range []*[]uint32{&l.Views, &l.Customs, &l.Entry, &l.Exit, &l.EntryHost, &l.ExitHost, &l.Agent, &l.Place, &l.Acquisition, &l.Language, &l.Screen} {
		*c = (*c)[:visits]
	}
	l.At, l.Kind = make([]int64, events), make([]uint8, events)
	l.Page, l.Host, l.Rare = make([]uint32, events), make([]uint32, events), make([]uint32, events)
	l.Rares = make([]Rare, rares)
	return l
}

// putVisit makes visit i of s row v; t numbers the texts of s.
func (l *Layer) putVisit(v int, s *column.Sealed, i int, t []uint32) {
	x := s.Sum(i)
	l.ID[v], l.Visitor[v] = column.MakeVisitID(s.Day, s.Number[i]), s.Visitor[i]
	l.Start[v], l.Last[v], l.LastEvent[v] = x.Start, x.Last, x.LastEvent
	l.Views[v], l.Customs[v], l.Flags[v] = x.Views, x.Customs, x.Flags
	if s.Named[i] != 0 {
		l.Flags[v] |= column.Named
	}
	if x.Entry >= 0 {
		l.Entry[v], l.Exit[v] = t[s.Page[x.Entry]], t[s.Page[x.Exit]]
		l.EntryHost[v], l.ExitHost[v] = t[s.Host[x.Entry]], t[s.Host[x.Exit]]
	}
	l.Agent[v], l.Place[v], l.Acquisition[v] = t[s.Agent[i]], t[s.Place[i]], t[s.Acquisition[i]]
	l.Language[v], l.Screen[v] = t[s.Language[i]], t[s.Screen[i]]
}

// putEvents puts the events of visit i of s into the rows from at on, what is
// rare of them into those from rare on, and gives the rows behind.
func (l *Layer) putEvents(at, rare int, s *column.Sealed, i int, t []uint32) (int, int) {
	from, to := int(s.First[i]), int(s.First[i+1])
	copy(l.At[at:], s.At[from:to])
	copy(l.Kind[at:], s.Kind[from:to])
	for e := from; e < to; e++ {
		l.Page[at], l.Host[at] = t[s.Page[e]], t[s.Host[e]]
		if s.Rare[e] != 0 {
			r := &s.Rares[s.Rare[e]-1]
			l.Rares[rare] = Rare{t[r.Name], t[r.Props], t[r.Revenue], r.Engaged, r.Scroll}
			rare++
			l.Rare[at] = uint32(rare)
		}
		at++
	}
	return at, rare
}

// bucketsMin is how many visits are worth being dealt into buckets.
const bucketsMin = 64

// sortVisits gives the visits in order, by visitor first. Visitors are hashes: dealt by their upper
// bits into as many buckets as there are visits, nearly nothing is left to sort.
func sortVisits(order []sealedVisit, compare func(x, y sealedVisit) int) []sealedVisit {
	bits := 0
	for 1<<bits < len(order) {
		bits++
	}
	if len(order) < bucketsMin {
		slices.SortFunc(order, compare)
		return order
	}
	ends := make([]int32, 1<<bits+1)
	for i := range order {
		ends[order[i].visitor>>(64-bits)+1]++
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}
	dealt := make([]sealedVisit, len(order))
	next := slices.Clone(ends)
	for i := range order {
		b := order[i].visitor >> (64 - bits)
		dealt[next[b]] = order[i]
		next[b]++
	}
	for b := range 1 << bits {
		if part := dealt[ends[b]:ends[b+1]]; len(part) > 1 {
			slices.SortFunc(part, compare)
		}
	}
	return dealt
}
