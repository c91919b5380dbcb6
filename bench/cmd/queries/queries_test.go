package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/bench/history"
)

var last = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// A cache of answers must not have what is measured as not cached.
func TestVariationsOfAQuestionDiffer(t *testing.T) {
	for _, q := range questions() {
		seen := map[string]int{}
		for i := range 200 {
			r, err := q.at(i, last, false).request()
			if err != nil {
				t.Fatal(err)
			}
			seen[r.target+string(r.body)]++
		}
		least := 190
		switch q.at(0, last, false).Kind {
		case "realtime":
			least = 1
		case "months":
			least = 6
		}
		if len(seen) < least {
			t.Errorf("%s: %d different requests of 200, want %d", q.name, len(seen), least)
		}
	}
}

func TestRangesLieInTheHistory(t *testing.T) {
	first := last.AddDate(0, 0, 1-historyDays).Format(dateForm)
	for _, q := range questions() {
		for i := range 200 {
			for _, fixed := range []bool{false, true} {
				s := q.at(i, last, fixed)
				if s.Kind == "realtime" || s.Kind == "months" {
					continue
				}
				if s.From < first || s.To > last.Format(dateForm) || s.From > s.To || fixed && s.To != last.Format(dateForm) {
					t.Fatalf("%s, variation %d: from %s to %s", q.name, i, s.From, s.To)
				}
			}
		}
	}
}

func TestARequestIsAQueryOfTheAPI(t *testing.T) {
	s := spec{Kind: "breakdown", From: "2026-01-01", To: "2026-01-31", By: "page", Limit: 7, Filters: []filter{{"country", "is", "DE"}, {"page", "contains", "boot"}}}
	r, err := s.request()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"date_range":["2026-01-01","2026-01-31"],"dimensions":["event:page"],"filters":[["is","visit:country",["DE"]],["contains","event:page",["boot"]]],` +
		`"metrics":["visitors","pageviews"],"order_by":[["pageviews","desc"],["event:page","asc"]],"pagination":{"limit":7},"site_id":"site-0.bench"}`
	if r.method != "POST" || r.target != "/api/v2/query" || string(r.body) != want {
		t.Errorf("%s %s\n%s\nwant\n%s", r.method, r.target, r.body, want)
	}
}

func TestRowsOfTwoEnginesAreCompared(t *testing.T) {
	theirs := []row{{"", 3}, {"Google", 2}, {"none viewed it", 0}}
	for _, c := range []struct {
		ours []row
		want string
	}{
		{[]row{{"Direct / None", 3}, {"Google", 2}}, "equal in 3 rows"},
		{[]row{{"Direct / None", 3}, {"Google", 1}}, "**1 rows differ**"},
		{[]row{{"Direct / None", 3}}, "**1 rows differ**"},
		{[]row{{"Direct / None", 3}, {"Google", 2}, {"Bing", 1}}, "**1 rows differ**"},
		{nil, "not compared"},
	} {
		if got := same(c.ours, theirs); got != c.want {
			t.Errorf("%v: %s, want %s", c.ours, got, c.want)
		}
	}
}

func TestMillionsAreRead(t *testing.T) {
	got, err := millions("0.1, 10,")
	if err != nil || len(got) != 2 || got[0] != 100_000 || got[1] != 10_000_000 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"x", "-1", "0"} {
		if _, err := millions(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// peerColumns is how many columns the table of bench/peers has.
const peerColumns = 32

func TestARowHasEveryColumnAndItsVisitsAttributes(t *testing.T) {
	visit := history.Visit{Number: 5, Visitor: 1 << 63, First: analytics.Event{Acquisition: analytics.Acquisition{Source: "Google"}}}
	ev := analytics.Event{Time: last.UnixMilli(), Name: "Purchase", Page: "/thanks", Kind: analytics.Custom,
		Props: []analytics.Prop{{Key: "plan", Value: "pro"}, {Key: "item", Value: "1"}}, Revenue: analytics.Revenue{Amount: 12_000_000, Currency: "EUR"},
		Acquisition: analytics.Acquisition{Source: "of a later event"}}
	text := string(appendRow(nil, &ev, &visit))
	fields := strings.Split(strings.TrimSuffix(text, "\n"), "\t")
	if len(fields) != peerColumns || !strings.HasSuffix(text, "\n") {
		t.Fatalf("%d columns: %q", len(fields), text)
	}
	for i, want := range map[int]string{1: "20779", 2: "202611", 3: "1", 5: "/thanks", 7: "5", 8: "-9223372036854775808", 9: "Google", 29: "plan=pro;item=1", 30: "12000000", 31: "EUR"} {
		if fields[i] != want {
			t.Errorf("column %d: %q, want %q", i, fields[i], want)
		}
	}
}

func TestTheRowsOfAnAnswerAreRead(t *testing.T) {
	var a asker
	a.res.SetBodyString(`{"results":[{"metrics":[2,9],"dimensions":["/b"]},{"metrics":[1,3],"dimensions":["/a"]}],"meta":{}}`)
	if got, _ := json.Marshal(a.rows()); !bytes.Equal(got, []byte(`[{"label":"/a","views":3},{"label":"/b","views":9}]`)) {
		t.Errorf("%s", got)
	}
}
