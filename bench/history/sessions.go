package history

import "footfall/analytics"

// Sessions numbers visits by the rule of the product, for engines that know no
// visits: an event joins its visitor's last visit when that one's last activity
// is less than analytics.VisitGapMS ago. It expects events in the order of time.
// Not safe for concurrent use. The zero value is ready.
type Sessions struct {
	open  map[uint64]*running
	next  uint64
	swept int64
}

type running struct {
	visit Visit
	last  int64
}

// Visit is what an event belongs to.
type Visit struct {
	Number  uint64          // from 1
	Visitor uint64          // whom it is counted for
	First   analytics.Event // its first event, whose attributes are the visit's
}

// sweepEvery is how often visits that are over are forgotten.
const sweepEvery = 2 * 60 * 60 * 1000

// Of gives the visit that ev belongs to, valid until the next call; nil for an
// engagement without a visit, which counts nowhere.
func (s *Sessions) Of(ev *analytics.Event) *Visit {
	if s.open == nil {
		s.open = map[uint64]*running{}
	}
	if ev.Time-s.swept > sweepEvery {
		s.swept = ev.Time
		for id, r := range s.open {
			if ev.Time-r.last >= analytics.VisitGapMS {
				delete(s.open, id)
			}
		}
	}
	for _, id := range [2]uint64{ev.Visitor, ev.Previous} {
		if r, ok := s.open[id]; ok && id != 0 && ev.Time-r.last < analytics.VisitGapMS {
			r.last = ev.Time
			return &r.visit
		}
	}
	if ev.Kind == analytics.Engagement {
		return nil
	}
	s.next++
	r := &running{Visit{s.next, ev.Visitor, *ev}, ev.Time}
	s.open[ev.Visitor] = r
	return &r.visit
}
