// Package analytics is the vocabulary of Footfall: sites, events, verdicts,
// limits and error codes. It is pure: no I/O, no clock, no goroutine; time,
// randomness and salts are arguments. Start at Event.
package analytics

import "slices"

// SiteID is the server-made number of a site. It never changes and is never
// reused; the domain may change. Zero is no site.
type SiteID uint64

// Kind says what an event is. The numbers are stored; new ones go at the end.
type Kind uint8

const (
	// Pageview is an event named "pageview".
	Pageview Kind = iota
	// Custom is any other named event.
	Custom
	// Engagement reports engaged time and scroll depth of a page. It prolongs a
	// visit and is never counted as an event.
	Engagement
)

// Names of the two system events.
const (
	NamePageview   = "pageview"
	NameEngagement = "engagement"
)

// Agent is what a user agent tells, a visit attribute. Empty means not known.
type Agent struct {
	Browser, BrowserVersion string // "Chrome", "126.0"
	OS, OSVersion           string // "Mac", "10.15"
	Device                  string // "Desktop", "Mobile", "Tablet"
}

// Place is where a visitor is. Empty means not known.
type Place struct {
	Country string // ISO 3166-1 alpha-2
	Region  string // ISO 3166-2
	City    string // GeoNames id or the database's city name
}

// Acquisition is how a visit came about. Empty Source means direct.
type Acquisition struct {
	Source                                     string // display name, "Google"
	Referrer                                   string // host and path without scheme and "www."
	Channel                                    string // "Organic Search", "Direct", …
	Medium, UTMSource, Campaign, Content, Term string
	ClickID                                    string // name of the click-id parameter seen, "gclid"
}

// Prop is one custom property.
type Prop struct{ Key, Value string }

// Revenue is money of an event. Amount is in millionths of the currency unit,
// exact; Currency is ISO 4217. The zero value is no revenue.
type Revenue struct {
	Amount   int64
	Currency string
}

// Event is one enriched event of one site, ready to be counted. Nothing in it
// reveals an address. Strings are owned by the caller; the log encoding copies
// them.
type Event struct {
	Kind     Kind
	Explicit bool   // Time was given by a trusted client, so its id is remembered with its day for ever
	Time     int64  // Unix milliseconds, UTC
	ID       uint64 // keyed hash of the event id, scoped to the site; 0 is never used
	Visitor  uint64 // visitor id with the salt in force
	Previous uint64 // visitor id with the salt before it; 0 if there is none
	Name     string // event name, at most NameBytesMax
	Page     string // path, starts with "/"
	Host     string // host without "www."; "(none)" when unknown

	Named          bool   // Visitor is of someone to whom the merchant gave a name, and lasts
	NonInteractive bool   // a custom event that does not end a bounce
	ScrollDepth    uint8  // percent 0…100, ScrollNone if missing; engagement only
	EngagedMS      uint32 // milliseconds visible and focused; engagement only

	Props   []Prop
	Revenue Revenue

	// Visit attributes; only those of a visit's first event count.
	Agent       Agent
	Place       Place
	Acquisition Acquisition
	Language    string // primary tag, "en", "pt-BR"
	Screen      string // "XS" "SM" "MD" "LG" "XL" or ""
}

// ScrollNone marks a missing scroll depth.
const ScrollNone = 255

// Reason says why an event was not counted. The texts are stable: they appear
// in the API, in metrics and in the header x-footfall-dropped.
type Reason string

const (
	Counted          Reason = ""
	DropDuplicate    Reason = "duplicate"        // its id was seen: answered 202, not counted again
	DropBot          Reason = "bot"              // by user agent
	DropSpam         Reason = "spam_referrer"    // by referrer
	DropUnknownSite  Reason = "unknown_site"     // no such domain
	DropDatacenter   Reason = "dc_ip"            // by the edge's classification
	DropHostname     Reason = "hostname_blocked" // not on the site's allow-list
	DropPage         Reason = "page_blocked"
	DropIP           Reason = "ip_blocked"
	DropCountry      Reason = "country_blocked"
	DropInvalid      Reason = "invalid"
	DropNoVisit      Reason = "no_visit" // engagement without a live visit
	DropVerification Reason = "verification_agent"
	DropRateLimited  Reason = "rate_limited"
	DropTooOld       Reason = "too_old" // Time is before TimeMin or too far in the future
)

// Undecided stands for an event of a site that cannot be counted now. It is an
// answer to the router only: it never reaches the log, the API or a header.
const Undecided Reason = "undecided"

// Reasons lists every reason a drop can have, in a fixed order; its index is
// the number used in the log. New ones go at the end.
var Reasons = []Reason{Counted, DropDuplicate, DropBot, DropSpam, DropUnknownSite, DropDatacenter, DropHostname,
	DropPage, DropIP, DropCountry, DropInvalid, DropNoVisit, DropVerification, DropRateLimited, DropTooOld}

// Number gives the reason's number in the log; an unknown one is Counted's.
func (r Reason) Number() int { return max(0, slices.Index(Reasons, r)) }

// Token names a position in a shard's log. A question that carries it is
// answered from a state that includes everything up to it. Its text form is
// "shard-index", made by String and read by ParseToken.
type Token struct {
	Shard uint16
	Index uint64
}

// Receipt tells what became of an event.
type Receipt struct {
	Reason Reason // Counted, DropDuplicate or DropNoVisit
	Token  Token
}
