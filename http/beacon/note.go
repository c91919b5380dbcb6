package beacon

import (
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/enrich"
)

// nobody looks at any site.
type nobody struct{}

func (nobody) Watching(analytics.SiteID, int64) bool                             { return false }
func (nobody) Note(analytics.SiteID, *analytics.Event, analytics.Reason, string) {}

// noteDrop tells the inspector of an event that the site's rules or the event
// itself kept from being counted. What the way of a view spared itself, it finds
// out here.
func (d *Door) noteDrop(r *request, ctx *fasthttp.RequestCtx, site *analytics.Site, reason analytics.Reason) {
	ev := r.event
	if ev.Agent == (analytics.Agent{}) {
		h := &ctx.Request.Header
		ev.Agent = d.opts.Enricher.UserAgent(r.ua, enrich.Hints{Platform: h.PeekCanonical(headerPlatform), Mobile: h.PeekCanonical(headerMobile)}).Agent
	}
	d.opts.Inspector.Note(site.ID, &ev, reason, d.rules.of(site).against(&ev, reason))
}

// noteInvalid tells the inspector of a body that is wrong, as far as it was
// understood.
func (d *Door) noteInvalid(r *request, site *analytics.Site) {
	if !d.opts.Inspector.Watching(site.ID, r.nowMS) {
		return
	}
	h, f := &r.hit, &r.faults
	ev := analytics.Event{Kind: h.kind, Time: r.nowMS, Name: text(h.name), Page: h.page.Page, Host: h.page.Host}
	rule := ""
	for _, fault := range []struct{ field, wrong string }{{"event_name", f.eventName}, {"url", f.url}, {"id", f.id}, {"props", f.props}} {
		if fault.wrong != "" {
			rule = fault.field + ": " + fault.wrong
			break
		}
	}
	d.opts.Inspector.Note(site.ID, &ev, analytics.DropInvalid, rule)
}

// noteDrop tells the inspector of an event of a trusted sender that is not
// counted.
func (b *batch) noteDrop(site *analytics.Site, ev *analytics.Event, e *entry, reason analytics.Reason) {
	d := b.door
	if !d.opts.Inspector.Watching(site.ID, b.nowMS) {
		return
	}
	if ev.Time == 0 {
		ev.Time = b.nowMS
	}
	if ev.Name == "" {
		ev.Kind, ev.Name, ev.Page, ev.Host = kindOfName(bytesOf(e.name)), e.name, e.target.Page, e.target.Host
	}
	rule := e.wrong
	if rule == "" {
		rule = d.rules.of(site).against(ev, reason)
	}
	d.opts.Inspector.Note(site.ID, ev, reason, rule)
}

// against names the setting of a site that speaks against an event, with the part
// of it that does. That of an address is not told: it could be the visitor's own.
func (r *rules) against(ev *analytics.Event, reason analytics.Reason) string {
	switch reason {
	case analytics.DropHostname:
		return "hostnames: " + ev.Host + " is not among them"
	case analytics.DropPage:
		return "blocked_pages: " + r.page(ev.Page)
	case analytics.DropIP:
		return "blocked_ips"
	case analytics.DropCountry:
		return "blocked_countries: " + ev.Place.Country
	case analytics.DropSpam:
		return "referrer: " + ev.Acquisition.Referrer
	case analytics.DropBot, analytics.DropVerification:
		return "user_agent"
	case analytics.DropDatacenter:
		return "ip: of a data centre"
	}
	return ""
}

// page gives the pattern that blocks a page.
func (r *rules) page(page string) string {
	if r != nil {
		for _, g := range r.pages {
			if glob(g, page) {
				return g
			}
		}
	}
	return ""
}
