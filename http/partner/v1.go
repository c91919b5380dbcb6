package partner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

const (
	breakdownLimit    = 100
	breakdownLimitMax = 1000
	breakdownPageMax  = 1_000_000
)

// queryV1 is what the three larger endpoints of v1 share.
type queryV1 struct {
	*filterV1
	words    *words
	period   calendar.Period
	long     bool           // 6mo and 12mo, whose series is by month
	metrics  []query.Metric // as they are named in the answer
	imported bool           // imported statistics are to be in the answer
}

// requestV1 is a request to one of the endpoints of v1.
type requestV1 struct {
	*asking
	words *words
}

// openV1 finds the site and opens the request; the caller must call done.
func (d *Door) openV1(ctx *fasthttp.RequestCtx, who accounts.Identity) (r *requestV1, done func(), err error) {
	site, err := d.site(ctx, who, string(ctx.QueryArgs().Peek("site_id")))
	if err != nil {
		return nil, nil, err
	}
	a, done, err := d.ask(ctx, site)
	return &requestV1{asking: a, words: d.words(site, who)}, done, err
}

func parameter(ctx *fasthttp.RequestCtx, name, otherwise string) string {
	if v := ctx.QueryArgs().Peek(name); len(v) > 0 {
		return string(v)
	}
	return otherwise
}

func (a *requestV1) parse(ctx *fasthttp.RequestCtx, property query.Dimension) (*queryV1, error) {
	q := &queryV1{words: a.words, imported: parameter(ctx, "with_imported", "") == "true"}
	var err error
	if err = a.parsePeriod(q, parameter(ctx, "period", "30d"), parameter(ctx, "date", "")); err != nil {
		return nil, err
	}
	if q.filterV1, err = parseFilterText(parameter(ctx, "filters", ""), a.words); err != nil {
		return nil, err
	}
	return q, q.parseMetrics(parameter(ctx, "metrics", string(query.Visitors)), property)
}

func (a *asking) parsePeriod(q *queryV1, period, date string) error {
	zone := a.site.Zone()
	if period == "custom" {
		if date == "" {
			return invalid("The `date` parameter is required when using a custom period. See %s", documentation)
		}
		first, last, _ := strings.Cut(date, ",")
		r, ok := customRange(first, last, zone)
		if _, isDate := calendar.ParseDate(first); !ok || !isDate {
			return invalid("Invalid format for `date` parameter. When using a custom period, please include two ISO-8601 formatted dates joined by a comma. See %s", documentation)
		}
		q.period = r.Period
		return nil
	}
	day := calendar.DateOf(a.now, zone)
	if date != "" {
		var ok bool
		if day, ok = calendar.ParseDate(date); !ok || !inCalendar(day) {
			return invalid("Error parsing `date` parameter: invalid date `%s`. Please specify a valid date in ISO-8601 format.", cut(date))
		}
	}
	switch period {
	case "day":
		q.period = calendar.DayPeriod(day, day, zone)
	case "7d":
		q.period = calendar.DayPeriod(day.AddDays(-7), day.AddDays(-1), zone)
	case "30d":
		q.period = calendar.DayPeriod(day.AddDays(-30), day.AddDays(-1), zone)
	case "month":
		q.period = calendar.MonthPeriod(day, 1, zone)
	case "6mo":
		q.period, q.long = calendar.MonthPeriod(day.MonthStart().AddMonths(-6), 6, zone), true
	case "12mo":
		q.period, q.long = calendar.MonthPeriod(day.MonthStart().AddMonths(-12), 12, zone), true
	default:
		return invalid("Error parsing `period` parameter: invalid period `%s`. Please find accepted values in our docs: %s", cut(period), documentation)
	}
	return nil
}

func (q *queryV1) parseMetrics(list string, property query.Dimension) error {
	for name := range strings.SplitSeq(list, ",") {
		m := query.Metric(strings.TrimSpace(name))
		switch m {
		case query.Visitors, query.Visits, query.Pageviews, query.ViewsPerVisit, query.BounceRate, query.VisitDuration,
			query.Events, query.TimeOnPage, query.ConversionRate:
		default:
			return invalid("The metric `%s` is not recognized. Find valid metrics from the documentation: %s", cut(string(m)), documentation)
		}
		if slices.Contains(q.metrics, m) {
			return invalid("Metrics cannot be queried multiple times.")
		}
		if err := q.checkMetric(m, property); err != nil {
			return err
		}
		q.metrics = append(q.metrics, m)
	}
	return nil
}

// checkMetric applies the rules that join a metric with property and filters.
func (q *queryV1) checkMetric(m query.Metric, property query.Dimension) error {
	byPage := slices.Contains(q.dims, query.EventPage)
	switch {
	case m == query.ConversionRate && !q.goals && property != query.EventGoal:
		return invalid("Metric `%s` can only be queried in a goal breakdown or with a goal filter", m)
	case m == query.ViewsPerVisit && property != "":
		return invalid("Metric `%s` is not supported in breakdown queries", m)
	case m == query.ViewsPerVisit && byPage:
		return invalid("Metric `%s` cannot be queried with a filter on `event:page`.", m)
	case m == query.TimeOnPage && !byPage && property != query.EventPage:
		return invalid("Metric `%s` can only be queried in a page breakdown or with a page filter.", m)
	case !sessionMetric(m):
		return nil
	case property != "" && eventOnly(property):
		return invalid("Session metric `%s` cannot be queried for breakdown by `%s`.", m, property)
	}
	if i := slices.IndexFunc(q.dims, eventOnly); i >= 0 {
		return invalid("Session metric `%s` cannot be queried when using a filter on `%s`.", m, q.dims[i])
	}
	return nil
}

func (q *queryV1) question(p calendar.Period, dims ...query.Dimension) *query.Question {
	ask := &query.Question{From: p.From, To: p.To, Metrics: q.metrics, Dimensions: dims, Filter: q.filter}
	if len(dims) == 0 || isTime(dims[0]) {
		return ask
	}
	switch {
	case dims[0] == query.EventGoal && q.goals:
		ask.Goals = q.reached
	case dims[0] == query.EventGoal:
		ask.Goals = q.words.every()
	case !isProp(dims[0]):
		// In a breakdown of v1 a rate is that of the row's own visitors, unless rows
		// are by goal or property.
		if i := slices.Index(q.metrics, query.ConversionRate); i >= 0 {
			ask.Metrics = slices.Clone(q.metrics)
			ask.Metrics[i] = query.GroupConversionRate
		}
	}
	return ask
}

// end closes a body, with a warning when imported statistics were asked for.
func (q *queryV1) end(body []byte) []byte {
	if q.imported {
		body = appendText(append(body, `,"warning":`...), textNoImports)
	}
	return append(body, '}')
}

const textNoImports = "Imported statistics are not included, as the site has none. Imported events are counted like all others."

// realtimeV1 answers the number of visitors with a page view in the last five
// minutes, bare.
func (d *Door) realtimeV1(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	a, done, err := d.openV1(ctx, who)
	if err != nil {
		return err
	}
	defer done()
	viewed := &query.Filter{Op: query.Is, Dim: query.EventName, Values: []string{analytics.NamePageview}}
	answer, err := a.question(&query.Question{From: a.now - 5*minuteMS, To: a.now + 1, Metrics: []query.Metric{query.Visitors}, Filter: viewed})
	if err != nil {
		return err
	}
	a.write(ctx, appendNumber(nil, one(answer, 1)[0].Number))
	return nil
}

// one gives the values of an aggregate, which has one row.
func one(a *query.Answer, metrics int) []query.Value {
	if len(a.Rows) == 0 {
		return make([]query.Value, metrics)
	}
	return a.Rows[0].Values
}

func (d *Door) aggregateV1(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	a, done, err := d.openV1(ctx, who)
	if err != nil {
		return err
	}
	defer done()
	q, err := a.parse(ctx, "")
	if err != nil {
		return err
	}
	compare := parameter(ctx, "compare", "")
	if compare != "" && compare != "previous_period" {
		return invalid("Invalid `compare` parameter `%s`. Only `previous_period` is supported.", cut(compare))
	}
	answer, err := a.question(q.question(q.period))
	if err != nil {
		return err
	}
	now := one(answer, len(q.metrics))
	var then []query.Value
	if compare != "" {
		if answer, err = a.question(q.question(q.period.Previous().SamePart(q.period, a.now))); err != nil {
			return err
		}
		then = one(answer, len(q.metrics))
	}
	body := []byte(`{"results":{`)
	for i, m := range q.metrics {
		body = append(appendKey(body, string(m)), `{"value":`...)
		body = appendFigure(body, m, now[i])
		if then != nil {
			body = appendChange(append(body, `,"change":`...), m, now[i], then[i])
		}
		body = append(body, '}')
	}
	a.write(ctx, q.end(append(body, '}')))
	return nil
}

func (d *Door) timeseriesV1(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	a, done, err := d.openV1(ctx, who)
	if err != nil {
		return err
	}
	defer done()
	q, err := a.parse(ctx, "")
	if err != nil {
		return err
	}
	interval := query.TimeDay
	switch given := parameter(ctx, "interval", ""); {
	case given == "month" || given == "" && q.long:
		interval = query.TimeMonth
	case given != "" && given != "day" && given != "date":
		return invalid("Error parsing `interval` parameter: invalid interval `%s`. Valid intervals are `day`, `month`", cut(given))
	}
	if err := checkBuckets(dateRange{Period: q.period}, []query.Dimension{interval}); err != nil {
		return err
	}
	answer, err := a.question(q.question(q.period, interval))
	if err != nil {
		return err
	}
	rows := make(map[string][]query.Value, len(answer.Rows))
	for _, row := range answer.Rows {
		rows[row.Dims[0]] = row.Values
	}
	body := []byte(`{"results":[`)
	for i, b := range a.bucketsOf(q.period, interval) {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendText(append(body, `{"date":`...), b.Label)
		values, ok := rows[b.Label]
		for k, m := range q.metrics {
			v := emptyBucket(m)
			if ok {
				v = values[k]
			}
			body = appendFigure(appendKey(body, string(m)), m, v)
		}
		body = append(body, '}')
	}
	a.write(ctx, q.end(append(body, ']')))
	return nil
}

// emptyBucket is what v1 shows where nothing was counted.
func emptyBucket(m query.Metric) query.Value {
	if m == query.VisitDuration {
		return query.Value{Null: true}
	}
	return query.Nothing(m)
}

func (d *Door) breakdownV1(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	a, done, err := d.openV1(ctx, who)
	if err != nil {
		return err
	}
	defer done()
	property, err := parseProperty(parameter(ctx, "property", ""))
	if err != nil {
		return err
	}
	q, err := a.parse(ctx, property)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(parameter(ctx, "limit", strconv.Itoa(breakdownLimit)))
	if err != nil || limit < 1 || limit > breakdownLimitMax {
		return invalid("Please provide limit as a number between 1 and %d.", breakdownLimitMax)
	}
	page, err := strconv.Atoi(parameter(ctx, "page", "1"))
	if err != nil || page < 1 || page > breakdownPageMax {
		return invalid("Please provide page as a number between 1 and %d.", breakdownPageMax)
	}
	ask := q.question(q.period, property)
	ask.Limit, ask.Offset = limit, (page-1)*limit
	answer, err := a.question(ask)
	if err != nil {
		return err
	}
	body := []byte(`{"results":[`)
	for i, row := range answer.Rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendText(append(appendText(append(body, '{'), bare(property)), ':'), row.Dims[0])
		for k, m := range q.metrics {
			body = appendFigure(appendKey(body, string(m)), m, row.Values[k])
		}
		body = append(body, '}')
	}
	a.write(ctx, q.end(append(body, ']')))
	return nil
}

// bare names a property as rows do: without its prefix.
func bare(d query.Dimension) string {
	if key, ok := strings.CutPrefix(string(d), query.PropsPrefix); ok {
		return key
	}
	_, name, _ := strings.Cut(string(d), ":")
	return name
}

func parseProperty(s string) (query.Dimension, error) {
	switch s {
	case "":
		return "", invalid("The `property` parameter is required. Please provide at least one property to show a breakdown by.")
	case string(query.EventHostname):
		return "", invalid("Property 'event:hostname' is currently not supported for breakdowns. Please provide a valid property for the breakdown endpoint: %s", documentation)
	}
	d, ok := dimensionNamed(s)
	if !ok || isTime(d) {
		return "", invalid("Invalid property '%s'. Please provide a valid property for the breakdown endpoint: %s", cut(s), documentation)
	}
	return d, nil
}
