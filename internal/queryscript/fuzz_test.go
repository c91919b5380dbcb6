package queryscript

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics/session"
)

// The targets here send what strangers may send through everything that a question
// passes, from bytes to the answer of the evaluator, over a small site of which
// some days are sealed and one still counts. Whatever comes: never a panic, never
// an error of ours, and bounds that hold.

const (
	rowsShownMax = 10_000
	patience     = 20 * time.Second // for a question of a small site: more is a hang
)

// smallSite has a bit of everything that can be asked for.
func smallSite(tb testing.TB) *world {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	w, err := newWorld("zone=Europe/Berlin", false)
	must(err)
	for _, g := range []string{`"Signup" event=Signup`, `"Buy" event=Buy currency=EUR`, `"Buy pro" event=Buy props.plan=pro currency=EUR`, `"Visit /blog/**" page=/blog/**`,
		`"Read" page=/blog/* scroll=50`, `"Dollars" event=Pay currency=USD`} {
		must(w.goal(g))
	}
	must(w.segment(`7 "Germans" [["is","visit:country",["DE"]]]`))
	must(w.segment(`8 "Nested" [["or",[["is","segment",[7]],["is","event:page",["/"]]]]]`))
	for day := 1; day <= 28; day += 3 {
		for _, line := range []string{
			"09:00  anna%[2]d  /             source=Google country=DE region=DE-BE city=2950159 browser=Chrome os=Mac device=Desktop utm_campaign=spring",
			"+1m    anna%[2]d  /blog/a       props.plan=pro",
			"+20s   anna%[2]d  engagement /blog/a scroll=70 engaged=15s",
			"+1m    anna%[2]d  /             event=Buy props.plan=pro revenue=12.50EUR",
			"10:00  bob        /pricing      source=Bing country=US browser=Firefox language=en screen_class=XL hostname=shop.example.com",
			"+5m    bob        /signup       event=Signup interactive=no",
			"11:00  @cleo      /blog/b       referrer=example.org/a channel=Referral",
			"+3m    @cleo      /pay          event=Pay revenue=3USD",
			"23:50  dora       /late         utm_source=news utm_medium=email",
			"+20m   dora       /later",
		} {
			if !strings.HasPrefix(line, "+") {
				line = "2026-03-%02[1]d " + line
			}
			line = strings.NewReplacer("%02[1]d", fmt.Sprintf("%02d", day), "%[2]d", fmt.Sprint(day%4)).Replace(line)
			must(w.load(line))
		}
		if day < 25 {
			must(w.restart())
		}
	}
	must(w.setNow("2026-03-29 12:00"))
	return w
}

// exchange sends a request as a node would, and checks what is true of any.
func (w *world) exchange(t testing.TB, r *request) (status int, body []byte) {
	t.Helper()
	w.days = session.NewPlain(asker{w})
	began := time.Now()
	status, body, err := w.answer(r)
	if took := time.Since(began); took > patience {
		t.Errorf("%s %s %q took %s", r.method, r.target, r.body, took)
	}
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case status == fasthttp.StatusOK:
		if !json.Valid(body) {
			t.Errorf("%s %s %q: 200 with %s", r.method, r.target, r.body, body)
		}
	case status < 400 || status > 499:
		t.Errorf("%s %s %q: %d %s", r.method, r.target, r.body, status, body)
	default:
		var problem struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(body, &problem); err != nil || problem.Error == "" || len(problem.Error) > 2000 {
			t.Errorf("%s %s %q: %d without a clear error: %s", r.method, r.target, r.body, status, body)
		}
	}
	return status, bytes.Clone(body)
}

// resultsOf checks the form of an answer of the Stats API v2.
func resultsOf(t *testing.T, body []byte) {
	t.Helper()
	var answer struct {
		Results []struct {
			Dimensions []string          `json:"dimensions"`
			Metrics    []json.RawMessage `json:"metrics"`
		} `json:"results"`
		Query struct {
			Metrics    []string `json:"metrics"`
			Dimensions []string `json:"dimensions"`
		} `json:"query"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(answer.Results) > rowsShownMax {
		t.Errorf("%d rows", len(answer.Results))
	}
	for _, r := range answer.Results {
		if len(r.Metrics) != len(answer.Query.Metrics) || len(r.Dimensions) != len(answer.Query.Dimensions) {
			t.Errorf("a row has %d dimensions and %d metrics: %s", len(r.Dimensions), len(r.Metrics), body)
		}
	}
}

// questionsOfScripts gives every question of the scripts as it reaches a door.
func questionsOfScripts(tb testing.TB) (out []*request) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		tb.Fatal("no scripts", err)
	}
	w := smallSite(tb)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		steps, err := parse(file, string(text))
		if err != nil {
			tb.Fatal(err)
		}
		for _, s := range steps {
			switch s.verb {
			case "site":
				w.with = nil
			case "with":
				if w.with, err = object(s.text); err != nil {
					tb.Fatal(err)
				}
			case "ask":
				r, err := w.request(s.text)
				if err != nil {
					tb.Fatalf("%s:%d: %v", file, s.line, err)
				}
				out = append(out, r)
			}
		}
	}
	return out
}

// FuzzQuery sends any bytes as the body of a query of v2. What is answered is
// answered alike again, out of what was remembered.
func FuzzQuery(f *testing.F) {
	for _, r := range questionsOfScripts(f) {
		if r.target == "/api/v2/query" {
			f.Add(r.body)
		}
	}
	w := smallSite(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w.check(t, body)
	})
}

func (w *world) check(t *testing.T, body []byte) {
	t.Helper()
	r := &request{"POST", "/api/v2/query", body}
	status, first := w.exchange(t, r)
	if status != fasthttp.StatusOK {
		return
	}
	resultsOf(t, first)
	again, second, err := w.answer(r)
	if err != nil || again != status || !bytes.Equal(first, second) {
		t.Errorf("%q\nat first %s\nthen     %d %s", body, first, again, second)
	}
}

// FuzzQueryMembers sends queries of which only the members are strange, so that
// more of them reach the evaluator.
func FuzzQueryMembers(f *testing.F) {
	add := func(metrics, dates, dimensions, filters, order, include, pagination string) {
		f.Add(metrics, dates, dimensions, filters, order, include, pagination)
	}
	add(`"visitors"`, `"30d"`, ``, ``, ``, ``, ``)
	add(`"conversion_rate","group_conversion_rate"`, `"month"`, `"event:goal","time:day"`, `["is","visit:country",["DE"]]`, `["conversion_rate","desc"]`, `"total_rows":true`, `"limit":3`)
	add(`"scroll_depth","time_on_page"`, `"91d"`, `"event:page"`, `["has_done",["or",[["is","event:goal",["Read"]],["matches","event:page",["^/b"]]]]]`, ``, ``, ``)
	add(`"bounce_rate"`, `["2026-03-01","2026-03-29"]`, `"time:hour","visit:source"`, `["not",["contains","visit:source",["goo"],{"case_sensitive":false}]]`, ``, `"time_labels":true,"comparisons":{"mode":"previous_period","match_day_of_week":true}`, ``)
	add(`"exit_rate"`, `"year"`, `"visit:exit_page"`, `["is","segment",[8]]`, ``, ``, `"limit":1,"offset":1`)
	for _, r := range questionsOfScripts(f) {
		var m struct {
			Metrics, Dimensions, Filters, Order json.RawMessage
			Range                               json.RawMessage `json:"date_range"`
			OrderBy                             json.RawMessage `json:"order_by"`
			Include, Pagination                 json.RawMessage
		}
		if r.target != "/api/v2/query" || json.Unmarshal(r.body, &m) != nil {
			continue
		}
		inner := func(raw json.RawMessage) string {
			if len(raw) < 2 {
				return ""
			}
			return string(raw[1 : len(raw)-1])
		}
		add(inner(m.Metrics), string(m.Range), inner(m.Dimensions), inner(m.Filters), inner(m.OrderBy), inner(m.Include), inner(m.Pagination))
	}
	w := smallSite(f)
	f.Fuzz(func(t *testing.T, metrics, dates, dimensions, filters, order, include, pagination string) {
		w.check(t, fmt.Appendf(nil, `{"site_id":"example.com","metrics":[%s],"date_range":%s,"dimensions":[%s],"filters":[%s],"order_by":[%s],"include":{%s},"pagination":{%s}}`,
			metrics, dates, dimensions, filters, order, include, pagination))
	})
}

// FuzzCall sends any parameters to the calls of v1 and to what else is asked by
// GET.
func FuzzCall(f *testing.F) {
	w := smallSite(f)
	var paths []string
	for _, r := range w.routes {
		if path := strings.Replace(r.Path, "{site}", w.site.Domain, 1); r.Method == "GET" && !strings.Contains(path, "openapi") && !strings.Contains(path, "schema") {
			paths = append(paths, path)
		}
	}
	for _, r := range questionsOfScripts(f) {
		path, parameters, _ := strings.Cut(r.target, "?")
		if i := slices.Index(paths, path); r.method == "GET" && i >= 0 {
			f.Add(uint8(i), parameters)
		}
	}
	f.Add(uint8(1), "site_id=example.com&period=custom&date=2026-03-01,2026-03-02&filters=event:page==/a|/b*;visit:source!=Google&metrics=visitors,bounce_rate&compare=previous_period")
	f.Fuzz(func(t *testing.T, path uint8, parameters string) {
		var b strings.Builder // as a client has to write them
		for _, c := range []byte(parameters) {
			if c <= ' ' || c >= 0x7f || c == '#' {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		w.exchange(t, &request{"GET", paths[int(path)%len(paths)] + "?" + b.String(), nil})
	})
}

// FuzzReport sends any bytes as the body of a report.
func FuzzReport(f *testing.F) {
	w := smallSite(f)
	var paths []string
	for _, r := range w.routes {
		if path := strings.Replace(r.Path, "{site}", w.site.Domain, 1); r.Method == "POST" && path != r.Path {
			paths = append(paths, path)
		}
	}
	for _, r := range questionsOfScripts(f) {
		if i := slices.Index(paths, r.target); r.method == "POST" && i >= 0 {
			f.Add(uint8(i), r.body)
		}
	}
	for i := range paths {
		f.Add(uint8(i), []byte(`{"steps":[{"page":"/**","scroll":5,"props":{"a":"b"}},{"goal":"Buy"}],"window":"7d"}`))
		f.Add(uint8(i), []byte(`{"page":"/","date_range":"all","filters":[["has_not_done",["is","event:goal",["Signup"]]]]}`))
	}
	f.Fuzz(func(t *testing.T, path uint8, body []byte) {
		w.exchange(t, &request{"POST", paths[int(path)%len(paths)], body})
	})
}
