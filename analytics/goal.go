package analytics

// GoalKind says what reaches a goal.
type GoalKind string

const (
	GoalEvent  GoalKind = "event"  // a custom event of a name
	GoalPage   GoalKind = "page"   // a page view whose path matches a glob
	GoalScroll GoalKind = "scroll" // scrolling so far down a page whose path matches a glob
)

// Goal is something that a merchant wants visitors to do. A Goal is immutable
// once published. Event is set for GoalEvent, Page for the others.
type Goal struct {
	ID       uint64 // unique on the whole installation, never reused
	Site     SiteID
	Kind     GoalKind
	Name     string // as shown, unique within the site; filters and rows use it
	Event    string
	Page     string // glob: "*" is any text without a slash, "**" any text
	Scroll   uint8  // percent, 1…100; GoalScroll only
	Props    []Prop // conditions, all of which an event must meet; at most GoalPropsMax
	Currency string // ISO 4217 of its revenue; "" if it has none
}

// Segment is a saved filter of a site. A Segment is immutable once published.
type Segment struct {
	ID       uint64 // unique on the whole installation, never reused
	Site     SiteID
	Name     string
	Personal bool   // belongs to Owner alone; else to everybody who reads the site
	Owner    uint64 // user who made it; 0 for a key
	Data     string // JSON {"filters": […], "labels": {…}} in the form of the Stats API
	Updated  int64  // Unix ms
}

// Bounds of what a site may define.
const (
	GoalsMax            = 1000
	GoalPropsMax        = 3
	SegmentsMax         = 500
	SegmentBytesMax     = 5 << 10
	PropertiesMax       = 300
	SharedLinksMax      = 100
	DisplayNameBytesMax = 255
)

// Uniques says for how long the same visitor has the same id on a site, for
// visitors to whom the merchant gave no name of their own.
type Uniques string

const (
	UniquesDaily   Uniques = "daily" // the default, also when empty
	UniquesWeekly  Uniques = "weekly"
	UniquesMonthly Uniques = "monthly"
)
