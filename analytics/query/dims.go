package query

import (
	"strings"

	"footfall/analytics/entry"
	"footfall/analytics/session"
)

// scope says what a dimension selects: events or whole visits.
type scope uint8

const (
	eventScope scope = iota
	visitScope
	timeScope
	goalScope
)

// dim tells where the value of a dimension stands in the columns.
type dim struct {
	scope   scope
	missing string                           // what a row without a value reads
	always  bool                             // missing is a value like any other
	field   int                              // of a tuple; -1: the whole text
	key     string                           // of a property
	event   func(*session.Layer) []uint32    // nil where few events have a value
	rare    func(*session.Layer, int) uint32 // of an event, then
	visit   func(*session.Layer) []uint32
	named   func(value string) string // what a value is shown and tested as; nil: itself
}

const (
	notSet = "(not set)"
	none   = "(none)"
	direct = "Direct / None"
)

func agentOf(v *session.Layer) []uint32       { return v.Agent }
func placeOf(v *session.Layer) []uint32       { return v.Place }
func acquisitionOf(v *session.Layer) []uint32 { return v.Acquisition }

func visitDim(col func(*session.Layer) []uint32, field int, missing string) dim {
	return dim{scope: visitScope, visit: col, field: field, missing: missing}
}

func eventDim(col func(*session.Layer) []uint32, missing string) dim {
	return dim{scope: eventScope, event: col, field: -1, missing: missing}
}

// define finds a dimension by its name; false if there is none such.
func define(d Dimension) (dim, bool) {
	switch d {
	case TimeMinute, TimeHour, TimeDay, TimeWeek, TimeMonth:
		return dim{scope: timeScope}, true
	case EventGoal:
		return dim{scope: goalScope}, true
	case EventName:
		return dim{scope: eventScope, field: -1, missing: "pageview", always: true, rare: (*session.Layer).Name}, true
	case EventPage:
		return eventDim(func(e *session.Layer) []uint32 { return e.Page }, notSet), true
	case EventHostname:
		return eventDim(func(e *session.Layer) []uint32 { return e.Host }, notSet), true
	case EntryPage:
		return visitDim(func(v *session.Layer) []uint32 { return v.Entry }, -1, notSet), true
	case ExitPage:
		return visitDim(func(v *session.Layer) []uint32 { return v.Exit }, -1, notSet), true
	case EntryPageHostname:
		return visitDim(func(v *session.Layer) []uint32 { return v.EntryHost }, -1, notSet), true
	case ExitPageHostname:
		return visitDim(func(v *session.Layer) []uint32 { return v.ExitHost }, -1, notSet), true
	case Browser:
		return visitDim(agentOf, 0, notSet), true
	case BrowserVersion:
		return visitDim(agentOf, 1, notSet), true
	case OS:
		return visitDim(agentOf, 2, notSet), true
	case OSVersion:
		return visitDim(agentOf, 3, notSet), true
	case Device, Screen:
		return visitDim(agentOf, 4, notSet), true
	case Country:
		return visitDim(placeOf, 0, notSet), true
	case CountryName:
		d := visitDim(placeOf, 0, notSet)
		d.named = countryName
		return d, true
	case Region, RegionName:
		return visitDim(placeOf, 1, notSet), true
	case City, CityName:
		return visitDim(placeOf, 2, notSet), true
	case Source:
		return visitDim(acquisitionOf, 0, direct), true
	case Referrer:
		return visitDim(acquisitionOf, 1, direct), true
	case Channel:
		return visitDim(acquisitionOf, 2, "Direct"), true
	case UTMMedium:
		return visitDim(acquisitionOf, 3, notSet), true
	case UTMSource:
		return visitDim(acquisitionOf, 4, notSet), true
	case UTMCampaign:
		return visitDim(acquisitionOf, 5, notSet), true
	case UTMContent:
		return visitDim(acquisitionOf, 6, notSet), true
	case UTMTerm:
		return visitDim(acquisitionOf, 7, notSet), true
	case Language:
		return visitDim(func(v *session.Layer) []uint32 { return v.Language }, -1, notSet), true
	case ScreenClass:
		return visitDim(func(v *session.Layer) []uint32 { return v.Screen }, -1, notSet), true
	}
	if key, ok := strings.CutPrefix(string(d), PropsPrefix); ok && key != "" {
		return dim{scope: eventScope, field: -1, missing: none, key: key, rare: (*session.Layer).Props}, true
	}
	return dim{}, false
}

// Known tells whether d names a dimension that can be asked for.
func (d Dimension) Known() bool { _, ok := define(d); return ok }

// EventScoped tells whether d selects events rather than visits.
func (d Dimension) EventScoped() bool {
	x, ok := define(d)
	return ok && x.scope == eventScope
}

// VisitScoped tells whether d selects whole visits.
func (d Dimension) VisitScoped() bool {
	x, ok := define(d)
	return ok && x.scope == visitScope
}

// Missing is what a row without a value of d reads.
func (d Dimension) Missing() string { x, _ := define(d); return x.missing }

// text gives the value that a dictionary text stands for, "" if it has none.
func (d *dim) text(s string) string {
	switch {
	case d.always && s == "":
		return d.missing
	case d.key != "":
		v, _ := entry.Lookup(s, d.key)
		return v
	case d.field >= 0:
		s = entry.Field(s, d.field)
	}
	if d.named != nil && s != "" {
		return d.named(s)
	}
	return s
}

// values numbers the values of a dimension as the lexicon does: the value of a
// text is another text. Not safe for concurrent use.
type values struct {
	dim     dim
	lex     *session.Lexicon
	missing uint32
	memo    []uint32 // value of a text, plus 1; 0 is not looked at; unused where the text is the value
}

func newValues(d dim, lex *session.Lexicon) *values {
	return &values{dim: d, lex: lex, missing: lex.ID(d.missing)}
}

// whole tells whether texts are values themselves.
func (v *values) whole() bool { return v.dim.field < 0 && v.dim.key == "" }

// upTo makes room for n texts.
func (v *values) upTo(n int) {
	if !v.whole() && len(v.memo) < n {
		v.memo = append(v.memo, make([]uint32, n-len(v.memo)+n/8)...)
	}
}

// of gives the value that text n has.
func (v *values) of(n uint32) uint32 {
	if v.whole() {
		if n == 0 {
			return v.missing
		}
		return n
	}
	if id := v.memo[n]; id != 0 {
		return id - 1
	}
	id := v.missing
	if s := v.dim.text(v.lex.Text(n)); s != "" {
		id = v.lex.ID(s)
	}
	v.memo[n] = id + 1
	return id
}
