// Package query holds the questions that can be asked about a site and their
// answers, and evaluates one over the columns of a site. It is pure: what it
// reads comes through the Blocks interface. Definitions of the metrics are in
// docs/reference/metrics.md. Start at Question, then Evaluate.
package query

import (
	"regexp"
	"time"

	"footfall/analytics/calendar"
)

// Metric is a figure by its API name.
type Metric string

// The metrics that can be asked for.
const (
	Visitors      Metric = "visitors"
	Visits        Metric = "visits"
	Pageviews     Metric = "pageviews"
	Events        Metric = "events"
	ViewsPerVisit Metric = "views_per_visit" // 2 decimals
	BounceRate    Metric = "bounce_rate"     // integer percent
	VisitDuration Metric = "visit_duration"  // integer seconds
	ScrollDepth   Metric = "scroll_depth"    // integer percent, null without data
	TimeOnPage    Metric = "time_on_page"    // integer seconds, null without data
	Percentage    Metric = "percentage"      // 2 decimals
	ExitRate      Metric = "exit_rate"       // 1 decimal
	Entries       Metric = "entries"
	Exits         Metric = "exits"
	TotalRevenue  Metric = "total_revenue"
	// ConversionRate: visitors of the row in percent of all visitors of the same
	// filter without its goals; GroupConversionRate: of those of the row's group
	// without goal. 2 decimals. Both need a goal in filter or dimensions.
	ConversionRate      Metric = "conversion_rate"
	GroupConversionRate Metric = "group_conversion_rate"
	AverageRevenue      Metric = "average_revenue"
)

// Dimension is something to group or filter by, by its API name, such as
// "visit:source", "event:page", "event:props:plan" or "time:day".
type Dimension string

// The dimensions, by scope. Props are PropsPrefix + key.
const (
	Time       Dimension = "time" // resolved by the door to one of the below
	TimeMinute Dimension = "time:minute"
	TimeHour   Dimension = "time:hour"
	TimeDay    Dimension = "time:day"
	TimeWeek   Dimension = "time:week"
	TimeMonth  Dimension = "time:month"

	EventName     Dimension = "event:name"
	EventPage     Dimension = "event:page"
	EventHostname Dimension = "event:hostname"
	EventGoal     Dimension = "event:goal" // rows are the names of Question.Goals
	PropsPrefix             = "event:props:"

	EntryPage         Dimension = "visit:entry_page"
	EntryPageHostname Dimension = "visit:entry_page_hostname"
	ExitPage          Dimension = "visit:exit_page"
	ExitPageHostname  Dimension = "visit:exit_page_hostname"
	Source            Dimension = "visit:source"
	Referrer          Dimension = "visit:referrer"
	Channel           Dimension = "visit:channel"
	UTMMedium         Dimension = "visit:utm_medium"
	UTMSource         Dimension = "visit:utm_source"
	UTMCampaign       Dimension = "visit:utm_campaign"
	UTMContent        Dimension = "visit:utm_content"
	UTMTerm           Dimension = "visit:utm_term"
	Device            Dimension = "visit:device"
	Screen            Dimension = "visit:screen" // old name of device in the Plausible dialect
	ScreenClass       Dimension = "visit:screen_class"
	Browser           Dimension = "visit:browser"
	BrowserVersion    Dimension = "visit:browser_version"
	OS                Dimension = "visit:os"
	OSVersion         Dimension = "visit:os_version"
	Country           Dimension = "visit:country"
	Region            Dimension = "visit:region"
	City              Dimension = "visit:city"
	CountryName       Dimension = "visit:country_name"
	RegionName        Dimension = "visit:region_name"
	CityName          Dimension = "visit:city_name"
	Language          Dimension = "visit:language"
)

// Op is what a node of a filter tree does.
type Op uint8

const (
	And Op = iota
	Or
	Not
	Is       // equal to one of Values
	Contains // contains one of Values
	Matches  // RE2, one of Patterns
	Reached  // the event reaches one of Goals
	HasDone  // the visit has an event in the range for which the one child holds
)

// Filter is a tree. Leaves (Is, Contains, Matches) test Dim; IsNot and its kin
// are written as Not around a leaf, except that KeepMissing says what a negated
// test does with a property that the event does not have.
type Filter struct {
	Op       Op
	Children []*Filter // And, Or, Not (one)
	Dim      Dimension
	Values   []string
	Patterns []*regexp.Regexp
	Goals    []*Goal
	Fold     bool // ignore case (Is, Contains)
	// Negated makes the leaf itself negative: is_not, contains_not,
	// matches_not. A missing property satisfies is_not and nothing else.
	Negated bool
}

// Order sorts the rows by a queried metric or dimension.
type Order struct {
	Metric    Metric    // set, or
	Dimension Dimension // set
	Desc      bool
}

// Question is a complete, checked question about one site: relative ranges and
// defaults are resolved by the door that made it. From and To are Unix
// milliseconds, half open.
type Question struct {
	From, To   int64
	Zone       *time.Location // of the site; never nil
	Metrics    []Metric       // at least one, unique
	Dimensions []Dimension    // unique
	Filter     *Filter        // nil: everything
	Goals      []*Goal        // what rows of EventGoal can be; an event may be in several
	// Lasting says that a visitor may have the same id on several days, so that
	// visitors are told apart over the whole range; otherwise a visitor of
	// several days counts once for each UTC day on which a visit of theirs begins,
	// unless the merchant named them.
	Lasting bool
	OrderBy []Order // empty: the default order
	Limit   int     // 0: no limit
	Offset  int
	Now     int64 // Unix ms; for what has not ended yet
	// RowsMax bounds the rows before Limit, which all have to be held; more give
	// TooLarge. 0 means RowsMaxDefault.
	RowsMax int
}

// RowsMaxDefault is the most rows that a question may have; each takes about
// half a kilobyte while it is answered.
const RowsMaxDefault = 2_000_000

// Value is one figure of a row. Null means there is nothing to compute it from.
type Value struct {
	Number   float64 // counts are whole numbers below 2^53
	Null     bool
	Currency string // total_revenue, average_revenue
}

// Row is one group. Dims and Values follow the order of the question. A time
// dimension's text is the start of its bucket: "2006-01-02", or "2006-01-02
// 15:04:05" for hours. Missing values read "(not set)", "(none)" for props and
// "Direct / None" for source and referrer.
type Row struct {
	Dims   []string
	Values []Value
}

// Answer holds the rows in order, and how far into the site's log it looked.
type Answer struct {
	Rows      []Row
	TotalRows int    // before Limit and Offset
	Index     uint64 // of the shard's log: everything up to it is included
	Warnings  map[Metric]Warning
}

// Warning says why a metric could not be given in full.
type Warning struct{ Code, Text string }

// Buckets gives the buckets of the question's time dimension, or nil if it has
// none.
func (q *Question) Buckets() []calendar.Bucket {
	for _, d := range q.Dimensions {
		if iv, ok := IntervalOf(d); ok {
			return calendar.Buckets(q.From, q.To, iv, q.Zone)
		}
	}
	return nil
}

// IntervalOf gives the interval of a time dimension; false for any other one.
func IntervalOf(d Dimension) (calendar.Interval, bool) {
	switch d {
	case TimeMinute:
		return calendar.Minute, true
	case TimeHour:
		return calendar.Hour, true
	case TimeDay:
		return calendar.Day, true
	case TimeWeek:
		return calendar.Week, true
	case TimeMonth:
		return calendar.Month, true
	}
	return 0, false
}
