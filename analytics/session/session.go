// Package session holds the visits that begin in one UTC day in the form that
// questions read: each visit with all its events, whatever day they fall on,
// sorted by visitor, texts as numbers of one lexicon per site. It is made from
// the columns of package column and can be thrown away at any time; it must never
// be the only place of anything. Pure. Start at Day, then Build.
package session

import (
	"footfall/analytics"
	"footfall/analytics/column"
)

// Day is the visits that begin in a UTC day. Immutable; safe for concurrent use.
// A visit is in one layer only, unless Hidden in all others. Layers are there so
// that a day that still counts need not be sorted anew for every view.
type Day struct {
	Day     int32
	Layers  []*Layer
	Lexicon *Lexicon
	First   int64 // earliest event, Unix ms; 0 without visits
	Last    int64 // latest activity, engagement included, Unix ms
	Visits  int   // that are not hidden
	Events  int   // of all layers, hidden ones included
}

// Layer is visits in order of Visitor, Start, ID, and their events in order of
// visit, time, arrival. Columns of one kind have one length. Columns of texts
// are numbers of the site's Lexicon; 0 is the empty text. Columns may share
// memory: they are read only.
type Layer struct {
	ID        []column.VisitID
	Visitor   []uint64
	Start     []int64 // Unix ms of the first event
	Last      []int64 // Unix ms of the last activity, engagement included
	LastEvent []int64 // Unix ms of the last event that is not an engagement
	Views     []uint32
	Customs   []uint32
	Flags     []uint8 // column.Interactive, column.Named

	Entry, Exit, EntryHost, ExitHost []uint32
	Agent, Place, Acquisition        []uint32 // tuples, see entry.Field
	Language, Screen                 []uint32

	// FirstEvent has a row more than the visits: the events of visit i are
	// [FirstEvent[i], FirstEvent[i+1]).
	FirstEvent []uint32

	At   []int64 // Unix ms
	Kind []uint8 // analytics.Kind and column.NonInteractive
	Page []uint32
	Host []uint32
	Rare []uint32 // place in Rares plus 1; 0 for a plain page view

	Rares []Rare

	// Hidden has a bit for each visit that a later layer has anew; nil: none.
	Hidden []uint64
}

// Rare is what few events have. Texts are numbers of the Lexicon.
type Rare struct {
	Name, Props, Revenue uint32
	Engaged              uint32 // ms
	Scroll               uint8
}

// plain is what an event without anything rare has.
var plain = Rare{Scroll: analytics.ScrollNone}

func (l *Layer) rare(e int) *Rare {
	if r := l.Rare[e]; r != 0 {
		return &l.Rares[r-1]
	}
	return &plain
}

// RareOf gives what is rare of event e.
func (l *Layer) RareOf(e int) Rare { return *l.rare(e) }

// AppendEvent adds an event to a layer in the making.
func (l *Layer) AppendEvent(at int64, kind uint8, page, host uint32, r Rare) {
	l.At, l.Kind = append(l.At, at), append(l.Kind, kind)
	l.Page, l.Host = append(l.Page, page), append(l.Host, host)
	l.Rare = append(l.Rare, l.addRare(r))
}

// Name is the name of custom event e, 0 for others.
func (l *Layer) Name(e int) uint32 { return l.rare(e).Name }

// Props is the properties of event e, see entry.Lookup; 0 without.
func (l *Layer) Props(e int) uint32 { return l.rare(e).Props }

// Revenue is the revenue of event e, see entry.Money; 0 without.
func (l *Layer) Revenue(e int) uint32 { return l.rare(e).Revenue }

// Scroll is the depth that engagement e tells, analytics.ScrollNone if none.
func (l *Layer) Scroll(e int) uint8 { return l.rare(e).Scroll }

// Engaged is the time that engagement e tells, ms.
func (l *Layer) Engaged(e int) uint32 { return l.rare(e).Engaged }

// Len is the number of visits, hidden ones included.
func (l *Layer) Len() int { return len(l.ID) }

// Hides tells whether visit i is to be passed over.
func (l *Layer) Hides(i int) bool {
	return l.Hidden != nil && l.Hidden[i>>6]&(1<<(i&63)) != 0
}

// Begins gives the time of the first activity of visit i, Unix ms: an engagement
// can come before the first event.
func (l *Layer) Begins(i int) int64 {
	if f := l.FirstEvent[i]; f < l.FirstEvent[i+1] {
		return min(l.Start[i], l.At[f])
	}
	return l.Start[i]
}

// Bounced tells whether visit i has fewer than two page views and no
// interactive custom event.
func (l *Layer) Bounced(i int) bool { return l.Views[i] < 2 && l.Flags[i]&column.Interactive == 0 }

// Runs calls fn with runs of visits [from, to) of one layer, in order of visitor
// over all layers; visits of one visitor are never apart, but may come in several
// runs. Hidden visits are inside runs: ask Hides.
func (d *Day) Runs(fn func(l *Layer, from, to int) error) error {
	switch len(d.Layers) {
	case 0:
		return nil
	case 1:
		return fn(d.Layers[0], 0, d.Layers[0].Len())
	}
	at := make([]int, len(d.Layers))
	for {
		// The layer whose next visitor is least goes on as far as the others allow.
		best := -1
		var visitor, limit uint64
		limited := false
		for k, l := range d.Layers {
			if at[k] == l.Len() {
				continue
			}
			u := l.Visitor[at[k]]
			switch {
			case best < 0:
				best, visitor = k, u
			case u < visitor:
				if !limited || visitor < limit {
					limit, limited = visitor, true
				}
				best, visitor = k, u
			case !limited || u < limit:
				limit, limited = u, true
			}
		}
		if best < 0 {
			return nil
		}
		l := d.Layers[best]
		end := l.Len()
		if limited {
			end = at[best]
			for end < l.Len() && l.Visitor[end] <= limit {
				// Galloping is not worth it: layers above the first are small, and the
				// first one's rows are read next anyway.
				if l.Visitor[end] == limit && limit != visitor {
					break
				}
				end++
			}
		}
		if err := fn(l, at[best], end); err != nil {
			return err
		}
		at[best] = end
	}
}
