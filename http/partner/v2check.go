package partner

import (
	"slices"
	"strings"

	"footfall/analytics/query"
)

// check applies the rules that join several members of a query.
func (q *queryV2) check() error {
	if q.include.timeLabels && !slices.ContainsFunc(q.dimensions, isTime) {
		return invalid("Invalid include.time_labels: requires a time dimension.")
	}
	for _, m := range q.metrics {
		if err := q.checkMetric(m); err != nil {
			return err
		}
	}
	return q.checkSessionMetrics()
}

func (q *queryV2) by(d query.Dimension) bool { return slices.Contains(q.dimensions, d) }

func (q *queryV2) checkMetric(m query.Metric) error {
	switch m {
	case query.ConversionRate, query.GroupConversionRate:
		if !q.tests.goals && !q.by(query.EventGoal) {
			return invalid("Metric `%s` can only be queried with event:goal filters or dimensions.", m)
		}
		if q.tests.nestedProps {
			return invalid("Invalid filters. When `conversion_rate` or `group_conversion_rate` metrics are used, custom property filters can only be used on top level.")
		}
	case query.ScrollDepth, query.TimeOnPage:
		if !q.tests.dims[query.EventPage] && !q.by(query.EventPage) {
			return invalid("Metric `%s` can only be queried with event:page filters or dimensions.", m)
		}
	case query.ViewsPerVisit:
		if q.tests.dims[query.EventPage] {
			return invalid("Metric `%s` cannot be queried with a filter on `event:page`.", m)
		}
		if slices.ContainsFunc(q.dimensions, func(d query.Dimension) bool { return !isTime(d) }) {
			return invalid("Metric `%s` cannot be queried with `dimensions`.", m)
		}
	case query.ExitRate:
		if len(q.dimensions) != 1 || q.dimensions[0] != query.ExitPage {
			return invalid("Metric `%s` requires a `\"visit:exit_page\"` dimension. No other dimensions are allowed.", m)
		}
	}
	return nil
}

// checkSessionMetrics refuses figures of whole visits for rows of single events.
func (q *queryV2) checkSessionMetrics() error {
	if !slices.ContainsFunc(q.dimensions, eventOnly) {
		return nil
	}
	var names []string
	for _, m := range q.metrics {
		if sessionMetric(m) {
			names = append(names, "`"+string(m)+"`")
		}
	}
	if len(names) == 0 {
		return nil
	}
	return invalid("Session metric(s) %s cannot be queried along with event dimensions.", strings.Join(names, ", "))
}
