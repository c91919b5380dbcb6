package query

import "testing"

func TestChange(t *testing.T) {
	n := func(x float64) Value { return Value{Number: x} }
	null := Value{Null: true}
	for _, c := range []struct {
		m         Metric
		now, then Value
		want      int
		ok        bool
	}{
		{Visitors, n(150), n(100), 50, true},
		{Visitors, n(100), n(150), -33, true},
		{Visitors, n(7), n(0), 100, true},
		{Visitors, n(0), n(0), 0, true},
		{Visitors, n(0), n(9), -100, true},
		{BounceRate, n(38), n(41), -3, true},
		{BounceRate, n(41.4), n(0), 41, true},
		{ExitRate, n(12.34), n(10.1), 2, true},
		{ViewsPerVisit, n(1.5249), n(1.4951), 1, true}, // shown 1.52 and 1.50
		{VisitDuration, n(75.4), n(75.6), -1, true},    // shown 75 and 76
		{TimeOnPage, null, n(10), 0, false},
		{TimeOnPage, n(10), null, 0, false},
		{TotalRevenue, Value{Number: 20, Currency: "EUR"}, Value{Number: 10, Currency: "EUR"}, 100, true},
		{TotalRevenue, Value{Number: 20, Currency: "EUR"}, Value{Number: 10, Currency: "USD"}, 0, false},
	} {
		got, ok := Change(c.m, c.now, c.then)
		if got != c.want || ok != c.ok {
			t.Errorf("%s from %v to %v: got %d %v, want %d %v", c.m, c.then, c.now, got, ok, c.want, c.ok)
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct {
		m       Metric
		x, want float64
	}{
		{Visitors, 12, 12}, {BounceRate, 66.5, 67}, {BounceRate, 66.4, 66}, {VisitDuration, 0.5, 1},
		{ViewsPerVisit, 1.005, 1}, {ViewsPerVisit, 1.516, 1.52}, {Percentage, 33.3333, 33.33}, {ExitRate, 12.34, 12.3},
		{TotalRevenue, 1.2345, 1.2345},
	} {
		if got := Shown(c.m, c.x); got != c.want {
			t.Errorf("%s %v: got %v, want %v", c.m, c.x, got, c.want)
		}
	}
}
