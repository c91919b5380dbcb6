package column

import "math/bits"

// Sealed is visits that are over, filed under one UTC day, each with all of its
// events, whatever day they fall on. What can be told from the events is not
// there: see Sum. Visits come in order of number, the events of a visit in order
// of time, then arrival. Columns of texts index Dict; Dict[0] is "".
type Sealed struct {
	Day                                         int32
	Number                                      []uint32
	Visitor                                     []uint64
	Named                                       []uint8 // 1 if Visitor lasts longer than its salt
	Agent, Place, Acquisition, Language, Screen []uint32

	// First has a row more than the visits: the events of visit i are
	// [First[i], First[i+1]), at least one.
	First []uint32

	At    []int64 // Unix ms
	Kind  []uint8 // as in Events
	Page  []uint32
	Host  []uint32
	Rare  []uint32 // place in Rares plus 1; 0 for an event without anything rare
	Rares []Rare
	Dict  []string
}

// Rare is what few events have, with the meaning of the columns of Events.
type Rare struct {
	Name, Props, Revenue, Engaged uint32
	Scroll                        uint8 // analytics.ScrollNone if missing
}

// Plain is what an event without anything rare has.
var plain = Rare{Scroll: scrollNone}

const scrollNone = 255 // analytics.ScrollNone

// AddRare keeps what is rare of an event and gives its Rare.
func (s *Sealed) AddRare(r Rare) uint32 {
	if r == plain {
		return 0
	}
	s.Rares = append(s.Rares, r)
	return uint32(len(s.Rares))
}

// RareOf gives what is rare of event e.
func (s *Sealed) RareOf(e int) Rare {
	if r := s.Rare[e]; r != 0 {
		return s.Rares[r-1]
	}
	return plain
}

// Len is the number of visits.
func (s *Sealed) Len() int { return len(s.Number) }

// Bounds of what one segment can hold.
const (
	SealedVisitsMax = 1 << 20
	SealedEventsMax = 1 << 20
)

// Sum is what the events of a visit tell of it, with the meaning of the columns
// of Visits. Entry and Exit are rows of its first and last page view, -1 if there
// is none.
type Sum struct {
	Start, Last, LastEvent int64
	Views, Customs         uint32
	Flags                  uint8 // Interactive
	Entry, Exit            int
}

const (
	kindPageview   = 0 // analytics.Pageview
	kindCustom     = 1 // analytics.Custom
	kindEngagement = 2 // analytics.Engagement
)

// Start is Sum(i).Start.
func (s *Sealed) Start(i int) int64 {
	from, to := s.First[i], s.First[i+1]
	for e := from; e < to; e++ {
		if s.Kind[e]&KindMask != kindEngagement {
			return s.At[e]
		}
	}
	if from == to {
		return 0
	}
	return s.At[to-1]
}

// Sum adds up the events of visit i.
func (s *Sealed) Sum(i int) (x Sum) {
	x.Entry, x.Exit = -1, -1
	from, to := int(s.First[i]), int(s.First[i+1])
	begun := false
	for e := from; e < to; e++ {
		k := s.Kind[e]
		if k&KindMask == kindEngagement {
			continue
		}
		if !begun {
			begun, x.Start = true, s.At[e]
		}
		x.LastEvent = s.At[e]
		if k&KindMask == kindPageview {
			if x.Views == 0 {
				x.Entry = e
			}
			x.Exit = e
			x.Views++
			continue
		}
		x.Customs++
		if k&NonInteractive == 0 {
			x.Flags |= Interactive
		}
	}
	if to > from {
		x.Last = s.At[to-1]
	}
	if !begun {
		x.Start, x.LastEvent = x.Last, x.Last
	}
	return x
}

// A visitor whose salt is gone is known by number: that of their first visit of
// the day. VisitorOf gives an id for it that no other day has.
func VisitorOf(day int32, number uint32) uint64 {
	x := (uint64(uint32(day))<<32 | uint64(number)) + golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const golden = 0x9e3779b97f4a7c15

// numberOf is the inverse of VisitorOf; false for an id that it did not make.
func numberOf(day int32, id uint64) (uint32, bool) {
	x := id ^ id>>31 ^ id>>62
	x *= 0x319642b2d24d8ec3
	x = x ^ x>>27 ^ x>>54
	x *= 0x96de1b173f119089
	x = (x ^ x>>30 ^ x>>60) - golden
	return uint32(x), x>>32 == uint64(uint32(day))
}

// classOf is the class of a number in a spread.
func classOf(n int) int { return bits.Len64(uint64(n)) }

// IsNumbered tells whether VisitorOf made an id for a visitor of the day.
func IsNumbered(day int32, id uint64) bool {
	_, ok := numberOf(day, id)
	return ok
}
