package partner

import (
	"strings"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Names of the dialect that are not computed yet: they need goals or segments.
const (
	dimGoal              = "event:goal"
	conversionRate       = "conversion_rate"
	groupConversionRate  = "group_conversion_rate"
	dimSegment           = "segment"
	documentation        = "/v1/openapi.yaml"
	opHasDone            = "has_done"
	opHasNotDone         = "has_not_done"
	patternOperatorsText = "(matches, matches_not)"
)

// metricNamed finds a metric that can be computed.
func metricNamed(s string) (query.Metric, bool) {
	switch m := query.Metric(s); m {
	case query.Visitors, query.Visits, query.Pageviews, query.Events, query.ViewsPerVisit, query.BounceRate,
		query.VisitDuration, query.ScrollDepth, query.TimeOnPage, query.Percentage, query.ExitRate, query.Entries,
		query.Exits, query.TotalRevenue, query.AverageRevenue:
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
	return d, d == query.Time || d.Known()
}

// isTime tells whether d is a time dimension, "time" included.
func isTime(d query.Dimension) bool {
	_, ok := query.IntervalOf(d)
	return ok || d == query.Time
}

// sessionMetric tells whether m is a figure of whole visits, which single
// events by name or property have none of.
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
	return d == query.EventName || strings.HasPrefix(string(d), query.PropsPrefix)
}

// countryCode tells whether s has the form of an ISO 3166-1 alpha-2 code.
func countryCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

const textCountry = "Invalid visit:country filter, visit:country needs to be a valid 2-letter country code."
