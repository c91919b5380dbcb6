package query_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// What random questions are made of.
var (
	anyDims = []query.Dimension{query.EventName, query.EventPage, query.EventPage, query.EventHostname, query.PropsPrefix + "plan", query.PropsPrefix + "size",
		query.EntryPage, query.EntryPageHostname, query.ExitPage, query.ExitPageHostname, query.Source, query.Referrer, query.Channel, query.UTMMedium, query.UTMSource,
		query.UTMCampaign, query.UTMContent, query.UTMTerm, query.Device, query.Screen, query.ScreenClass, query.Browser, query.BrowserVersion, query.OS, query.OSVersion,
		query.Country, query.Region, query.City, query.CountryName, query.RegionName, query.CityName, query.Language}
	plainMetrics = []query.Metric{query.Visitors, query.Visits, query.Pageviews, query.Events, query.ViewsPerVisit, query.BounceRate, query.VisitDuration,
		query.ScrollDepth, query.TimeOnPage, query.Percentage, query.Entries, query.Exits, query.TotalRevenue, query.AverageRevenue}
	rates    = []query.Metric{query.ConversionRate, query.GroupConversionRate}
	patterns = []*regexp.Regexp{regexp.MustCompile("^/shop"), regexp.MustCompile("o+"), regexp.MustCompile("(?i)^(blog|PRO|/BLOG|buy)$"), regexp.MustCompile("1|2"),
		regexp.MustCompile("e$"), regexp.MustCompile("^$")}
	oracleZones = []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Chatham"}
)

func oracleGoals() []*query.Goal {
	pro := []analytics.Prop{{Key: "plan", Value: "pro"}}
	var out []*query.Goal
	for _, g := range []analytics.Goal{
		{Name: "Signup", Kind: analytics.GoalEvent, Event: "signup"},
		{Name: "Buy pro", Kind: analytics.GoalEvent, Event: "buy", Props: pro},
		{Name: "View", Kind: analytics.GoalEvent, Event: "pageview"},
		{Name: "Visit /a", Kind: analytics.GoalPage, Page: "/a"},
		{Name: "Shop", Kind: analytics.GoalPage, Page: "/shop/*"},
		{Name: "Deep shop", Kind: analytics.GoalPage, Page: "/s**", Props: pro},
		{Name: "Half", Kind: analytics.GoalScroll, Page: "**", Scroll: 50},
		{Name: "Read", Kind: analytics.GoalScroll, Page: "/blog", Scroll: 75},
		{Name: "Touched", Kind: analytics.GoalScroll, Page: "/*", Scroll: 1, Props: pro},
	} {
		out = append(out, query.CompileGoal(g))
	}
	return out
}

// questioner makes questions about a stretch of time. It asks some of them again, in
// other words, of another range, later.
type questioner struct {
	r      *rand.Rand
	zone   *time.Location
	goals  []*query.Goal
	ledger *ledger // so that most ranges have something in them
	asked  []query.Question
}

func (w *questioner) chance(percent int) bool { return w.r.IntN(100) < percent }

// words of a dimension, some of which no event has.
func (w *questioner) words(d query.Dimension) []string {
	of := map[query.Dimension][]string{
		query.EventName: append([]string{"pageview"}, wordNames...), query.EventPage: wordPages, query.EventHostname: wordHosts,
		query.EntryPage: wordPages, query.ExitPage: wordPages, query.EntryPageHostname: wordHosts, query.ExitPageHostname: wordHosts,
		query.Source: wordSources, query.Referrer: wordReferrers, query.Channel: wordChannels,
		query.Device: wordDevices, query.Screen: wordDevices, query.ScreenClass: wordScreens, query.Browser: wordBrowsers, query.BrowserVersion: wordVersions,
		query.OS: wordSystems, query.OSVersion: wordVersions, query.Country: wordCountries, query.CountryName: {"", "Germany", "United States"}, query.Region: wordRegions,
		query.RegionName: wordRegions, query.City: wordCities, query.CityName: wordCities, query.Language: wordLanguages,
	}
	words, ok := of[d]
	switch {
	case ok:
	case ofProps(d):
		words = wordPlans
	default:
		words = wordTags
	}
	var out []string
	for range 1 + w.r.IntN(3) {
		switch s := pick(w.r, words); {
		case w.chance(5):
			out = append(out, "no such thing")
		case s == "":
			out = append(out, missing(d))
		default:
			out = append(out, s)
		}
	}
	return out
}

func (w *questioner) test(d query.Dimension) *query.Filter {
	f := &query.Filter{Op: pick(w.r, []query.Op{query.Is, query.Is, query.Contains, query.Matches}), Dim: d, Negated: w.chance(30)}
	switch f.Op {
	case query.Matches:
		f.Patterns = []*regexp.Regexp{pick(w.r, patterns)}
		if w.chance(30) {
			f.Patterns = append(f.Patterns, pick(w.r, patterns))
		}
		return f
	case query.Contains:
		for _, s := range w.words(d) {
			f.Values = append(f.Values, s[w.r.IntN(len(s)):])
		}
	default:
		f.Values = w.words(d)
	}
	if f.Fold = w.chance(25); f.Fold {
		for i, s := range f.Values {
			f.Values[i] = pick(w.r, []func(string) string{strings.ToUpper, strings.ToLower})(s)
		}
	}
	return f
}

func (w *questioner) reached() *query.Filter {
	f := &query.Filter{Op: query.Reached, Dim: query.EventGoal}
	for range 1 + w.r.IntN(2) {
		if g := pick(w.r, w.goals); !slices.Contains(f.Goals, g) {
			f.Goals = append(f.Goals, g)
		}
	}
	return f
}

// tree is a filter; simple ones test neither goals nor properties outside of
// HasDone; inside one there is no other.
func (w *questioner) tree(depth int, simple, inside bool) *query.Filter {
	if depth > 0 && w.chance(40) {
		f := &query.Filter{Op: pick(w.r, []query.Op{query.And, query.Or, query.Not})}
		n := 1 + w.r.IntN(3)
		if f.Op == query.Not {
			n = 1
		}
		for range n {
			f.Children = append(f.Children, w.tree(depth-1, simple, inside))
		}
		return f
	}
	if !inside && w.chance(15) {
		return &query.Filter{Op: query.HasDone, Children: []*query.Filter{w.tree(2, false, true)}}
	}
	if !simple && w.chance(20) {
		return w.reached()
	}
	for {
		if d := pick(w.r, anyDims); !simple || !ofProps(d) {
			return w.test(d)
		}
	}
}

// conjunction is filters that must all hold, as the doors make them.
func conjunction(all []*query.Filter) *query.Filter {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &query.Filter{Op: query.And, Children: all}
}

// question makes one about traffic from start to now.
func (w *questioner) question(start, now int64) query.Question {
	q := query.Question{Zone: w.zone, Now: now, Lasting: w.chance(25)}
	if len(w.asked) > 0 && w.chance(45) {
		q = pick(w.r, w.asked)
		if q.Now = now; w.chance(15) {
			q.Filter = w.altered(q.Filter)
		}
		if w.chance(10) {
			q.Zone = zoneOf(pick(w.r, oracleZones))
		}
	} else {
		w.subject(&q)
	}
	if q.From == 0 || w.chance(70) {
		w.span(&q, start, now)
	}
	w.order(&q)
	w.asked = append(w.asked, q)
	return q
}

func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// subject chooses metrics, dimensions and filters that go together.
func (w *questioner) subject(q *query.Question) {
	if w.chance(4) { // exit_rate stands alone
		q.Metrics, q.Dimensions = []query.Metric{query.ExitRate}, []query.Dimension{query.ExitPage}
		if w.chance(50) {
			q.Metrics = append(q.Metrics, query.Exits)
		}
		if w.chance(50) {
			q.Filter = w.tree(1, false, false)
		}
		return
	}
	converting := w.chance(15)
	if w.chance(50) {
		q.Dimensions = append(q.Dimensions, pick(w.r, []query.Dimension{query.TimeMinute, query.TimeHour, query.TimeHour, query.TimeDay, query.TimeDay, query.TimeWeek, query.TimeMonth}))
	}
	for range pick(w.r, []int{0, 0, 1, 1, 1, 2, 3}) {
		if d := pick(w.r, anyDims); !slices.Contains(q.Dimensions, d) {
			q.Dimensions = append(q.Dimensions, d)
		}
	}
	byGoal := w.chance(10)
	var filters []*query.Filter
	if w.chance(60) {
		for range pick(w.r, []int{1, 1, 2}) {
			filters = append(filters, w.tree(2, converting, false))
		}
	}
	if converting {
		byGoal = byGoal || w.chance(40)
		if !byGoal || w.chance(30) {
			filters = append(filters, w.reached())
		}
		if w.chance(40) {
			filters = append(filters, w.test(query.PropsPrefix+"plan"))
		}
		q.Metrics = append(q.Metrics, pick(w.r, rates))
	}
	if byGoal {
		q.Dimensions, q.Goals = append(q.Dimensions, query.EventGoal), nil
		for _, i := range w.r.Perm(len(w.goals))[:1+w.r.IntN(len(w.goals))] {
			q.Goals = append(q.Goals, w.goals[i])
		}
	}
	w.r.Shuffle(len(q.Dimensions), func(i, j int) { q.Dimensions[i], q.Dimensions[j] = q.Dimensions[j], q.Dimensions[i] })
	for range 1 + w.r.IntN(3) {
		if m := pick(w.r, plainMetrics); !slices.Contains(q.Metrics, m) {
			q.Metrics = append(q.Metrics, m)
		}
	}
	w.r.Shuffle(len(q.Metrics), func(i, j int) { q.Metrics[i], q.Metrics[j] = q.Metrics[j], q.Metrics[i] })
	q.Filter = conjunction(filters)
}

// altered is a filter with one small thing changed, so that what is remembered of
// the other one must not be taken.
func (w *questioner) altered(f *query.Filter) *query.Filter {
	if f == nil {
		return nil
	}
	g := *f
	switch {
	case len(f.Children) > 0:
		g.Children = slices.Clone(f.Children)
		i := w.r.IntN(len(g.Children))
		g.Children[i] = w.altered(g.Children[i])
	case f.Op == query.Reached:
		g.Goals = []*query.Goal{pick(w.r, w.goals)}
	case w.chance(40):
		g.Negated = !f.Negated
	case f.Op == query.Matches:
		g.Patterns = []*regexp.Regexp{pick(w.r, patterns)}
	case w.chance(50):
		g.Fold = !f.Fold
	default:
		g.Values = w.words(f.Dim)
	}
	return &g
}

// span chooses a range: local dates mostly, else any two moments. Minutes and
// hours are asked of short ones, since each is a row.
func (w *questioner) span(q *query.Question, start, now int64) {
	longest, somewhen := now-start+2*dayMS, start
	if n := len(w.ledger.visits); n > 0 {
		somewhen = w.ledger.visits[w.r.IntN(n)].start()
	}
	switch {
	case slices.Contains(q.Dimensions, query.TimeMinute):
		q.From = somewhen - w.r.Int64N(40*minuteMS)
		if w.chance(50) {
			q.From -= q.From % minuteMS
		}
		q.To = q.From + w.r.Int64N(3*60*minuteMS)
		if n := len(w.ledger.visits); n > 0 && w.chance(10) {
			q.From = w.ledger.visits[w.r.IntN(n)].active
			q.To = q.From + w.r.Int64N(60*minuteMS)
		}
		return
	case slices.Contains(q.Dimensions, query.TimeHour):
		longest = min(longest, 4*dayMS)
	}
	first := somewhen - w.r.Int64N(longest/2)
	last := somewhen + w.r.Int64N(longest/2)
	if w.chance(30) && longest > 4*dayMS { // nearly everything
		first, last = start-dayMS, now-w.r.Int64N(3*dayMS)
	}
	if w.chance(10) { // anything
		first = start - dayMS + w.r.Int64N(now-start+2*dayMS)
		last = first + w.r.Int64N(longest)
	}
	if n := len(w.ledger.visits); n > 0 && w.chance(10) { // from one event to another, to the millisecond
		v, o := w.ledger.visits[w.r.IntN(n)], w.ledger.visits[w.r.IntN(n)]
		q.From, q.To = pick(w.r, v.all).Time, pick(w.r, o.all).Time+w.r.Int64N(2)
		if len(q.Dimensions) == 0 || q.To-q.From < longest {
			return
		}
	}
	if w.chance(25) {
		q.From, q.To = first, last
		return
	}
	q.From, q.To = calendar.Range(time.UnixMilli(first).In(q.Zone), time.UnixMilli(last).In(q.Zone), q.Zone)
}

// order chooses how rows are sorted and which are shown.
func (w *questioner) order(q *query.Question) {
	q.OrderBy, q.Limit, q.Offset = nil, 0, 0
	if w.chance(30) {
		for range 1 + w.r.IntN(2) {
			o := query.Order{Desc: w.chance(50)}
			if len(q.Dimensions) > 0 && w.chance(40) {
				o.Dimension = pick(w.r, q.Dimensions)
			} else {
				o.Metric = pick(w.r, q.Metrics)
			}
			q.OrderBy = append(q.OrderBy, o)
		}
	}
	if w.chance(35) {
		q.Limit, q.Offset = 1+w.r.IntN(8), pick(w.r, []int{0, 0, 1, 3, 20})
	}
}

const dayMS = 24 * 3600_000

// shownQuestion writes a question like JSON.
func shownQuestion(q *query.Question) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"metrics": %q, "date_range": [%d, %d], "zone": %q, "dimensions": %q, "filters": [%s]`, q.Metrics, q.From, q.To, q.Zone, q.Dimensions, shownFilter(q.Filter))
	if q.Goals != nil {
		fmt.Fprintf(&b, `, "goals": %s`, shownGoals(q.Goals))
	}
	if q.OrderBy != nil {
		var parts []string
		for _, o := range q.OrderBy {
			parts = append(parts, fmt.Sprintf("[%q, desc %v]", string(o.Metric)+string(o.Dimension), o.Desc))
		}
		fmt.Fprintf(&b, `, "order_by": [%s]`, strings.Join(parts, ", "))
	}
	fmt.Fprintf(&b, `, "lasting": %v, "limit": %d, "offset": %d, "now": %d}`, q.Lasting, q.Limit, q.Offset, q.Now)
	fmt.Fprintf(&b, "\nthat is from %s to %s", time.UnixMilli(q.From).In(q.Zone).Format(time.RFC3339Nano), time.UnixMilli(q.To).In(q.Zone).Format(time.RFC3339Nano))
	return b.String()
}

func shownGoals(goals []*query.Goal) string {
	var names []string
	for _, g := range goals {
		names = append(names, strconv.Quote(g.Name))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func shownFilter(f *query.Filter) string {
	if f == nil {
		return ""
	}
	var parts []string
	for _, c := range f.Children {
		parts = append(parts, shownFilter(c))
	}
	switch f.Op {
	case query.And, query.Or:
		return fmt.Sprintf(`[%q, [%s]]`, map[query.Op]string{query.And: "and", query.Or: "or"}[f.Op], strings.Join(parts, ", "))
	case query.Not, query.HasDone:
		return fmt.Sprintf(`[%q, %s]`, map[query.Op]string{query.Not: "not", query.HasDone: "has_done"}[f.Op], parts[0])
	case query.Reached:
		return fmt.Sprintf(`["is", "event:goal", %s]`, shownGoals(f.Goals))
	}
	name := map[query.Op]string{query.Is: "is", query.Contains: "contains", query.Matches: "matches"}[f.Op]
	if f.Negated {
		name += "_not"
	}
	values := slices.Clone(f.Values)
	for _, p := range f.Patterns {
		values = append(values, p.String())
	}
	fold := ""
	if f.Fold {
		fold = `, {"case_sensitive": false}`
	}
	return fmt.Sprintf(`[%q, %q, %q%s]`, name, f.Dim, values, fold)
}
