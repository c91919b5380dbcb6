package partner

import (
	"maps"
	"slices"

	"footfall/analytics/query"
)

// Why revenue is null, as the dialect codes it.
const (
	noRevenueGoals        = "no_revenue_goals_matching"
	severalCurrencies     = "no_single_revenue_currency"
	textNoRevenueGoals    = "Revenue metrics are null as no goal with revenue matches the query."
	textSeveralCurrencies = "Revenue metrics are null as there are several currencies among the goals or their events."
)

// money says in which currency the revenue of a query is: in that of the goals
// that the query is about.
type money struct {
	metrics  []query.Metric    // of the query
	at       []int             // places of revenue among them; empty: none was asked for
	warning  query.Warning     // why there is none at all; no Code: there is
	currency string            // of every row, unless
	goalAt   int               // is the place of the goal in a row's dimensions, then
	byGoal   map[string]string // has it by the goal's name
}

func (q *queryV2) money() *money {
	m := &money{metrics: q.metrics, goalAt: slices.Index(q.dimensions, query.EventGoal)}
	for i, metric := range q.metrics {
		if isRevenue(metric) {
			m.at = append(m.at, i)
		}
	}
	goals := q.tests.reached
	if m.goalAt >= 0 {
		goals = q.goals
	}
	several := false
	m.byGoal = map[string]string{}
	for _, g := range goals {
		if g.Currency == "" {
			continue
		}
		several = several || m.currency != "" && m.currency != g.Currency
		m.byGoal[g.Name], m.currency = g.Currency, g.Currency
	}
	switch {
	case m.currency == "":
		m.warning = query.Warning{Code: noRevenueGoals, Text: textNoRevenueGoals}
	case several && m.goalAt < 0:
		m.warning = query.Warning{Code: severalCurrencies, Text: textSeveralCurrencies}
	}
	return m
}

// none tells whether revenue was asked for and is null everywhere.
func (m *money) none() bool { return len(m.at) > 0 && m.warning.Code != "" }

// of gives the currency of a row, "" if it has none.
func (m *money) of(dims []string) string {
	switch {
	case m.warning.Code != "":
		return ""
	case m.goalAt >= 0:
		return m.byGoal[dims[m.goalAt]]
	}
	return m.currency
}

// settle brings the revenue of an answer into the form of the dialect: null
// where there is no currency, and zero of it where no event had any. The answer
// that is given stays as it is.
func (m *money) settle(a *query.Answer) *query.Answer {
	if len(m.at) == 0 {
		return a
	}
	out := *a
	out.Warnings = maps.Clone(a.Warnings)
	warn := func(i int, w query.Warning) {
		if out.Warnings == nil {
			out.Warnings = map[query.Metric]query.Warning{}
		}
		out.Warnings[m.metrics[i]] = w
	}
	out.Rows = slices.Clone(a.Rows)
	for k := range out.Rows {
		r := &out.Rows[k]
		r.Values = slices.Clone(r.Values)
		for _, i := range m.at {
			if w := a.Warnings[m.metrics[i]]; w.Code == severalCurrencies && r.Values[i].Null {
				continue
			}
			if !m.figure(r, i) {
				warn(i, query.Warning{Code: severalCurrencies, Text: textSeveralCurrencies})
			}
		}
	}
	if m.none() {
		for _, i := range m.at {
			warn(i, m.warning)
		}
	}
	return &out
}

// nothing settles a row in which nothing was counted.
func (m *money) nothing(r *query.Row) {
	for _, i := range m.at {
		m.figure(r, i)
	}
}

// figure settles one figure; false if its events have another currency than its
// goal, so that it has to be null.
func (m *money) figure(r *query.Row, i int) bool {
	v, currency := r.Values[i], m.of(r.Dims)
	switch {
	case currency == "":
		v = query.Value{Null: true}
	case v.Null:
		v = query.Value{Currency: currency}
	case v.Currency != currency:
		r.Values[i] = query.Value{Null: true}
		return false
	}
	r.Values[i] = v
	return true
}

// order is how the rows are to be asked for: revenue that is null everywhere
// sorts nothing, whatever it would have been.
func (r *resolved) order() []query.Order {
	if !r.money.none() {
		return r.orderBy
	}
	order := slices.DeleteFunc(slices.Clone(r.orderBy), func(o query.Order) bool { return isRevenue(o.Metric) })
	switch {
	case len(order) > 0 || len(r.dimensions) == 0 || len(r.orderBy) == 0 && !isRevenue(r.metrics[0]):
		return order
	case r.timeAt >= 0:
		return []query.Order{{Dimension: r.dimensions[r.timeAt]}}
	}
	return []query.Order{{Dimension: r.dimensions[0]}}
}
