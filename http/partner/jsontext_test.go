package partner

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"footfall/analytics/query"
)

func TestTextsAreJSON(t *testing.T) {
	for _, s := range []string{"", "plain", `"\`, "a\nb\tc\rd", "\x00\x1f\x7f", "é €", "\u2028\u2029", "<script>&", strings.Repeat("x", 3000)} {
		var back string
		if err := json.Unmarshal(appendText(nil, s), &back); err != nil || back != s {
			t.Errorf("%q became %s (%v)", s, appendText(nil, s), err)
		}
	}
	if got := string(appendText(nil, "a\xffb")); got != `"a`+"\ufffd"+`b"` {
		t.Errorf("no UTF-8: %s", got)
	}
}

func FuzzTextsAreJSON(f *testing.F) {
	f.Add("a\"\\\u2028\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendText(nil, s), &back); err != nil || back != string([]rune(s)) {
			t.Errorf("%q became %s (%v)", s, appendText(nil, s), err)
		}
	})
}

func TestFiguresHaveTheirForm(t *testing.T) {
	money := func(x float64, currency string) query.Value { return query.Value{Number: x, Currency: currency} }
	for _, c := range []struct {
		m    query.Metric
		v    query.Value
		want string
	}{
		{query.Visitors, query.Value{Number: 9007199254740992}, "9007199254740992"},
		{query.BounceRate, query.Value{Number: 66.6}, "67"},
		{query.VisitDuration, query.Value{Number: 74.5}, "75"},
		{query.ViewsPerVisit, query.Value{Number: 1.5}, "1.5"},
		{query.ViewsPerVisit, query.Value{Number: 2.3456}, "2.35"},
		{query.Percentage, query.Value{Number: 33.333}, "33.33"},
		{query.ExitRate, query.Value{Number: 33.36}, "33.4"},
		{query.ScrollDepth, query.Value{Null: true}, "null"},
		{query.ViewsPerVisit, query.Value{Number: math.NaN()}, "null"},
		{query.Visitors, query.Value{Number: math.Copysign(0, -1)}, "0"},
		{query.TotalRevenue, query.Value{Null: true}, "null"},
		{query.TotalRevenue, money(0.005, "USD"), `{"value":0.01,"currency":"USD","short":"$0.01","long":"$0.01"}`},
		{query.TotalRevenue, money(999.5, "EUR"), `{"value":999.5,"currency":"EUR","short":"€999.50","long":"€999.50"}`},
		{query.TotalRevenue, money(1234.5, "USD"), `{"value":1234.5,"currency":"USD","short":"$1.2K","long":"$1,234.50"}`},
		{query.TotalRevenue, money(1000, "USD"), `{"value":1000,"currency":"USD","short":"$1K","long":"$1,000.00"}`},
		{query.TotalRevenue, money(999_949, "USD"), `{"value":999949,"currency":"USD","short":"$999.9K","long":"$999,949.00"}`},
		{query.TotalRevenue, money(999_950, "USD"), `{"value":999950,"currency":"USD","short":"$1M","long":"$999,950.00"}`},
		{query.TotalRevenue, money(500_200_700.25, "EUR"), `{"value":500200700.25,"currency":"EUR","short":"€500.2M","long":"€500,200,700.25"}`},
		{query.AverageRevenue, money(-1234.567, "JPY"), `{"value":-1235,"currency":"JPY","short":"-¥1.2K","long":"-¥1,235"}`},
		{query.AverageRevenue, money(12.3456, "KWD"), `{"value":12.346,"currency":"KWD","short":"KWD 12.346","long":"KWD 12.346"}`},
	} {
		if got := string(appendFigure(nil, c.m, c.v)); got != c.want {
			t.Errorf("%s %+v: got %s, want %s", c.m, c.v, got, c.want)
		}
	}
}
