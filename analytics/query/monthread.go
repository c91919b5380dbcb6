package query

import (
	"context"
	"encoding/binary"
	"math/bits"

	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/site"
)

// Read gives the months since the first event, or since the first month that was
// closed if that is earlier, newest first, all from one state of the site. They
// are those of Status, with their seals.
//
// What one month says is remembered for as long as nothing that it depends on
// changes: its figures, its best pages and sources, and which pages were viewed in
// it, as a set of numbers of the lexicon. So a request costs what changed since
// the one before, and new pages are the union of a few bitmaps.
//
// Days that the retention setting took away are gone from the figures. A month
// that was closed before keeps those of its seal.
func (m Months) Read(ctx context.Context, p *Picture) ([]MonthStatus, error) {
	seals := p.View.Seals
	birth := m.End.AddMonths(1)
	if p.View.First != 0 {
		birth = calendar.DateOf(p.View.First, m.Zone).MonthStart()
	}
	if len(seals) > 0 {
		if first := monthStart(seals[0].Month); first.Before(birth) {
			birth = first
		}
	}
	oldest, n := m.shown(birth)
	if n == 0 {
		return nil, nil
	}
	src := &pictured{ctx: ctx, m: m, p: p}
	for month := birth; month.Before(oldest); month = month.AddMonths(1) {
		viewed, err := src.pages(calendar.MonthPeriod(month, 1, m.Zone))
		if err != nil {
			return nil, err
		}
		src.seen.add(viewed.all)
	}
	out, err := m.status(src, oldest, birth, n)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := src.close(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pictured is what one state of a site says, as far as possible out of memory.
type pictured struct {
	ctx  context.Context
	m    Months
	p    *Picture
	seen pageSet // pages viewed in an earlier month
}

// whole asks for a month as it stands in a series: a visit that goes on counts in
// the next month, of which the question therefore has the first millisecond.
func (s *pictured) whole(month calendar.Period) (monthFigures, error) {
	seal, err := s.instead(month)
	if err != nil || seal != nil {
		return monthFigures{values: seal.figures()}, err
	}
	buckets := calendar.MonthPeriod(month.First.AddMonths(-1), 3, s.m.Zone)
	b := calendar.Buckets(buckets.From, buckets.To, calendar.Month, s.m.Zone)[1]
	return remembered(s, 'f', b.From, b.To, func() (monthFigures, int, error) {
		a, err := s.p.Ask(s.ctx, s.m.question(b.From, b.To+1, MonthMetrics(), TimeMonth))
		if err != nil || len(a.Rows) == 0 || a.Rows[0].Dims[0] != b.Label {
			return monthFigures{}, 0, err
		}
		return monthFigures{a.Rows[0].Values, a.Warnings}, 48 * len(a.Rows[0].Values), nil
	})
}

func (s *pictured) part(p calendar.Period) ([]Value, error) {
	if s.shortened(p.From) {
		return nil, nil
	}
	a, err := s.p.Ask(s.ctx, s.m.question(p.From, p.To, MonthMetrics()))
	if err != nil || len(a.Rows) == 0 {
		return noFigures(), err
	}
	return a.Rows[0].Values, nil
}

func (s *pictured) lists(out *MonthStatus, month calendar.Period) error {
	pages, err := s.pages(month)
	if err != nil {
		return err
	}
	out.BestPages, out.NewPages = pages.best, s.seen.add(pages.all)
	out.BestSources, err = remembered(s, 's', month.From, month.To, func() ([]BestSource, int, error) {
		a, err := s.p.Ask(s.ctx, s.m.sourcesQuestion(month))
		if err != nil {
			return nil, 0, err
		}
		return bestSources(a), 96 * len(a.Rows), nil
	})
	return err
}

// monthPages is which pages were viewed in a month.
type monthPages struct {
	best []BestPage
	all  pageSet
}

func (s *pictured) pages(month calendar.Period) (monthPages, error) {
	return remembered(s, 'p', month.From, month.To, func() (monthPages, int, error) {
		q := s.m.pagesQuestion(month)
		q.Limit = bestMax
		ev, err := s.p.evaluate(s.ctx, q)
		if err != nil {
			return monthPages{}, 0, err
		}
		out := monthPages{best: bestPages(ev.answer())}
		for g, k := range ev.total.keys {
			if ev.total.get(g, nPageviews) > 0 {
				out.all.put(k.event)
			}
		}
		return out, 96*len(out.best) + 8*len(out.all), nil
	})
}

// asOf is what was worked out of a version of a span of time.
type asOf[T any] struct {
	version uint64
	v       T
}

// remembered gives what make gives for [from, to), Unix ms, or gave before when
// the picture's view was the same there. make says how many bytes it takes.
func remembered[T any](s *pictured, kind byte, from, to int64, make func() (T, int, error)) (T, error) {
	k := append([]byte("month:"), kind, 0)
	if s.m.Lasting {
		k[len(k)-1] = 1
	}
	k = binary.BigEndian.AppendUint64(k, uint64(from))
	key := string(binary.BigEndian.AppendUint64(k, uint64(to)))
	version := s.p.View.Version(from, to)
	if v, ok := s.p.Days.Recall(key); ok {
		if was := v.(*asOf[T]); was.version == version {
			return was.v, nil
		}
	}
	v, bytes, err := make()
	if err == nil {
		s.p.Days.Remember(key, &asOf[T]{version, v}, 128+bytes)
	}
	return v, err
}

// shortened tells whether days from a time on, or visits over it, may have been
// taken away by the retention setting.
func (s *pictured) shortened(from int64) bool {
	return s.p.View.Kept > 0 && from <= int64(s.p.View.Kept)*column.DayMS
}

func monthStart(month int32) calendar.Date {
	d, _ := calendar.ParseDate(site.MonthLabel(month) + "-01")
	return d
}

// pageSet is a set of numbers of a lexicon.
type pageSet []uint64

func (p *pageSet) put(id uint32) {
	if n := int(id>>6) + 1; n > len(*p) {
		*p = append(*p, make([]uint64, n-len(*p))...)
	}
	(*p)[id>>6] |= 1 << (id & 63)
}

// add adds what is in o and tells how many of it were new.
func (p *pageSet) add(o pageSet) (added int) {
	if len(o) > len(*p) {
		*p = append(*p, make([]uint64, len(o)-len(*p))...)
	}
	for i, w := range o {
		added += bits.OnesCount64(w &^ (*p)[i])
		(*p)[i] |= w
	}
	return added
}
