package query

import "math"

// Decimals is how many decimals a metric is shown with, in every door alike.
func Decimals(m Metric) int {
	switch m {
	case ViewsPerVisit, Percentage, TotalRevenue, AverageRevenue, ConversionRate, GroupConversionRate:
		return 2
	case ExitRate:
		return 1
	}
	return 0
}

// Shown rounds x as the metric is shown. Revenue keeps its minor units.
func Shown(m Metric, x float64) float64 {
	switch m {
	case TotalRevenue, AverageRevenue:
		return x
	}
	if n := Decimals(m); n > 0 {
		scale := math.Pow10(n)
		return math.Round(x*scale) / scale
	}
	return math.Round(x)
}

// inPoints are the rates, whose change is a difference and not a ratio.
func inPoints(m Metric) bool {
	switch m {
	case BounceRate, ExitRate, Percentage, ConversionRate, GroupConversionRate:
		return true
	}
	return false
}

// Change gives how a figure moved: percent of then, rounded; from zero it is
// 100 when now is more, else 0; rates move in points. Both are taken as they
// are shown, so that a reader can check it. False when either is null or the
// two are sums of different currencies.
func Change(m Metric, now, then Value) (int, bool) {
	if now.Null || then.Null || now.Currency != then.Currency {
		return 0, false
	}
	a, b := Shown(m, now.Number), Shown(m, then.Number)
	switch {
	case inPoints(m):
		return int(math.Round(a - b)), true
	case b == 0 && a > 0:
		return 100, true
	case b == 0:
		return 0, true
	}
	return int(math.Round((a - b) / b * 100)), true
}

// Nothing is the figure of a metric where no visit and no event is.
func Nothing(m Metric) Value {
	switch m {
	case ScrollDepth, TimeOnPage, TotalRevenue, AverageRevenue:
		return Value{Null: true}
	}
	return Value{}
}
