package inspect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"footfall/analytics"
)

// Event is an event as it is shown. Its texts are cut at 500 bytes.
type Event struct {
	ID       string    `json:"id"` // unique among the events of a site
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"` // pageview, event or engagement
	Name     string    `json:"name"`
	Page     string    `json:"page"`
	Host     string    `json:"host"`
	Referrer string    `json:"referrer"`
	Source   string    `json:"source"`
	Country  string    `json:"country"`
	Region   string    `json:"region"`
	City     string    `json:"city"`
	Browser  string    `json:"browser"`
	OS       string    `json:"os"`
	Device   string    `json:"device"`
	Screen   string    `json:"screen"`
	Language string    `json:"language"`
	Verdict  string    `json:"verdict"` // as VerdictOf gives it
	Rule     string    `json:"rule"`    // what spoke against it
	Edge     string    `json:"edge"`    // name of the node that took it
}

// Counted is the verdict of an event that counts. The others are the texts of
// analytics.Reasons.
const Counted = "counted"

// VerdictOf gives the verdict that a reason is.
func VerdictOf(r analytics.Reason) string {
	if r == analytics.Counted {
		return Counted
	}
	return string(r)
}

// ParseVerdict reads a verdict.
func ParseVerdict(text string) (analytics.Reason, bool) {
	if text == Counted {
		return analytics.Counted, true
	}
	r := analytics.Reason(text)
	return r, text != "" && slices.Contains(analytics.Reasons, r)
}

func kindWord(k analytics.Kind) string {
	switch k {
	case analytics.Pageview:
		return "pageview"
	case analytics.Engagement:
		return "engagement"
	}
	return "event"
}

// Ask is what is wanted of a site: the newest Limit events. The zero Verdict wants
// all of them, else it is one of the verdicts.
type Ask struct {
	Limit   int    `json:"limit"`
	Verdict string `json:"verdict,omitempty"`
}

// Wants tells whether events of a verdict are wanted.
func (a Ask) Wants(r analytics.Reason) bool { return a.Verdict == "" || a.Verdict == VerdictOf(r) }

// Part is what one node has of a site: the newest events that were asked for,
// oldest first. It crosses between nodes as JSON.
type Part struct {
	Edge   string    `json:"edge"`
	Since  time.Time `json:"since"` // from when on events were remembered
	Events []Event   `json:"events"`
}

// Merge gives the newest events of all parts, newest first, at most limit of
// them, and the time since which all parts have remembered events.
func Merge(parts []Part, limit int) (events []Event, since time.Time) {
	for _, p := range parts {
		if p.Since.After(since) {
			since = p.Since
		}
		for _, e := range slices.Backward(p.Events) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.Edge, b.Edge))
	})
	return events[:min(len(events), limit)], since
}
