package history

import (
	"math"

	"footfall/analytics"
)

// person is what stays the same of a visitor.
type person struct {
	key      uint64
	agent    analytics.Agent
	place    analytics.Place
	language string
	screen   string
}

// id is the visitor id of a UTC day: it changes every midnight. Never 0.
func (p *person) id(day int64) uint64 {
	return max(1, mix(p.key^mix(uint64(day))))
}

// visit appends one visit that begins on the day which starts at begin, with at
// most left views, and gives how many it has.
func (g *Generator) visit(begin int64, left int) int {
	g.meet()
	views := min(g.length(), left)
	acq := g.acquisition()
	at := begin + int64(g.world.hours.pick(g.rand.Float64()))*3_600_000 + g.rand.Int64N(3_600_000)
	first := len(g.today)
	buyer := views >= 3 && g.rand.IntN(8) == 0
	var page string
	for i := range views {
		page = g.page(page, buyer, views-i)
		view := analytics.Event{Kind: analytics.Pageview, Time: at, Name: analytics.NamePageview, Page: page, ScrollDepth: analytics.ScrollNone}
		g.add(&view, &acq)
		gap := g.think()
		if g.rand.IntN(3) == 0 {
			seen := gap * int64(40+g.rand.IntN(60)) / 100
			g.add(&analytics.Event{Kind: analytics.Engagement, Time: at + seen, Name: analytics.NameEngagement, Page: page,
				ScrollDepth: uint8(5 + g.rand.IntN(96)), EngagedMS: uint32(seen)}, &acq)
		}
		if g.rand.IntN(20) == 0 {
			g.custom(at+gap/2, page, &acq)
		}
		at += gap
	}
	if g.day == len(g.quota)-1 { // nothing may lie behind the end
		late := int64(0)
		for i := first; i < len(g.today); i++ {
			late = max(late, g.today[i].Time-(begin+dayMS)+1)
		}
		for i := first; i < len(g.today); i++ {
			g.today[i].Time -= late
		}
	}
	return views
}

// add appends an event with what its visit says.
func (g *Generator) add(ev *analytics.Event, acq *analytics.Acquisition) {
	p := &g.visitor
	g.ids++
	ev.ID = max(1, mix(g.opts.Seed<<48^g.ids))
	day := ev.Time / dayMS
	ev.Visitor, ev.Previous = p.id(day), p.id(day-1)
	ev.Host = g.opts.Host
	ev.Agent, ev.Place, ev.Language, ev.Screen, ev.Acquisition = p.agent, p.place, p.language, p.screen, *acq
	g.today = append(g.today, *ev)
}

// length is how many pages a visit has: nearly half see one.
func (g *Generator) length() int {
	if g.rand.IntN(100) < 46 {
		return 1
	}
	n := 2
	for n < visitViewsMax && g.rand.IntN(100) < 68 {
		n++
	}
	return n
}

// think is the time between two views, in milliseconds: below the thirty minutes
// that would end the visit.
func (g *Generator) think() int64 {
	s := math.Exp(math.Log(40) + 1.1*g.rand.NormFloat64())
	return int64(1000 * min(max(s, 1.5), 1200))
}

// page is the next page of a visit; buyers end with the cart and the till.
func (g *Generator) page(before string, buyer bool, left int) string {
	if buyer && left <= len(checkout) {
		return checkout[len(checkout)-left]
	}
	for {
		if p := g.world.paths[g.pages.Uint64()]; p != before {
			return p
		}
	}
}

// custom appends an event of the shop's own.
func (g *Generator) custom(at int64, page string, acq *analytics.Acquisition) {
	kind := g.rand.IntN(len(customNames))
	ev := analytics.Event{Kind: analytics.Custom, Time: at, Name: customNames[kind], Page: page, ScrollDepth: analytics.ScrollNone,
		Props: g.world.props[g.rand.IntN(len(g.world.props))]}
	if ev.Name == "Purchase" {
		ev.Revenue = analytics.Revenue{Amount: int64(500+g.rand.IntN(20_000)) * 10_000, Currency: "EUR"}
	}
	g.add(&ev, acq)
}

// meet chooses the visitor: a third have been here before.
func (g *Generator) meet() {
	var key uint64
	if g.rand.IntN(100) < 35 {
		key = g.known.Uint64()
	} else {
		g.people++
		key = 1<<40 + g.people
	}
	w, p := g.world, &g.visitor
	p.key = mix(g.opts.Seed ^ key)
	h := p.key
	next := func() float64 {
		h = mix(h)
		return float64(h>>11) / (1 << 53)
	}
	c := &w.countries[w.country.pick(next())]
	region := &c.regions[w.region.pick(next())]
	p.place = analytics.Place{Country: c.code, Region: region.code, City: region.cities[int(next()*float64(len(region.cities)))]}
	p.agent = w.agents[w.agent.pick(next())]
	p.language = c.language
	p.screen = screenOf(p.agent.Device, next())
}

func screenOf(device string, u float64) string {
	switch {
	case device == "Mobile" && u < 0.8:
		return "XS"
	case device == "Mobile" || device == "Tablet" && u < 0.5:
		return "SM"
	case device == "Tablet":
		return "MD"
	case u < 0.6:
		return "LG"
	}
	return "XL"
}

// acquisition says where a visit comes from: 15 % carry campaign parameters.
func (g *Generator) acquisition() analytics.Acquisition {
	w := g.world
	u := g.rand.IntN(100)
	switch {
	case u < 15:
		return w.campaigns[w.campaign.pick(g.rand.Float64())]
	case u < 50:
		return analytics.Acquisition{Channel: "Direct"}
	}
	s := &w.sources[w.source.pick(g.rand.Float64())]
	return analytics.Acquisition{Source: s.name, Referrer: s.referrers[g.rand.IntN(len(s.referrers))], Channel: s.channel}
}
