package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"footfall/bench/traffic"
)

// spec is a question that every engine understands. Its JSON form is what the
// peers read; it must say the same as the struct of the same name there.
type spec struct {
	Kind     string   `json:"kind"` // series, breakdown, funnel, realtime, months
	From     string   `json:"from"` // first day
	To       string   `json:"to"`   // last day
	Interval string   `json:"interval,omitempty"`
	By       string   `json:"by,omitempty"` // page, source
	Filters  []filter `json:"filters,omitempty"`
	Limit    int      `json:"limit,omitempty"`
	Steps    []string `json:"steps,omitempty"`  // page globs
	Months   int      `json:"months,omitempty"` // how many, to the month of To
	Now      int64    `json:"now,omitempty"`    // Unix ms, for realtime
}

// filter is a condition on a field: is, contains or matches.
type filter struct {
	By    string `json:"by"`
	Op    string `json:"op"`
	Value string `json:"value"`
}

// fields maps the neutral names to the API's.
var fields = map[string]string{"page": "event:page", "source": "visit:source", "country": "visit:country", "device": "visit:device"}

// request is a spec as the node is asked.
type request struct {
	method, target string
	body           []byte
}

func (s spec) request() (request, error) {
	site := traffic.Domain(0)
	switch s.Kind {
	case "realtime":
		return request{"GET", "/api/v1/stats/realtime/visitors?site_id=" + url.QueryEscape(site), nil}, nil
	case "months":
		return request{"GET", fmt.Sprintf("/v1/sites/%s/months?months=%d&end=%s", site, s.Months, s.To[:7]), nil}, nil
	}
	body := map[string]any{"date_range": []string{s.From, s.To}}
	if s.Kind == "funnel" {
		steps := make([]map[string]string, len(s.Steps))
		for i, page := range s.Steps {
			steps[i] = map[string]string{"page": page}
		}
		body["steps"] = steps
		b, err := json.Marshal(body)
		return request{"POST", "/v1/sites/" + site + "/funnel", b}, err
	}
	body["site_id"] = site
	if s.Kind == "series" {
		body["metrics"] = []string{"visitors", "visits", "pageviews"}
		body["dimensions"] = []string{"time:" + s.Interval}
	} else {
		body["metrics"] = []string{"visitors", "pageviews"}
		body["dimensions"] = []string{fields[s.By]}
		body["order_by"] = [][2]string{{"pageviews", "desc"}, {fields[s.By], "asc"}}
		body["pagination"] = map[string]int{"limit": s.Limit}
	}
	if len(s.Filters) > 0 {
		var all []any
		for _, f := range s.Filters {
			all = append(all, []any{f.Op, fields[f.By], []string{f.Value}})
		}
		body["filters"] = all
	}
	b, err := json.Marshal(body)
	return request{"POST", "/api/v2/query", b}, err
}

// question is one line of the tables: specs that differ in something harmless,
// so that no cache of answers can have them.
type question struct {
	name       string
	goal       string // p99
	unfiltered bool
	days       int // of the range; 0: no range
	make       func(i int, s spec) spec
}

// at gives the i-th variation. last is the last day of the history or today; a
// range that must end there is varied at its beginning only.
func (q question) at(i int, last time.Time, fixedEnd bool) spec {
	from, to := last.AddDate(0, 0, 1-q.days), last
	switch {
	case q.days == 0:
	case fixedEnd:
		from = from.AddDate(0, 0, i%60)
		if q.days <= 30 {
			from = last.AddDate(0, 0, 1-q.days-i%5)
		}
	case q.days <= 30:
		to = to.AddDate(0, 0, -(i % 90))
		from = to.AddDate(0, 0, 1-q.days+i/90%3)
	default:
		from, to = from.AddDate(0, 0, i%60), to.AddDate(0, 0, -(i/60%30))
	}
	s := spec{From: from.Format(dateForm), To: to.Format(dateForm), Limit: 100 - i/180%20}
	return q.make(i, s)
}

const (
	goalUnfiltered = "< 5"
	goalOne        = "< 25"
	goalTwo        = "< 150"
)

// questions lists what is asked.
func questions() []question {
	series := func(interval string) func(int, spec) spec {
		return func(_ int, s spec) spec {
			s.Kind, s.Interval, s.Limit = "series", interval, 0
			return s
		}
	}
	breakdown := func(by string, filters func(i int) []filter) func(int, spec) spec {
		return func(i int, s spec) spec {
			s.Kind, s.By = "breakdown", by
			if filters != nil {
				s.Filters = filters(i)
			}
			return s
		}
	}
	pick := func(i int, list ...string) string { return list[i%len(list)] }
	country := func(i int) filter {
		return filter{"country", "is", pick(i, "US", "DE", "IN", "BR", "FR", "JP", "GB")}
	}
	one := func(i int) []filter { return []filter{country(i)} }
	two := func(i int) []filter {
		return []filter{country(i), {"device", "is", pick(i/7, "Mobile", "Desktop")}}
	}
	contains := func(i int) []filter {
		return []filter{{"page", "contains", pick(i, "boot", "lamp", "-ru", "tent", "knife", "nordic", "quiet")}}
	}
	matches := func(i int) []filter {
		return []filter{{"page", "matches", pick(i, `^/blog/.*-lamp-\d+$`, `red|alpine`, `^/products/(warm|city)-.*[05]$`, `-(mug|vase)-\d{2,4}$`, `/help/.+tent`)}}
	}
	return []question{
		{"30-day series", goalUnfiltered, true, 30, series("day")},
		{"12-month series", goalUnfiltered, true, historyDays, series("month")},
		{"top 100 pages, 30 days", goalUnfiltered, true, 30, breakdown("page", nil)},
		{"top 100 pages, 12 months", goalUnfiltered, true, historyDays, breakdown("page", nil)},
		{"top sources, 30 days", goalUnfiltered, true, 30, breakdown("source", nil)},
		{"top sources, 12 months", goalUnfiltered, true, historyDays, breakdown("source", nil)},
		{"country filter, sources, 30 days", goalOne, false, 30, breakdown("source", one)},
		{"country and device filter, pages, 12 months", goalTwo, false, historyDays, breakdown("page", two)},
		{"page contains, pages, 30 days", goalOne, false, 30, breakdown("page", contains)},
		{"page contains, pages, 12 months", "", false, historyDays, breakdown("page", contains)},
		{"page matches, pages, 30 days", goalOne, false, 30, breakdown("page", matches)},
		{"page matches, pages, 12 months", "", false, historyDays, breakdown("page", matches)},
		{"funnel of 5 steps, 30 days", "", false, 30, func(_ int, s spec) spec {
			s.Kind, s.Limit, s.Steps = "funnel", 0, []string{"/**", "/products/*", "/cart", "/checkout", "/thanks"}
			return s
		}},
		{"realtime", goalUnfiltered, true, 0, func(_ int, s spec) spec {
			return spec{Kind: "realtime", Now: time.Now().UnixMilli()}
		}},
		{"monthly status", goalUnfiltered, true, 0, func(i int, s spec) spec {
			return spec{Kind: "months", To: s.To, Months: 12 - i%6}
		}},
	}
}
