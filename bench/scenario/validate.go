package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The most that a scenario may ask for, so that a typing error does not take
// the machine.
const (
	rateMax        = 10_000_000
	connectionsMax = 20_000
	sitesMax       = 1_000_000
	pagesMax       = 5_000_000
	addressesMax   = 1 << 24
	arrayMax       = 10_000
	durationMax    = 7 * 24 * time.Hour
	viewersMax     = 5_000
)

// Dialects are the ways in which a beacon can be written.
func Dialects() []string {
	return []string{"plausible", "native", "goatcounter", "vince", "umami", "matomo"}
}

// Validate checks a scenario; the error names the field.
func (s *Scenario) Validate() error {
	c := &checks{}
	c.oneOf("mode", s.Mode, Steady, Ramp, Step, Soak)
	c.oneOf("arrivals", s.Arrivals, "poisson", "even")
	c.oneOf("dialect", s.Dialect, Dialects()...)
	c.oneOf("check.pages", s.Check.Pages, "auto", "always", "never")
	switch s.Mode {
	case Ramp:
		c.number("ramp.from", s.Ramp.From, 0, rateMax)
		c.number("ramp.to", s.Ramp.To, 0, rateMax)
		c.that(s.Ramp.From+s.Ramp.To > 0, "ramp: gives no load")
		c.span("duration", s.Duration, time.Millisecond, durationMax)
	case Step:
		c.number("step.from", s.Step.From, .001, rateMax)
		c.number("step.to", s.Step.To, s.Step.From, rateMax)
		c.number("step.by", s.Step.By, .001, rateMax)
		c.span("step.every", s.Step.Every, time.Millisecond, durationMax)
		c.that(s.Duration == 0, "duration: step.every and the number of steps give it")
		if c.err == nil {
			c.that((s.Step.To-s.Step.From)/s.Step.By < 10_000, "step.by: makes more than 10,000 steps")
		}
	default:
		c.number("rate", s.Rate, .001, rateMax)
		c.span("duration", s.Duration, time.Millisecond, durationMax)
	}
	c.number("connections", float64(s.Connections), 1, connectionsMax)
	c.span("timeout", s.Timeout, time.Millisecond, 10*time.Minute)
	c.number("tries", float64(s.Tries), 1, 100)
	c.number("array", float64(s.Array), 1, arrayMax)
	c.that(s.Array == 1 || s.Dialect == "native", "array: only the native dialect has arrays")
	c.number("sites.count", float64(s.Sites.Count), 1, sitesMax)
	c.number("sites.zipf", s.Sites.Zipf, 0, 10)
	c.that(s.Sites.Count == 1 || strings.Contains(s.Sites.Domain, "{n}"), "sites.domain: must contain {n}")
	c.that(s.Sites.Domain != "" && !strings.ContainsAny(s.Sites.Domain, " \"\\/\r\n"), "sites.domain: %q is not a domain", s.Sites.Domain)
	for _, id := range s.Sites.IDs {
		c.that(id != "" && !strings.ContainsAny(id, " \"\\&\r\n"), "sites.ids: %q has characters that an id does not have", id)
	}
	c.number("pages.count", float64(s.Pages.Count), 1, pagesMax)
	c.number("pages.zipf", s.Pages.Zipf, 0, 10)
	c.number("referrers.share", s.Referrers.Share, 0, 1)
	c.that(s.Referrers.Share == 0 || len(s.Referrers.List) > 0, "referrers.list: is empty")
	for _, r := range s.Referrers.List {
		c.that(!strings.ContainsAny(r, " \"\\\r\n"), "referrers.list: %q has characters that a URL does not have", r)
	}
	c.number("agents", float64(s.Agents), 1, 1_000_000)
	c.number("addresses", float64(s.Addresses), 1, addressesMax)
	c.number("visits.bounce", s.Visits.Bounce, 0, 1)
	c.number("visits.pages", s.Visits.Pages, 2, 1000)
	c.span("visits.think", s.Visits.Think, 0, time.Hour)
	c.number("events.custom", s.Events.Custom, 0, 1)
	c.number("events.engagement", s.Events.Engagement, 0, 1)
	c.that(s.Events.Custom == 0 || len(s.Events.Names) > 0, "events.names: is empty")
	for _, n := range s.Events.Names {
		c.that(n != "" && n != "pageview" && n != "engagement" && !strings.ContainsAny(n, "\"\\&\r\n"), "events.names: %q cannot be the name of a custom event", n)
	}
	c.number("bots", s.Bots, 0, 1)
	if f := s.Flood; f != nil {
		c.number("flood.site", float64(f.Site), 0, float64(s.Sites.Count-1))
		c.number("flood.rate", f.Rate, .001, rateMax)
		c.span("flood.from", f.From, 0, durationMax)
		c.that(f.To > f.From, "flood.to: must be after flood.from")
		c.that(c.err != nil || f.To <= s.Length(), "flood.to: %v is after the end, %v", f.To, s.Length())
	}
	if v := s.Curve; v != nil {
		c.that(s.Mode == Steady || s.Mode == Soak, "curve: only the modes steady and soak follow one")
		c.span("curve.day", v.Day, 24*time.Millisecond, durationMax)
		c.that(len(v.Hours) == 0 || len(v.Hours) == 24, "curve.hours: has %d numbers, not 24", len(v.Hours))
		sum := 0.0
		for _, h := range v.Hours {
			c.number("curve.hours", h, 0, 1000)
			sum += h
		}
		c.that(len(v.Hours) == 0 || sum > 0, "curve.hours: gives no load")
		if c.err == nil {
			c.that(s.Duration/v.Day < 1000, "curve.day: makes more than 1,000 days")
		}
	}
	c.number("queries.dashboard", s.Queries.Dashboard, 0, rateMax)
	c.number("queries.api", s.Queries.API, 0, rateMax)
	c.number("queries.viewers", float64(s.Queries.Viewers), 0, viewersMax)
	c.number("queries.connections", float64(s.Queries.Connections), 1, connectionsMax)
	c.span("check.wait", s.Check.Wait, 0, time.Hour)
	return c.err
}

// checks keeps the first thing that is wrong.
type checks struct{ err error }

func (c *checks) that(ok bool, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checks) number(field string, v, from, to float64) {
	c.that(v >= from && v <= to, "%s: %v is not from %v to %v", field, v, from, to)
}

func (c *checks) span(field string, v, from, to time.Duration) {
	c.that(v >= from && v <= to, "%s: %v is not from %v to %v", field, v, from, to)
}

func (c *checks) oneOf(field, v string, known ...string) {
	c.that(slices.Contains(known, v), "%s: %q is not one of %s", field, v, strings.Join(known, ", "))
}
