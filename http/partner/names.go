package partner

import (
	"strings"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Words of the dialect that are no metric and no dimension of package query.
const (
	dimSegment           = "segment"
	documentation        = "/v1/openapi.yaml"
	opHasDone            = "has_done"
	opHasNotDone         = "has_not_done"
	patternOperatorsText = "(matches, matches_not)"
)

// metricNamed finds a metric.
func metricNamed(s string) (query.Metric, bool) {
	switch m := query.Metric(s); m {
	case query.Visitors, query.Visits, query.Pageviews, query.Events, query.ViewsPerVisit, query.BounceRate,
		query.VisitDuration, query.ScrollDepth, query.TimeOnPage, query.Percentage, query.ExitRate, query.Entries,
		query.Exits, query.TotalRevenue, query.AverageRevenue, query.ConversionRate, query.GroupConversionRate:
		return m, true
	}
	return "", false
}

// dimensionNamed finds a dimension that rows can be grouped by; "time" is one.
func dimensionNamed(s string) (query.Dimension, bool) {
	d := query.Dimension(s)
	if key, ok := strings.CutPrefix(s, query.PropsPrefix); ok {
		return d, key != "" && len(key) <= analytics.PropKeyBytesMax
	}
	return d, d == query.EventGoal || isTime(d) || d.Known()
}

// isTime tells whether d is a time dimension, "time" included.
func isTime(d query.Dimension) bool {
	_, ok := query.IntervalOf(d)
	return ok || d == query.Time
}

// isProp tells whether d is a custom property.
func isProp(d query.Dimension) bool { return strings.HasPrefix(string(d), query.PropsPrefix) }

// isRevenue tells whether m is money, whose currency comes from goals.
func isRevenue(m query.Metric) bool { return m == query.TotalRevenue || m == query.AverageRevenue }

// sessionMetric tells whether m is a figure of whole visits, which single
// events by name, goal or property have none of.
func sessionMetric(m query.Metric) bool {
	switch m {
	case query.BounceRate, query.ViewsPerVisit, query.VisitDuration, query.Entries, query.Exits:
		return true
	}
	return false
}

// eventOnly tells whether d tells single events apart and never a visit. Pages
// and hosts are not: a visit has its landing and leaving ones.
func eventOnly(d query.Dimension) bool {
	return d == query.EventName || d == query.EventGoal || isProp(d)
}

// ofEvents tells whether d is an attribute of events, not of visits.
func ofEvents(d query.Dimension) bool { return d == query.EventGoal || d.EventScoped() }

// countryCode tells whether s has the form of an ISO 3166-1 alpha-2 code.
func countryCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

const textCountry = "Invalid visit:country filter, visit:country needs to be a valid 2-letter country code."
