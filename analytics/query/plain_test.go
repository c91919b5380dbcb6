package query_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"footfall/analytics"
	"footfall/analytics/query"
)

// The oracle's evaluator: a question is answered by a walk over all visits and
// events that the ledger has, with a map from the texts of a row to what counts in
// it.

// plainRow is a row of the oracle.
type plainRow struct {
	dims   []string
	bucket int // of the time dimension, -1 without

	pageviews, events, engagements int
	visitors                       map[string]bool
	visits                         map[*bookedVisit]bool // counted here
	whole                          map[*bookedVisit]bool // whose bounce and views count here
	ended                          map[*bookedVisit]bool // whose duration counts here
	viewed                         map[*bookedVisit]bool // that saw something of the row
	engagedMS                      uint64
	deepest                        map[string]int // by visitor and page
	money                          map[string][]int64
}

// plainTable is all rows by their texts and bucket.
type plainTable map[string]*plainRow

func rowName(dims []string, bucket int) string {
	return strings.Join(dims, "|") + "#" + strconv.Itoa(bucket)
}

func (t plainTable) row(dims []string, bucket int) *plainRow {
	name := rowName(dims, bucket)
	if t[name] == nil {
		t[name] = &plainRow{dims: slices.Clone(dims), bucket: bucket, visitors: map[string]bool{}, visits: map[*bookedVisit]bool{}, whole: map[*bookedVisit]bool{},
			ended: map[*bookedVisit]bool{}, viewed: map[*bookedVisit]bool{}, deepest: map[string]int{}, money: map[string][]int64{}}
	}
	return t[name]
}

var countryNames = map[string]string{"DE": "Germany", "US": "United States"}

// visitValue gives a visit's value of a dimension, "" if it has none.
func visitValue(v *bookedVisit, d query.Dimension) string {
	a, p, g := v.first.Acquisition, v.first.Place, v.first.Agent
	page, n := &analytics.Event{}, len(v.views)
	if n > 0 {
		page = v.views[0]
		if d == query.ExitPage || d == query.ExitPageHostname {
			page = v.views[n-1]
		}
	}
	switch d {
	case query.EntryPage, query.ExitPage:
		return page.Page
	case query.EntryPageHostname, query.ExitPageHostname:
		return page.Host
	case query.Source:
		return a.Source
	case query.Referrer:
		return a.Referrer
	case query.Channel:
		return a.Channel
	case query.UTMMedium:
		return a.Medium
	case query.UTMSource:
		return a.UTMSource
	case query.UTMCampaign:
		return a.Campaign
	case query.UTMContent:
		return a.Content
	case query.UTMTerm:
		return a.Term
	case query.Device, query.Screen:
		return g.Device
	case query.ScreenClass:
		return v.first.Screen
	case query.Browser:
		return g.Browser
	case query.BrowserVersion:
		return g.BrowserVersion
	case query.OS:
		return g.OS
	case query.OSVersion:
		return g.OSVersion
	case query.Country:
		return p.Country
	case query.CountryName:
		return countryNames[p.Country]
	case query.Region, query.RegionName:
		return p.Region
	case query.City, query.CityName:
		return p.City
	case query.Language:
		return v.first.Language
	}
	panic(d)
}

func eventValue(e *analytics.Event, d query.Dimension) string {
	switch d {
	case query.EventPage:
		return e.Page
	case query.EventHostname:
		return e.Host
	case query.EventName:
		if e.Kind == analytics.Custom {
			return e.Name
		}
		return "pageview"
	}
	return prop(e, strings.TrimPrefix(string(d), query.PropsPrefix))
}

func missing(d query.Dimension) string {
	switch {
	case d == query.Source || d == query.Referrer:
		return "Direct / None"
	case d == query.Channel:
		return "Direct"
	case ofProps(d):
		return "(none)"
	}
	return "(not set)"
}

func ofProps(d query.Dimension) bool  { return strings.HasPrefix(string(d), query.PropsPrefix) }
func ofEvents(d query.Dimension) bool { return strings.HasPrefix(string(d), "event:") }
func ofVisits(d query.Dimension) bool { return strings.HasPrefix(string(d), "visit:") }
func ofTime(d query.Dimension) bool   { return strings.HasPrefix(string(d), "time:") }

func shownValue(v *bookedVisit, e *analytics.Event, d query.Dimension) string {
	value := ""
	if ofVisits(d) {
		value = visitValue(v, d)
	} else {
		value = eventValue(e, d)
	}
	return cmp.Or(value, missing(d))
}

// tested tells whether a value passes a test; "" is a missing one.
func tested(f *query.Filter, value string) bool {
	match := false
	for _, want := range f.Values {
		have := cmp.Or(value, missing(f.Dim))
		if f.Fold {
			have, want = strings.ToLower(have), strings.ToLower(want)
		}
		switch f.Op {
		case query.Is:
			match = match || have == want
		case query.Contains:
			match = match || value != "" && strings.Contains(have, want)
		}
	}
	for _, p := range f.Patterns {
		match = match || value != "" && p.MatchString(value)
	}
	if !f.Negated {
		return match
	}
	if value == "" && f.Op != query.Is && ofProps(f.Dim) {
		return false
	}
	return !match
}

// reaches tells whether an event reaches a goal.
func reaches(e *analytics.Event, g *query.Goal) bool {
	for _, p := range g.Props {
		if prop(e, p.Key) != p.Value {
			return false
		}
	}
	switch g.Kind {
	case analytics.GoalEvent:
		return e.Kind == analytics.Custom && e.Name == g.Event || e.Kind == analytics.Pageview && g.Event == "pageview"
	case analytics.GoalPage:
		return e.Kind != analytics.Custom && globbed(g.Page, e.Page)
	}
	return e.Kind == analytics.Engagement && e.ScrollDepth != analytics.ScrollNone && e.ScrollDepth >= g.Scroll && globbed(g.Page, e.Page)
}

// asked is a question under evaluation.
type asked struct {
	*query.Question
	done map[*query.Filter]bool // of the visit in hand: what it has done
}

func (q *asked) in(t int64) bool { return t >= q.From && t < q.To }

// match tells whether a filter holds for an event of a visit.
func (q *asked) match(f *query.Filter, v *bookedVisit, e *analytics.Event) bool {
	if f == nil {
		return true
	}
	switch f.Op {
	case query.And:
		for _, c := range f.Children {
			if !q.match(c, v, e) {
				return false
			}
		}
		return true
	case query.Or:
		for _, c := range f.Children {
			if q.match(c, v, e) {
				return true
			}
		}
		return false
	case query.Not:
		return !q.match(f.Children[0], v, e)
	case query.Reached:
		return slices.ContainsFunc(f.Goals, func(g *query.Goal) bool { return reaches(e, g) })
	case query.HasDone:
		return q.hasDone(f, v)
	}
	switch {
	case ofVisits(f.Dim):
		return tested(f, visitValue(v, f.Dim))
	case f.Dim == query.EventName && e.Kind == analytics.Engagement:
		return true
	}
	return tested(f, eventValue(e, f.Dim))
}

// hasDone tells whether the visit has an event in the range for which the one
// child holds; an engagement only if it reaches a goal of scrolling named there.
func (q *asked) hasDone(f *query.Filter, v *bookedVisit) bool {
	if done, ok := q.done[f]; ok {
		return done
	}
	done := false
	for _, e := range v.all {
		if q.in(e.Time) && (e.Kind != analytics.Engagement || scrolls(f.Children[0], e)) && q.match(f.Children[0], v, e) {
			done = true
			break
		}
	}
	q.done[f] = done
	return done
}

// scrolls tells whether an engagement reaches one of the filter's goals of
// scrolling, those of a HasDone left out.
func scrolls(f *query.Filter, e *analytics.Event) bool {
	if f == nil || f.Op == query.HasDone {
		return false
	}
	return slices.ContainsFunc(f.Goals, func(g *query.Goal) bool { return g.Kind == analytics.GoalScroll && reaches(e, g) }) ||
		slices.ContainsFunc(f.Children, func(c *query.Filter) bool { return scrolls(c, e) })
}

// about tells whether a condition outside of HasDone is on one of the dimensions
// chosen.
func about(f *query.Filter, chosen func(query.Dimension) bool) bool {
	if f == nil || f.Op == query.HasDone {
		return false
	}
	if len(f.Children) > 0 {
		return slices.ContainsFunc(f.Children, func(c *query.Filter) bool { return about(c, chosen) })
	}
	return chosen(f.Dim)
}

// replaced writes a filter with another dimension, but not inside HasDone.
func replaced(f *query.Filter, from, to query.Dimension) *query.Filter {
	if f == nil || f.Op == query.HasDone {
		return f
	}
	g := *f
	if g.Dim == from {
		g.Dim = to
	}
	g.Children = nil
	for _, c := range f.Children {
		g.Children = append(g.Children, replaced(c, from, to))
	}
	return &g
}

// withLanding has hostname filters beside visit dimensions mean the landing host.
func withLanding(q *query.Question) *query.Question {
	if !slices.ContainsFunc(q.Dimensions, ofVisits) {
		return q
	}
	c := *q
	c.Filter = replaced(q.Filter, query.EventHostname, query.EntryPageHostname)
	return &c
}

// instead asks the same of another dimension.
func instead(q *query.Question, from, to query.Dimension) *query.Question {
	c := *q
	c.Filter, c.Dimensions = replaced(q.Filter, from, to), slices.Clone(q.Dimensions)
	for i, d := range c.Dimensions {
		if d == from {
			c.Dimensions[i] = to
		}
	}
	return &c
}

// count walks over everything.
func (l *ledger) count(question *query.Question) plainTable {
	q := &asked{Question: withLanding(question)}
	table := plainTable{}
	if len(q.Dimensions) == 0 {
		table.row(nil, -1)
	}
	if q.To <= q.From {
		return table
	}
	byEvents := about(q.Filter, ofEvents) || slices.ContainsFunc(q.Dimensions, ofEvents)
	timeAt := slices.IndexFunc(q.Dimensions, ofTime)
	goalAt := slices.Index(q.Dimensions, query.EventGoal)
	buckets := q.Buckets()
	bucket := func(t int64) int {
		if timeAt < 0 {
			return -1
		}
		t = min(max(t, q.From), q.To-1)
		return sort.Search(len(buckets), func(i int) bool { return buckets[i].To > t })
	}
	row := func(v *bookedVisit, e *analytics.Event, goal string, b int) *plainRow {
		dims := make([]string, len(q.Dimensions))
		for i, d := range q.Dimensions {
			switch i {
			case timeAt:
				dims[i] = buckets[b].Label
			case goalAt:
				dims[i] = goal
			default:
				dims[i] = shownValue(v, e, d)
			}
		}
		return table.row(dims, b)
	}
	for _, v := range l.visits {
		v.fill()
		q.done = map[*query.Filter]bool{}
		if !byEvents {
			if !q.match(q.Filter, v, v.first) {
				continue
			}
			if v.start() < q.To && v.last() >= q.From {
				end := bucket(v.last())
				begin := end
				if timeAt >= 0 && (q.Dimensions[timeAt] == query.TimeHour || q.Dimensions[timeAt] == query.TimeMinute) {
					begin = bucket(v.start())
				}
				for b := begin; b <= end; b++ {
					r := row(v, v.first, "", b)
					r.visitors[v.who(q.Lasting)], r.visits[v], r.whole[v] = true, true, true
				}
				row(v, v.first, "", end).ended[v] = true
			}
		}
		for _, e := range v.all {
			if !q.in(e.Time) || !q.match(q.Filter, v, e) {
				continue
			}
			if goalAt < 0 {
				q.note(row, bucket, v, e, "", byEvents, scrolls(q.Filter, e))
				continue
			}
			for _, g := range q.Goals {
				if reaches(e, g) {
					q.note(row, bucket, v, e, g.Name, byEvents, g.Kind == analytics.GoalScroll)
				}
			}
		}
	}
	return table
}

// note counts an event that matches. An engagement brings its visit only if it
// scrolled far enough for a goal.
func (q *asked) note(row func(*bookedVisit, *analytics.Event, string, int) *plainRow, bucket func(int64) int, v *bookedVisit, e *analytics.Event, goal string, byEvents, scrolled bool) {
	r := row(v, e, goal, bucket(e.Time))
	switch e.Kind {
	case analytics.Engagement:
		r.engagements++
		r.engagedMS += uint64(e.EngagedMS)
		if e.ScrollDepth != analytics.ScrollNone {
			k := v.who(q.Lasting) + " " + e.Page
			if d, ok := r.deepest[k]; !ok || int(e.ScrollDepth) > d {
				r.deepest[k] = int(e.ScrollDepth)
			}
		}
	case analytics.Pageview:
		r.pageviews++
		r.viewed[v] = true
		fallthrough
	default:
		r.events++
		if c := e.Revenue.Currency; c != "" {
			r.money[c] = append(r.money[c], e.Revenue.Amount)
		}
	}
	if byEvents && (e.Kind != analytics.Engagement || scrolled) {
		r.visitors[v.who(q.Lasting)], r.visits[v] = true, true
		end := row(v, e, goal, bucket(v.last()))
		end.whole[v], end.ended[v] = true, true
	}
}

// plainAnswer is an answer in words: a line for each row.
type plainAnswer struct {
	lines  []string
	total  int
	warned []string
}

// metrics of which a row is a row of visits, events or engagements.
var (
	visitMetrics = []query.Metric{query.Visitors, query.Visits, query.ViewsPerVisit, query.BounceRate, query.VisitDuration, query.Percentage, query.Entries,
		query.Exits, query.ExitRate, query.ConversionRate, query.GroupConversionRate}
	engagedMetrics = []query.Metric{query.ScrollDepth, query.TimeOnPage}
	moneyMetrics   = []query.Metric{query.TotalRevenue, query.AverageRevenue}
	eventMetrics   = slices.Concat([]query.Metric{query.Pageviews, query.Events}, engagedMetrics, moneyMetrics)
)

func anyOf(have, of []query.Metric) bool {
	return slices.ContainsFunc(of, func(m query.Metric) bool { return slices.Contains(have, m) })
}

// answer answers a question.
func (l *ledger) answer(question *query.Question) plainAnswer {
	q := withLanding(question)
	table := l.count(q)
	byEvents := about(q.Filter, ofEvents) || slices.ContainsFunc(q.Dimensions, ofEvents)
	figures := map[query.Metric]func(*plainRow) query.Value{}
	for _, m := range q.Metrics {
		figures[m] = l.figure(q, m)
	}
	var rows []*plainRow
	a := plainAnswer{}
	for _, r := range table {
		events := (byEvents || anyOf(q.Metrics, eventMetrics)) && r.events > 0
		visits := anyOf(q.Metrics, visitMetrics) && len(r.visits)+len(r.whole) > 0
		engaged := anyOf(q.Metrics, engagedMetrics) && r.engagements > 0
		if len(q.Dimensions) == 0 || events || visits || engaged {
			rows = append(rows, r)
		}
		for _, m := range moneyMetrics {
			if slices.Contains(q.Metrics, m) && len(r.money) > 1 && !slices.Contains(a.warned, string(m)) {
				a.warned = append(a.warned, string(m))
			}
		}
	}
	slices.Sort(a.warned)
	a.total = len(rows)
	values := map[*plainRow]map[query.Metric]query.Value{}
	for _, r := range rows {
		values[r] = map[query.Metric]query.Value{}
		for m, f := range figures {
			values[r][m] = f(r)
		}
	}
	slices.SortFunc(rows, func(x, y *plainRow) int { return inOrder(q, x, y, values[x], values[y]) })
	if rows = rows[min(q.Offset, len(rows)):]; q.Limit > 0 {
		rows = rows[:min(q.Limit, len(rows))]
	}
	for _, r := range rows {
		var words []string
		for _, m := range q.Metrics {
			words = append(words, shownFigure(values[r][m]))
		}
		a.lines = append(a.lines, strings.Join(r.dims, "|")+" = "+strings.Join(words, " "))
	}
	return a
}

func shownFigure(v query.Value) string {
	if v.Null {
		return "null"
	}
	return fmt.Sprint(v.Number, v.Currency)
}

// inOrder compares rows: as asked, or by time and then by the first metric
// downwards; equal ones by their dimensions. No figure comes last.
func inOrder(q *query.Question, x, y *plainRow, vx, vy map[query.Metric]query.Value) int {
	by := func(d query.Dimension) int {
		if ofTime(d) {
			return x.bucket - y.bucket
		}
		i := slices.Index(q.Dimensions, d)
		return strings.Compare(x.dims[i], y.dims[i])
	}
	order := q.OrderBy
	if len(order) == 0 {
		for _, d := range q.Dimensions {
			if ofTime(d) {
				order = append(order, query.Order{Dimension: d})
			}
		}
		order = append(order, query.Order{Metric: q.Metrics[0], Desc: true})
	}
	for _, o := range order {
		c := 0
		if o.Metric != "" {
			a, b := vx[o.Metric], vy[o.Metric]
			if a.Null != b.Null {
				if a.Null {
					return 1
				}
				return -1
			}
			c = cmp.Compare(a.Number, b.Number)
		} else {
			c = by(o.Dimension)
		}
		if c != 0 && o.Desc {
			return -c
		}
		if c != 0 {
			return c
		}
	}
	for _, d := range q.Dimensions {
		if c := by(d); c != 0 {
			return c
		}
	}
	return 0
}

func figure(n int) query.Value { return query.Value{Number: float64(n)} }

// ratio divides and rounds; nothing over nothing is 0.
func ratio(a float64, n, decimals int) query.Value {
	if n == 0 {
		return query.Value{}
	}
	p := math.Pow10(decimals)
	return query.Value{Number: math.Round(a/float64(n)*p) / p}
}

// figure gives what a row says of a metric. Some are taken from other questions:
// of the page entered or left, of everybody.
func (l *ledger) figure(q *query.Question, m query.Metric) func(*plainRow) query.Value {
	paged := about(q.Filter, func(d query.Dimension) bool { return d == query.EventPage }) || slices.Contains(q.Dimensions, query.EventPage)
	switch m {
	case query.BounceRate, query.Entries, query.Exits:
		if paged {
			to := query.EntryPage
			if m == query.Exits {
				to = query.ExitPage
			}
			other := l.count(instead(q, query.EventPage, to))
			return func(r *plainRow) query.Value {
				if o := other[rowName(r.dims, r.bucket)]; o != nil {
					return o.of(m)
				}
				return query.Value{}
			}
		}
	case query.ExitRate:
		views := l.count(instead(q, query.ExitPage, query.EventPage))
		return func(r *plainRow) query.Value {
			o := views[rowName(r.dims, r.bucket)]
			if o == nil || o.pageviews == 0 {
				return query.Value{Null: true}
			}
			return ratio(100*float64(begun(r.whole)), o.pageviews, 1)
		}
	case query.Percentage:
		return l.among(q, q.Filter, nil)
	case query.ConversionRate:
		return l.among(q, withoutGoals(q.Filter), ofTime)
	case query.GroupConversionRate:
		return l.among(q, withoutGoals(q.Filter), func(d query.Dimension) bool { return d != query.EventGoal })
	}
	return func(r *plainRow) query.Value { return r.of(m) }
}

// among gives the visitors of a row in percent of those of a filter in the same
// group of some of the dimensions.
func (l *ledger) among(q *query.Question, f *query.Filter, keep func(query.Dimension) bool) func(*plainRow) query.Value {
	c := *q
	c.Filter, c.Dimensions = f, nil
	var at []int
	bucketed := false
	for i, d := range q.Dimensions {
		if keep != nil && keep(d) {
			c.Dimensions, at, bucketed = append(c.Dimensions, d), append(at, i), bucketed || ofTime(d)
		}
	}
	all := l.count(&c)
	return func(r *plainRow) query.Value {
		var dims []string
		for _, i := range at {
			dims = append(dims, r.dims[i])
		}
		bucket := -1
		if bucketed {
			bucket = r.bucket
		}
		if o := all[rowName(dims, bucket)]; o != nil {
			return ratio(100*float64(len(r.visitors)), len(o.visitors), 2)
		}
		return query.Value{}
	}
}

// withoutGoals leaves out goals, and properties, which narrow goals. Both stand on
// the top level only where rates are asked for.
func withoutGoals(f *query.Filter) *query.Filter {
	if f == nil || f.Op == query.Reached || ofProps(f.Dim) {
		return nil
	}
	if f.Op != query.And {
		return f
	}
	g := query.Filter{Op: query.And}
	for _, c := range f.Children {
		if c.Op != query.Reached && !ofProps(c.Dim) {
			g.Children = append(g.Children, c)
		}
	}
	if len(g.Children) == 0 {
		return nil
	}
	return &g
}

// begun counts the visits that have a page view.
func begun(visits map[*bookedVisit]bool) (n int) {
	for v := range visits {
		if len(v.views) > 0 {
			n++
		}
	}
	return n
}

// of gives a metric that the row itself has counted.
func (r *plainRow) of(m query.Metric) query.Value {
	views, bounces, ms := 0, 0, int64(0)
	for v := range r.whole {
		views += len(v.views)
		if v.bounced {
			bounces++
		}
	}
	for v := range r.ended {
		ms += v.last() - v.start()
	}
	switch m {
	case query.Visitors:
		return figure(len(r.visitors))
	case query.Visits:
		return figure(len(r.visits))
	case query.Pageviews:
		return figure(r.pageviews)
	case query.Events:
		return figure(r.events)
	case query.ViewsPerVisit:
		return ratio(float64(views), len(r.whole), 2)
	case query.BounceRate:
		return ratio(100*float64(bounces), len(r.whole), 0)
	case query.VisitDuration:
		return ratio(float64(ms)/1000, len(r.ended), 0)
	case query.Entries, query.Exits:
		return figure(begun(r.whole))
	case query.ScrollDepth:
		sum := 0
		for _, d := range r.deepest {
			sum += d
		}
		if len(r.deepest) > 0 {
			return ratio(float64(sum), len(r.deepest), 0)
		}
	case query.TimeOnPage:
		if r.engagements > 0 && len(r.viewed) > 0 {
			return ratio(float64(r.engagedMS)/1000, len(r.viewed), 0)
		}
	case query.TotalRevenue, query.AverageRevenue:
		for currency, amounts := range r.money {
			sum := int64(0)
			for _, a := range amounts {
				sum += a
			}
			v := query.Value{Number: float64(sum) / 1e6, Currency: currency}
			if m == query.AverageRevenue {
				v.Number /= float64(len(amounts))
			}
			if len(r.money) == 1 {
				return v
			}
		}
	}
	return query.Value{Null: true}
}
