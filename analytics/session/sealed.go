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
	l := newLayer(len(order))
	l.At, l.Kind = make([]int64, events), make([]uint8, events)
	l.Page, l.Host, l.Rare = make([]uint32, events), make([]uint32, events), make([]uint32, events)
	l.Rares = make([]Rare, 0, rares)
	at := 0
	for i := range order {
		o := &order[i]
		l.FirstEvent = append(l.FirstEvent, uint32(at))
		l.appendSealed(parts[o.part], int(o.row), texts[o.part])
		at = l.putSealed(at, parts[o.part], int(o.row), texts[o.part])
	}
	l.FirstEvent = append(l.FirstEvent, uint32(at))
	l.share(lex)
	return l
}

// appendSealed adds visit i of s; t numbers the texts of s.
func (l *Layer) appendSealed(s *column.Sealed, i int, t []uint32) {
	x := s.Sum(i)
	l.ID = append(l.ID, column.MakeVisitID(s.Day, s.Number[i]))
	l.Visitor = append(l.Visitor, s.Visitor[i])
	l.Start, l.Last, l.LastEvent = append(l.Start, x.Start), append(l.Last, x.Last), append(l.LastEvent, x.LastEvent)
	l.Views, l.Customs = append(l.Views, x.Views), append(l.Customs, x.Customs)
	flags := x.Flags
	if s.Named[i] != 0 {
		flags |= column.Named
	}
	l.Flags = append(l.Flags, flags)
	var entry, exit, entryHost, exitHost uint32
	if x.Entry >= 0 {
		entry, exit = t[s.Page[x.Entry]], t[s.Page[x.Exit]]
		entryHost, exitHost = t[s.Host[x.Entry]], t[s.Host[x.Exit]]
	}
	l.Entry, l.Exit = append(l.Entry, entry), append(l.Exit, exit)
	l.EntryHost, l.ExitHost = append(l.EntryHost, entryHost), append(l.ExitHost, exitHost)
	l.Agent, l.Place, l.Acquisition = append(l.Agent, t[s.Agent[i]]), append(l.Place, t[s.Place[i]]), append(l.Acquisition, t[s.Acquisition[i]])
	l.Language, l.Screen = append(l.Language, t[s.Language[i]]), append(l.Screen, t[s.Screen[i]])
}

// putSealed puts the events of visit i of s into the rows from at on, and gives
// the row behind them.
func (l *Layer) putSealed(at int, s *column.Sealed, i int, t []uint32) int {
	for e := s.First[i]; e < s.First[i+1]; e++ {
		l.At[at], l.Kind[at] = s.At[e], s.Kind[e]
		l.Page[at], l.Host[at] = t[s.Page[e]], t[s.Host[e]]
		if s.Rare[e] != 0 {
			r := &s.Rares[s.Rare[e]-1]
			l.Rares = append(l.Rares, Rare{t[r.Name], t[r.Props], t[r.Revenue], r.Engaged, r.Scroll})
			l.Rare[at] = uint32(len(l.Rares))
		}
		at++
	}
	return at
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
