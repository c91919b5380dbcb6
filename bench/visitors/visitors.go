// Package visitors is who sends beacons: people who come to sites by Zipf's law
// with one of many browsers, walk over pages with time to think, click, leave;
// and bots. What a source gives depends on its seed and on the times it is asked
// for only. It must never know how an event is written on the wire. Start at
// NewWorld.
package visitors

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"footfall/bench/scenario"
	"footfall/bench/traffic"
	"footfall/bench/zipf"
)

// Kind is what an event is.
type Kind uint8

const (
	View Kind = iota
	Custom
	Engagement
)

// The referrers that are not one of World.Referrers.
const (
	NoReferrer  = -1
	OwnReferrer = -2 // another page of the site
)

// Event is one event of a visitor. Fields are indexes into the World.
type Event struct {
	ID        uint64 // of the event, unique within a world
	Kind      Kind
	Bot       bool
	Site      int
	Page      int
	Referrer  int
	Agent     int // of Agents, or of Bots for a bot
	Name      int // of a custom event
	Visitor   uint32
	EngagedMS int
	Scroll    int // percent
}

// World is what all sources have in common. It is read-only.
type World struct {
	Scenario  *scenario.Scenario
	Domains   []string
	IDs       []string // what the product under load calls the sites
	Referrers []string
	Agents    []string
	Bots      []string
	Names     []string
	Run       uint64 // tells the events of this run from those of others

	sites, pages *zipf.Ranks
	base         func(time.Duration) float64 // rate without the flood
	engagement   float64
	custom       float64
}

// bots are agents that every product should know as such.
var bots = []string{
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
	"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
	"Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
}

// NewWorld makes the world of a scenario. run is a number that no other run
// against the same servers has. base is the rate without the flood over time;
// it is needed for a scenario with one.
func NewWorld(s *scenario.Scenario, run uint64, base func(time.Duration) float64) *World {
	w := &World{Scenario: s, Referrers: s.Referrers.List, Agents: traffic.Agents(s.Agents, s.Seed), Bots: bots, Names: s.Events.Names, Run: run,
		sites: zipf.New(s.Sites.Count, s.Sites.Zipf), pages: zipf.New(s.Pages.Count, s.Pages.Zipf), base: base,
		engagement: s.Events.Engagement, custom: s.Events.Custom}
	for i := range s.Sites.Count {
		w.Domains = append(w.Domains, s.Domain(i))
		w.IDs = append(w.IDs, s.ID(i))
	}
	switch s.Dialect {
	case "goatcounter", "umami": // they have no such thing
		w.engagement = 0
	}
	return w
}

// AppendPath appends the path of a page.
func AppendPath(dst []byte, page int) []byte {
	dst = append(dst, "/shop/category-"...)
	dst = strconv.AppendInt(dst, int64(page%37), 10)
	dst = append(dst, "/product-"...)
	return strconv.AppendInt(dst, int64(page), 10)
}

// Source gives the events of its share of the visitors. It is not safe for
// concurrent use.
type Source struct {
	w      *World
	random *rand.Rand
	visits []visit // a heap by due
	ids    uint64
}

// visit is somebody who will do something more.
type visit struct {
	due     time.Duration
	visitor uint32
	site    int32
	page    int32
	agent   int32
	left    int16 // pages
	bot     bool
	custom  bool // an event to come on this page
	leaving bool // engagement to come when the page is left
	thought int32
}

// visitsMax bounds the memory of a source. Beyond it visitors hurry.
const visitsMax = 1 << 14

// NewSource makes the n-th source of a world.
func NewSource(w *World, n int) *Source {
	return &Source{w: w, random: rand.New(rand.NewPCG(w.Scenario.Seed, uint64(n)+1)), ids: uint64(n) << 40}
}

// Next gives what happens at a time from the start. Times do not go back by
// more than the load is behind its schedule.
func (s *Source) Next(at time.Duration) Event {
	s.ids++
	w := s.w
	if flood := w.Scenario.FloodAt(at); flood > 0 && s.random.Float64()*(flood+w.base(at)) < flood {
		v := s.newcomer(w.Scenario.Flood.Site)
		return s.event(&v, View, s.origin())
	}
	if n := len(s.visits); n == visitsMax || n > 0 && s.visits[0].due <= at {
		return s.goOn(at)
	}
	v := s.newcomer(w.sites.Draw(s.random))
	v.bot = s.random.Float64() < w.Scenario.Bots
	if v.bot {
		v.agent = int32(s.random.IntN(len(w.Bots)))
	}
	if rules := &w.Scenario.Visits; s.random.Float64() >= rules.Bounce {
		// At least two pages, the mean as wished: 2 and a geometric number.
		v.left = int16(1 + min(30_000, geometric(s.random, rules.Pages-2)))
	}
	e := s.event(&v, View, s.origin())
	s.plan(&v, at)
	return e
}

func geometric(r *rand.Rand, mean float64) int {
	if mean <= 0 {
		return 0
	}
	return int(math.Log(1-r.Float64()) / math.Log(mean/(1+mean)))
}

func (s *Source) origin() int {
	rules := &s.w.Scenario.Referrers
	if s.random.Float64() >= rules.Share {
		return NoReferrer
	}
	return s.random.IntN(len(rules.List))
}

func (s *Source) newcomer(site int) visit {
	w := s.w
	who := s.random.IntN(w.Scenario.Addresses)
	mixed := uint64(who) * 0x9e3779b97f4a7c15 // a visitor keeps to one browser
	return visit{visitor: uint32(who), site: int32(site), page: int32(w.pages.Draw(s.random)), agent: int32(mixed >> 17 % uint64(len(w.Agents)))}
}

func (s *Source) event(v *visit, kind Kind, referrer int) Event {
	return Event{ID: s.ids, Kind: kind, Bot: v.bot, Site: int(v.site), Page: int(v.page), Referrer: referrer, Agent: int(v.agent), Visitor: v.visitor}
}

// plan decides what a visitor does on a page that was just seen.
func (s *Source) plan(v *visit, at time.Duration) {
	v.custom = s.random.Float64() < s.w.custom
	v.leaving = s.random.Float64() < s.w.engagement
	think := time.Duration(s.random.ExpFloat64() * float64(s.w.Scenario.Visits.Think))
	v.thought = int32(min(think.Milliseconds(), math.MaxInt32))
	if !v.custom && !v.leaving && v.left == 0 {
		return // gone
	}
	v.due = at + think
	if v.custom {
		v.due = at + think/2
	}
	s.push(*v)
}

// goOn lets the visitor whose time it is do the next thing.
func (s *Source) goOn(at time.Duration) Event {
	v := s.pop()
	switch {
	case v.custom:
		v.custom = false
		e := s.event(&v, Custom, OwnReferrer)
		e.Name = s.random.IntN(len(s.w.Names))
		if v.leaving || v.left > 0 {
			v.due = at + time.Duration(v.thought)*time.Millisecond/2
			s.push(v)
		}
		return e
	case v.leaving:
		v.leaving = false
		e := s.event(&v, Engagement, OwnReferrer)
		e.EngagedMS, e.Scroll = int(v.thought)+1, s.random.IntN(101)
		if v.left > 0 {
			v.due = at
			s.push(v)
		}
		return e
	}
	v.left--
	v.page = int32(s.w.pages.Draw(s.random))
	e := s.event(&v, View, OwnReferrer)
	s.plan(&v, at)
	return e
}

func (s *Source) push(v visit) {
	s.visits = append(s.visits, v)
	h := s.visits
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].due <= h[i].due {
			return
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func (s *Source) pop() visit {
	h := s.visits
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	s.visits = h
	for i := 0; ; {
		low := 2*i + 1
		if low >= len(h) {
			return top
		}
		if low+1 < len(h) && h[low+1].due < h[low].due {
			low++
		}
		if h[i].due <= h[low].due {
			return top
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
}
