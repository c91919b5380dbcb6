package partner

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"footfall/analytics"
	"footfall/analytics/query"
)

// many joins n texts made from their number.
func many(n int, separator string, text func(int) string) string {
	var parts []string
	for i := range n {
		parts = append(parts, text(i))
	}
	return strings.Join(parts, separator)
}

func same(s string) func(int) string { return func(int) string { return s } }

// TestBadQueriesAreRefusedInLittleMemory sends what would cost much if it were
// taken at its word.
func TestBadQueriesAreRefusedInLittleMemory(t *testing.T) {
	ranged := func(value, members string) string {
		return `{"site_id":"example.com","metrics":["visitors"],"date_range":` + value + members + `}`
	}
	page := `["is","event:page",["/"]]`
	matches := func(patterns string) string { return with(`"filters":[["matches","event:page",[` + patterns + `]]]`) }
	const (
		tooLarge = "is too large when it is written out."
		noRange  = "#/date_range: Invalid date range "
	)
	for _, c := range []struct{ name, body, want string }{
		{"brackets without end", strings.Repeat("[", 250_000), "#: Invalid JSON"},
		{"an object in an object in …", strings.Repeat(`{"a":`, 40_000), "#: Invalid JSON"},
		{"not not not", with(`"filters":[` + strings.Repeat(`["not",`, 5000) + page + strings.Repeat(`]`, 5000) + `]`), "#/filters: nested deeper than 16"},
		{"and or and or", with(`"filters":[` + strings.Repeat(`["and",[["or",[`, 2000) + page + strings.Repeat(`]]]]`, 2000) + `]`), "#/filters: nested deeper than 16"},
		{"thousands of filters", with(`"filters":[` + many(9000, ",", same(page)) + `]`), "#/filters: more than 256 filters"},
		{"a wide tree", with(`"filters":[["or",[` + many(9000, ",", same(page)) + `]]]`), "#/filters: more than 256 filters"},
		{"thousands of clauses", with(`"filters":[["is","event:page",[` + many(5001, ",", same(`"/a"`)) + `]]]`), "#/filters: more than 5000 clauses"},
		{"thousands of clauses in many filters", with(`"filters":[` + many(60, ",", func(int) string { return `["is","event:page",[` + many(100, ",", same(`"/a"`)) + `]]` }) + `]`), "#/filters: more than 5000 clauses"},
		{"a clause of a megabyte's quarter", with(`"filters":[["is","event:page",["` + strings.Repeat("a", 250_000) + `"]]]`), "#/filters/0/2/0: longer than 2000 bytes"},
		{"thousands of dimensions", with(`"dimensions":[` + many(9000, ",", func(i int) string { return fmt.Sprintf(`"event:props:%d"`, i) }) + `]`), "#/dimensions: Expected a maximum of 8 items but got 9000."},
		{"thousands of metrics", `{"site_id":"example.com","metrics":[` + many(20_000, ",", same(`"visitors"`)) + `],"date_range":"day"}`, "#/metrics: Expected items to be unique but they were not."},
		{"thousands of orders", with(`"order_by":[` + many(9000, ",", same(`["visitors","asc"]`)) + `]`), "#/order_by: Expected a maximum of 32 items but got 9000."},
		{"a very long key", with(`"` + strings.Repeat("k", 200_000) + `":1`), strings.Repeat("k", 200) + "…: Schema does not allow additional properties."},
		{"a very long metric", `{"site_id":"example.com","metrics":["` + strings.Repeat("m", 200_000) + `"],"date_range":"day"}`, "#/metrics/0: Invalid metric"},
		{"a very long site", `{"site_id":"` + strings.Repeat("s", 200_000) + `","metrics":["visitors"],"date_range":"day"}`, textInvalidKey},
		{"a very long range", ranged(`"`+strings.Repeat("9", 200_000)+`d"`, ""), noRange},
		{"a number beyond numbers", with(`"pagination":{"limit":1e999999}`), "#/pagination/limit: Type mismatch."},
		{"a range of all time", ranged(`["0001-01-01","9999-12-31"]`, ""), noRange},
		{"a range beyond time", ranged(`["2026-01-01","99999-12-31"]`, ""), noRange},
		{"centuries by the hour", ranged(`["1900-01-01","2999-12-31"]`, `,"dimensions":["time:hour"]`), "#/date_range: too long for time:hour, at most 150000 buckets"},
		{"years by the minute", ranged(`"5000d"`, `,"dimensions":["time:minute"]`), "#/date_range: too long for time:minute, at most 150000 buckets"},
		{"centuries by the day", ranged(`["1900-01-01","2999-12-31"]`, `,"dimensions":["time:day"]`), "#/date_range: too long for time:day, at most 150000 buckets"},
		{"an unknown zone", ranged(`["2026-01-01T00:00:00 Mars/Phobos","2026-01-02T00:00:00 Mars/Phobos"]`, ""), noRange},
		{"an offset of days", ranged(`["2026-01-01T00:00:00+99:00","2026-01-02T00:00:00+99:00"]`, ""), noRange},
		{"a comparison with all time", with(`"include":{"comparisons":{"mode":"custom","date_range":["0001-01-01","9999-12-31"]}}`), "#/include/comparisons/date_range: Invalid date range "},
		{"repetitions of repetitions", matches(`"(((a{100}){100}){100}){100}"`), "is not a regular expression"},
		{"a thousand a", matches(`"` + many(100, "", same("a{1000}")) + `"`), tooLarge},
		{"a thousand letters of any script", matches(`"(\\pL\\pN\\pS){700}"`), tooLarge},
		{"classes of letters", matches(`"` + many(300, "", same(`\\pL`)) + `"`), tooLarge},
		{"many large expressions", matches(many(20, ",", same(`"(abcdefgh){200}"`))), tooLarge},
		{"many expressions", matches(many(4000, ",", same(`"^/a/b$"`))), tooLarge},
		{"many segments of many filters", with(`"filters":[` + many(100, ",", same(`["is","segment",[30]]`)) + `]`), "#/filters: more than 256 filters"},
		{"a segment of many clauses, often", with(`"filters":[` + many(200, ",", same(`["is","segment",[31]]`)) + `]`), "#/filters: more than 5000 clauses"},
		{"a segment that is deep", with(`"filters":[["not",["not",["is","segment",[32]]]]]`), "#/filters: nested deeper than 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t).define()
			for id, filters := range map[uint64]string{
				30: many(100, ",", same(page)),
				31: `["is","event:page",[` + many(900, ",", same(`"/"`)) + `]]`,
				32: strings.Repeat(`["not",`, 15) + page + strings.Repeat("]", 15),
			} {
				w.catalog.segments[id] = &analytics.Segment{ID: id, Site: 1, Data: `{"filters":[` + filters + `]}`}
			}
			m, err := decodeObject([]byte(c.body))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err == nil {
				_, err = w.door.Question(t.Context(), w.sites["example.com"], key, m, w.now.UnixMilli())
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("it took %d bytes to refuse (%v)", used, err)
			}
			got := w.query(c.body)
			if problem := got.problem(t); got.status/100 != 4 || !strings.Contains(problem, c.want) || len(problem) > 1000 {
				t.Errorf("got %d %s\nwant %s", got.status, cut(problem), c.want)
			}
			if len(w.asker.asked) > 0 {
				t.Error("it was asked all the same")
			}
		})
	}
}

// TestLongListsThatAreAllowedAreTaken keeps the bounds from being too narrow.
func TestLongListsThatAreAllowedAreTaken(t *testing.T) {
	for _, filters := range []string{
		`["is","event:page",[` + many(4000, ",", func(i int) string { return fmt.Sprintf(`"/page/%d"`, i) }) + `]]`,
		many(250, ",", same(`["is","visit:os",["Mac"]]`)),
		`["matches","event:page",[` + many(100, ",", func(i int) string { return fmt.Sprintf(`"^/section-%d/(a|b)+/.*$"`, i) }) + `]]`,
		`["matches","event:page",["^/[a-z]{2,3}(-[A-Z]{2})?/(?i:products|товары|製品)/[0-9]{1,10}(\\?.*)?$"]]`,
		`["matches","event:page",["^\\pL+$"]]`,
	} {
		w := newWorld(t, query.Row{Values: num(1)})
		if got := w.query(with(`"filters":[` + filters + `]`)); got.status != 200 {
			t.Errorf("%s: %d %s", cut(filters), got.status, cut(got.body))
		}
	}
}
