package beacon

import (
	"net/netip"
	"net/url"
	"strings"

	"footfall/analytics"
	"footfall/enrich"
	"footfall/enrich/visitor"
	"footfall/http/door"
)

// event makes the event that e stands for; e.wrong tells what prevents it, the
// reason why a rule of the site does.
func (b *batch) event(e *entry, site *analytics.Site, ev *analytics.Event) analytics.Reason {
	enricher := b.door.opts.Enricher
	if e.target.Host == "" {
		e.target.Host = site.Domain
	}
	ev.Time = b.nowMS
	if e.explicit {
		if e.time < analytics.TimeMin || e.time > b.nowMS+analytics.FutureMaxMS {
			e.fail("timestamp", "is before 1995 or in the future")
			e.wrongReason = analytics.DropTooOld
			return analytics.DropTooOld
		}
		ev.Time, ev.Explicit = e.time, true
	}
	var addr netip.Addr
	if e.ip != "" {
		var ok bool
		if addr, ok = door.ParseAddr(bytesOf(e.ip)); !ok {
			e.fail("ip", "is not an IP address")
			return analytics.DropInvalid
		}
	}
	ev.Kind, ev.Name = kindOfName(bytesOf(e.name)), e.name
	ev.Page, ev.Host = e.target.Page, e.target.Host
	ev.NonInteractive, ev.ScrollDepth, ev.EngagedMS = e.nonInteractive, e.scroll, e.engagedMS
	ev.Props, ev.Revenue = e.props, e.revenue

	// Referrer spam is sent by bots: who keeps bots keeps it too.
	keepBots := e.keepBots || b.keepBots
	var spam bool
	if ev.Acquisition, spam = enricher.Acquisition(e.referrer, e.target.Host, e.query()); spam && !keepBots {
		return analytics.DropSpam
	}
	override(&ev.Acquisition.Source, e.source)
	override(&ev.Acquisition.ClickID, e.clickID)
	if e.source != "" || e.clickID != "" {
		ev.Acquisition.Channel = enricher.Channel(&ev.Acquisition)
	}
	override(&ev.Acquisition.Channel, e.channel)
	if addr.IsValid() {
		ev.Place = enricher.Place(addr)
	}
	if e.country != "" {
		ev.Place = analytics.Place{Country: e.country}
	}
	override(&ev.Place.Region, e.region)
	override(&ev.Place.City, e.city)

	rules := b.door.rules.of(site)
	switch {
	case !rules.allowsHost(ev.Host):
		return analytics.DropHostname
	case rules.blocksPage(ev.Page):
		return analytics.DropPage
	case rules.blocksAddr(addr):
		return analytics.DropIP
	case rules.blocksCountry(ev.Place.Country):
		return analytics.DropCountry
	}
	ua := bytesOf(e.userAgent)
	if e.judgeAgent {
		agent := enricher.UserAgent(ua[:min(len(ua), userAgentBytesMax)], enrich.Hints{})
		if agent.Bot && !keepBots {
			return analytics.DropBot
		}
		ev.Agent = agent.Agent
	}
	override(&ev.Agent.Browser, e.agent.Browser)
	override(&ev.Agent.BrowserVersion, e.agent.BrowserVersion)
	override(&ev.Agent.OS, e.agent.OS)
	override(&ev.Agent.OSVersion, e.agent.OSVersion)
	override(&ev.Agent.Device, e.agent.Device)
	ev.Screen = e.screen
	if e.language != "" {
		ev.Language = enrich.Language(bytesOf(e.language))
	}
	b.identify(e, site, ev, addr, ua)
	return analytics.Counted
}

// identify gives ev its id and its visitor. Visitors of events with a time of
// their own are told apart per UTC day, week or month of it, as the salts do for
// live ones; where a visit can have begun in the period before, that one's is the
// previous id, so that a visit over the turn stays whole.
func (b *batch) identify(e *entry, site *analytics.Site, ev *analytics.Event, addr netip.Addr, ua []byte) {
	if e.id != "" {
		ev.ID = visitor.EventID(&site.Secret, e.id)
	} else {
		ev.ID = b.door.randomID()
	}
	if e.visitor != "" {
		ev.Visitor, ev.Named = visitor.Named(&site.Secret, e.visitor), true
		return
	}
	current, previous := b.door.salts(site, b.nowMS)
	if current == nil {
		b.unsalted = true
		return
	}
	root := b.door.opts.Enricher.RegistrableDomain(ev.Host)
	ev.Visitor = visitor.ID(current, site.ID, addr, ua, root)
	switch {
	case e.explicit:
		id := ev.Visitor
		start, before, turning := periodOf(site.Uniques, e.time)
		if ev.Visitor = ofDay(id, start); turning {
			ev.Previous = ofDay(id, before)
		}
	case previous != nil:
		ev.Previous = visitor.ID(previous, site.ID, addr, ua, root)
	}
}

// ofDay gives the id that a visitor has in the period that begins on a day; never 0.
func ofDay(id uint64, day int64) uint64 {
	x := id + uint64(day)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	if x ^= x >> 31; x == 0 {
		return 1
	}
	return x
}

// query gives the page's query with the campaign fields of e in front, where
// the first of a name counts.
func (e *entry) query() string {
	if e.utm == [5]string{} {
		return e.target.Query
	}
	var q strings.Builder
	for i, name := range [...]string{"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"} {
		if e.utm[i] != "" {
			q.WriteString(name + "=" + url.QueryEscape(e.utm[i]) + "&")
		}
	}
	q.WriteString(e.target.Query)
	return q.String()
}

func override(to *string, given string) {
	if given != "" {
		*to = given
	}
}
