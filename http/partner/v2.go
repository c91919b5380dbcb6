package partner

import (
	"slices"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// query answers POST /api/v2/query.
func (d *Door) query(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	m, syntax := decodeObject(ctx.PostBody())
	domain, _ := m["site_id"].(string)
	if syntax != nil && !who.Anonymous() {
		return syntax
	}
	site, err := d.site(ctx, who, domain)
	if err != nil {
		return err
	}
	q, err := parseV2(m, d.words(site, who))
	if err != nil {
		return err
	}
	a, done, err := d.ask(ctx, site)
	if err != nil {
		return err
	}
	defer done()
	body, err := a.answerV2(q)
	if err != nil {
		return err
	}
	a.write(ctx, body)
	return nil
}

// resolved is a v2 query for one site at one time.
type resolved struct {
	*queryV2
	period   dateRange
	other    *calendar.Period  // of the comparison, whole
	otherCut calendar.Period   // and what of it is comparable
	timeAt   int               // place of the time dimension, -1 for none
	buckets  []calendar.Bucket // of it, where labels or comparisons need them
	money    *money
}

func (a *asking) resolve(q *queryV2) (*resolved, error) {
	r := &resolved{queryV2: q, timeAt: slices.IndexFunc(q.dimensions, isTime), money: q.money()}
	period, err := periodAt("#/date_range", q.rangeValue, a.now, a.first, a.site.Zone())
	if err != nil {
		return nil, err
	}
	r.period = period
	if q.include.trim {
		r.period = period.trimmed(a.now)
	}
	if r.timeAt >= 0 && q.dimensions[r.timeAt] == query.Time {
		r.dimensions = slices.Clone(q.dimensions)
		r.dimensions[r.timeAt] = period.time
		for i, o := range r.orderBy {
			if o.Dimension == query.Time {
				r.orderBy[i].Dimension = period.time
			}
		}
	}
	if err := checkBuckets(r.period, r.dimensions); err != nil {
		return nil, err
	}
	if r.timeAt >= 0 && (q.include.timeLabels || q.comparisons != nil) {
		r.buckets = a.bucketsOf(r.period.Period, r.dimensions[r.timeAt])
	}
	if q.comparisons == nil {
		return r, nil
	}
	other, err := a.comparisonPeriod(q.comparisons, period.Period)
	if err != nil {
		return nil, err
	}
	if err := checkBuckets(dateRange{Period: other}, r.dimensions); err != nil {
		return nil, err
	}
	r.other, r.otherCut = &other, other.SamePart(period.Period, a.now)
	return r, nil
}

func (a *asking) bucketsOf(p calendar.Period, d query.Dimension) []calendar.Bucket {
	iv, _ := query.IntervalOf(d)
	return calendar.Buckets(p.From, p.To, iv, p.Zone())
}

func (a *asking) comparisonPeriod(c *comparisonsV2, main calendar.Period) (calendar.Period, error) {
	var other calendar.Period
	switch c.mode {
	case "previous_period":
		other = main.Previous()
	case "year_over_year":
		other = main.YearBefore()
	default:
		r, err := periodAt("#/include/comparisons/date_range", c.rangeValue, a.now, a.first, a.site.Zone())
		if err != nil {
			return other, err
		}
		other = r.Period
	}
	if c.matchWeekday {
		other = other.MatchWeekday(main)
	}
	return other, nil
}

// question makes the question for a span; the order is the default unless one
// was given.
func (r *resolved) question(p calendar.Period) *query.Question {
	return &query.Question{From: p.From, To: p.To, Metrics: r.metrics, Dimensions: r.dimensions,
		Filter: r.filter, Goals: r.goals, OrderBy: r.order()}
}

func (a *asking) answerV2(q *queryV2) ([]byte, error) {
	r, err := a.resolve(q)
	if err != nil {
		return nil, err
	}
	ask := r.question(r.period.Period)
	// A series that is compared is put together from both ranges before it is cut into pages.
	series := r.other != nil && r.timeAt >= 0 && len(r.dimensions) == 1
	if !series {
		ask.Limit, ask.Offset = r.limit, r.offset
	}
	now, err := a.question(ask)
	if err != nil {
		return nil, err
	}
	now = r.money.settle(now)
	var rows []comparedRow
	total := now.TotalRows
	if r.other == nil {
		rows = plainRows(now)
	} else {
		then, err := a.question(r.question(r.otherCut))
		if err != nil {
			return nil, err
		}
		then = r.money.settle(then)
		rows = r.compare(now, then, a.bucketsOfOther(r))
		if series {
			rows = r.withMissing(rows, then, a.bucketsOfOther(r))
			total = len(rows)
			rows = rows[min(r.offset, len(rows)):]
			rows = rows[:min(r.limit, len(rows))]
		}
	}
	body := make([]byte, 0, 1024+96*len(rows))
	body = r.appendResults(append(body, `{"results":`...), rows)
	body = a.appendMeta(append(body, `,"meta":`...), r, now, total)
	body = a.appendQuery(append(body, `,"query":`...), r)
	return append(body, '}'), nil
}

func (a *asking) bucketsOfOther(r *resolved) []calendar.Bucket {
	if r.timeAt < 0 {
		return nil
	}
	return a.bucketsOf(*r.other, r.dimensions[r.timeAt])
}
