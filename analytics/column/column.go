// Package column holds the events and visits of a site and UTC day as columns:
// the form that questions read, live and frozen alike. Texts are numbers of a
// dictionary. Pure; a segment is immutable once it is shared. Start at Events
// and Visits; codec.go draws their bytes.
package column

// DayMS is the length of a UTC day.
const DayMS = 24 * 60 * 60 * 1000

// DayOf gives the UTC day number of a time in Unix ms.
func DayOf(ms int64) int32 {
	d := ms / DayMS
	if ms%DayMS < 0 {
		d--
	}
	return int32(d)
}

// VisitID names a visit for as long as its site exists: the UTC day of the
// event that began it, and a number within that day.
type VisitID uint64

// MakeVisitID joins day and number.
func MakeVisitID(day int32, number uint32) VisitID {
	return VisitID(uint64(uint32(day))<<32 | uint64(number))
}

// Day gives the day under which the visit is filed.
func (v VisitID) Day() int32 { return int32(uint32(v >> 32)) }

// Number gives the visit's number within its day.
func (v VisitID) Number() uint32 { return uint32(v) }

// Bits of Events.Kind above the two of analytics.Kind.
const (
	KindMask       = 3
	NonInteractive = 1 << 2
)

// Events are the events of one UTC day, in order of arrival. All slices have
// the same length. Columns of texts index Dict; Dict[0] is "".
type Events struct {
	Day     int32
	At      []uint32 // ms within the day
	Visit   []uint32 // number of the visit
	Back    []uint8  // days from the visit's day to the event's, signed, see BackTo
	Kind    []uint8
	Name    []uint32 // custom events; 0 for the system ones
	Page    []uint32
	Host    []uint32
	Props   []uint32 // run of key and value texts, see entry.Lookup
	Revenue []uint32 // see entry.Money
	Scroll  []uint8  // analytics.ScrollNone if missing
	Engaged []uint32 // ms
	Dict    []string
}

// Len is the number of events.
func (e *Events) Len() int { return len(e.At) }

// VisitID names the visit of event i.
func (e *Events) VisitID(i int) VisitID {
	return MakeVisitID(e.Day-int32(int8(e.Back[i])), e.Visit[i])
}

// Reaches tells whether an event of a day can belong to a visit: their days are
// less than 128 apart. A late event can be of an earlier day than its visit.
func Reaches(day int32, v VisitID) bool {
	d := day - v.Day()
	return d > -128 && d < 128
}

// BackTo gives what Events.Back holds for an event of a day.
func BackTo(day int32, v VisitID) uint8 { return uint8(int8(day - v.Day())) }

// Time gives the Unix ms of event i.
func (e *Events) Time(i int) int64 { return int64(e.Day)*DayMS + int64(e.At[i]) }

// Bits of Visits.Flags.
const (
	Interactive = 1 << 0 // has an interactive custom event
	Dead        = 1 << 1 // merged into another visit, counts nothing
	Named       = 1 << 2 // the visitor id lasts longer than its salt
)

// Visits are visits filed under one UTC day. All slices have the same length.
type Visits struct {
	Day                              int32
	Number                           []uint32
	Visitor                          []uint64
	Start, Last                      []int64 // Unix ms of first and last activity
	EntryAt, ExitAt                  []int64 // of first and last page view; meaningless if Views is 0
	Views, Customs                   []uint32
	Flags                            []uint8
	Entry, Exit, EntryHost, ExitHost []uint32
	Agent, Place, Acquisition        []uint32 // tuples, see entry.Field
	Language, Screen                 []uint32
	LastEvent                        []int64 // Unix ms of the last event that is not an engagement
	Dict                             []string
}

// NewVisits makes room for n visits of a day, in few allocations.
func NewVisits(day int32, n int, dict []string) *Visits {
	longs := make([]int64, 5*n)
	ints := make([]uint32, 12*n)
	long := func() []int64 { s := longs[:0:n]; longs = longs[n:]; return s }
	short := func() []uint32 { s := ints[:0:n]; ints = ints[n:]; return s }
	return &Visits{Day: day, Dict: dict, Visitor: make([]uint64, 0, n), Flags: make([]uint8, 0, n),
		Start: long(), Last: long(), EntryAt: long(), ExitAt: long(), LastEvent: long(),
		Number: short(), Views: short(), Customs: short(), Entry: short(), Exit: short(), EntryHost: short(), ExitHost: short(),
		Agent: short(), Place: short(), Acquisition: short(), Language: short(), Screen: short()}
}

// Len is the number of visits.
func (v *Visits) Len() int { return len(v.Number) }

// Bounced tells whether visit i has fewer than two page views and no
// interactive custom event.
func (v *Visits) Bounced(i int) bool { return v.Views[i] < 2 && v.Flags[i]&Interactive == 0 }

// Counts tells whether visit i has any event to be counted by.
func (v *Visits) Counts(i int) bool { return v.Flags[i]&Dead == 0 && v.Views[i]+v.Customs[i] > 0 }
