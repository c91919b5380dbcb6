package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// event is what differs between the rows of the tests.
type event struct {
	at             string
	kind           int
	page           string
	visit, visitor int
	source         string
	country        string
	device         string
}

var events = []event{
	{"2026-01-30 10:00:00", 0, "/", 1, 11, "Google", "DE", "Mobile"},
	{"2026-01-30 10:01:00", 0, "/products/red-boot", 1, 11, "Google", "DE", "Mobile"},
	{"2026-01-30 10:01:30", 2, "/products/red-boot", 1, 11, "Google", "DE", "Mobile"},
	{"2026-01-30 10:02:00", 0, "/cart", 1, 11, "Google", "DE", "Mobile"},
	{"2026-01-31 23:00:00", 0, "/cart", 2, 12, "", "US", "Desktop"},
	{"2026-01-31 23:01:00", 0, "/products/red-boot", 2, 12, "", "US", "Desktop"},
	{"2026-01-31 23:02:00", 1, "/products/red-boot", 2, 12, "", "US", "Desktop"},
	{"2026-02-01 09:00:00", 0, "/blog/a/b", 3, 13, "Google", "DE", "Desktop"},
	{"2026-02-01 09:01:00", 0, "/", 3, 13, "Google", "DE", "Desktop"},
}

// text writes the rows as the loader gets them.
func text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		at, err := time.Parse(time.DateTime, e.at)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]any{"ts": at.UnixMilli(), "day": at.Unix() / 86400, "month": at.Year()*100 + int(at.Month()), "kind": e.kind,
			"page": e.page, "visit": e.visit, "visitor": e.visitor, "source": e.source, "country": e.country, "device": e.device}
		for i, c := range columns {
			v, ok := fields[c.name]
			if !ok && c.kind != "TEXT" {
				v = 0
			} else if !ok {
				v = ""
			}
			if i > 0 {
				b.WriteByte('\t')
			}
			fmt.Fprint(&b, v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// loaded gives each engine with the events.
func loaded(t *testing.T, do func(t *testing.T, e engine, file string)) {
	for _, name := range []string{"sqlite", "duckdb"} {
		t.Run(name, func(t *testing.T) {
			e, err := engineOf(name)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "events.db")
			if name == "sqlite" {
				if err := load(e, file, strings.NewReader(text(t))); err != nil {
					t.Fatal(err)
				}
			} else {
				rows := filepath.Join(t.TempDir(), "rows")
				if err := os.WriteFile(rows, []byte(text(t)), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := e.with(file, func(db *sql.DB) error {
					if _, err := db.Exec(create()); err != nil {
						return err
					}
					return loadDuckDB(db, rows)
				}); err != nil {
					t.Fatal(err)
				}
			}
			do(t, e, file)
		})
	}
}

func TestEveryQuestionHasItsAnswer(t *testing.T) {
	january := spec{From: "2026-01-01", To: "2026-01-31", Limit: 10}
	with := func(s spec, change func(*spec)) spec {
		change(&s)
		return s
	}
	cases := []struct {
		name string
		spec spec
		want []row
	}{
		{"days", with(january, func(s *spec) { s.Kind, s.Interval = "series", "day" }), []row{{"2026-01-30", 3}, {"2026-01-31", 2}}},
		{"months", with(january, func(s *spec) { s.Kind, s.Interval, s.To = "series", "month", "2026-02-01" }), []row{{"2026-01-01", 5}, {"2026-02-01", 2}}},
		{"pages", with(january, func(s *spec) { s.Kind, s.By = "breakdown", "page" }), []row{{"/cart", 2}, {"/products/red-boot", 2}, {"/", 1}}},
		{"the first page", with(january, func(s *spec) { s.Kind, s.By, s.Limit = "breakdown", "page", 1 }), []row{{"/cart", 2}}},
		{"sources, none is an empty text", with(january, func(s *spec) { s.Kind, s.By = "breakdown", "source" }), []row{{"Google", 3}, {"", 2}}},
		{"two filters", with(january, func(s *spec) {
			s.Kind, s.By, s.To, s.Filters = "breakdown", "page", "2026-02-01", []filter{{"country", "is", "DE"}, {"device", "is", "Desktop"}}
		}), []row{{"/", 1}, {"/blog/a/b", 1}}},
		{"contains", with(january, func(s *spec) {
			s.Kind, s.By, s.Filters = "breakdown", "page", []filter{{"page", "contains", "boot"}}
		}), []row{{"/products/red-boot", 2}}},
		{"matches", with(january, func(s *spec) {
			s.Kind, s.By, s.Filters = "breakdown", "page", []filter{{"page", "matches", "^/(cart)?$"}}
		}), []row{{"/cart", 2}, {"/", 1}}},
	}
	loaded(t, func(t *testing.T, e engine, file string) {
		for _, c := range cases {
			a := e.answer(file, question{Name: c.name, Specs: []spec{c.spec, c.spec}, Cold: []spec{c.spec}, EachMS: 1})
			if a.Error != "" || !reflect.DeepEqual(a.Rows, c.want) {
				t.Errorf("%s: %v %s, want %v", c.name, a.Rows, a.Error, c.want)
			}
			if len(a.ColdUS) != 1 || len(a.WarmUS) != 1 {
				t.Errorf("%s: %d cold and %d warm times of 1 and 1", c.name, len(a.ColdUS), len(a.WarmUS))
			}
		}
	})
}

func TestAFunnelCountsVisitsThatGoInOrder(t *testing.T) {
	loaded(t, func(t *testing.T, e engine, file string) {
		qs, err := e.queries(spec{Kind: "funnel", From: "2026-01-01", To: "2026-02-28", Steps: []string{"/**", "/products/*", "/cart"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.with(file, func(db *sql.DB) error {
			var a, b, c int
			if err := db.QueryRow(qs[0].text, qs[0].args...).Scan(&a, &b, &c); err != nil {
				return err
			}
			if got := [3]int{a, b, c}; got != [3]int{3, 2, 1} {
				t.Errorf("got %v", got)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMonthsAndRealtimeAreAnswered(t *testing.T) {
	loaded(t, func(t *testing.T, e engine, file string) {
		for _, s := range []spec{{Kind: "months", To: "2026-02-28", Months: 2}, {Kind: "realtime", Now: 1}} {
			if a := e.answer(file, question{Specs: []spec{s}, EachMS: 1}); a.Error != "" {
				t.Errorf("%s: %s", s.Kind, a.Error)
			}
		}
		qs, err := e.queries(spec{Kind: "months", To: "2026-02-28", Months: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.with(file, func(db *sql.DB) error {
			got, err := read(db, qs[0])
			if want := []row{{"202601", 5}, {"202602", 2}}; err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAGlobIsAnExpression(t *testing.T) {
	for glob, want := range map[string]string{"/**": "^/.*$", "/products/*": "^/products/[^/]*$", "/a.b": `^/a\.b$`} {
		if got := globPattern(glob); got != want {
			t.Errorf("%s: %s, want %s", glob, got, want)
		}
	}
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	e, err := engineOf("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []spec{
		{Kind: "none", From: "2026-01-01", To: "2026-01-31"},
		{Kind: "breakdown", By: "1; DROP TABLE events", From: "2026-01-01", To: "2026-01-31"},
		{Kind: "series", Interval: "hour", From: "2026-01-01", To: "2026-01-31"},
		{Kind: "series", Interval: "day", From: "January", To: "2026-01-31"},
		{Kind: "series", Interval: "day", From: "2026-01-01", To: "2026-01-31", Filters: []filter{{"page", "like", "x"}}},
	} {
		if qs, err := e.queries(s); err == nil {
			t.Errorf("%+v: %v", s, qs)
		}
	}
	if _, err := engineOf("oracle"); err == nil {
		t.Error("an engine that nobody knows")
	}
}
