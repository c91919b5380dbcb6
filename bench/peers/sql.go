package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// spec is a question; its JSON form is what the asker of the node writes.
type spec struct {
	Kind     string   `json:"kind"` // series, breakdown, funnel, realtime, months
	From     string   `json:"from"` // first day
	To       string   `json:"to"`   // last day
	Interval string   `json:"interval"`
	By       string   `json:"by"` // page, source
	Filters  []filter `json:"filters"`
	Limit    int      `json:"limit"`
	Steps    []string `json:"steps"`
	Months   int      `json:"months"`
	Now      int64    `json:"now"`
}

type filter struct{ By, Op, Value string }

// fields are what rows can be grouped and filtered by.
var fields = map[string]bool{"page": true, "source": true, "country": true, "device": true}

// query is SQL and its arguments.
type query struct {
	text string
	args []any
}

const viewsOf = "SUM(kind = 0)"

// queries gives the SQL that answers a question; the last column of the first
// one is page views, the first its label.
func (e engine) queries(s spec) ([]query, error) {
	if s.Kind == "realtime" {
		return []query{{"SELECT COUNT(DISTINCT visitor) FROM events WHERE ts >= ?", []any{s.Now - 5*60*1000}}}, nil
	}
	to, err := time.Parse("2006-01-02", s.To)
	if err != nil {
		return nil, err
	}
	if s.Kind == "months" {
		from := time.Date(to.Year(), to.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 1-s.Months, 0)
		return e.months(from.UnixMilli(), to.AddDate(0, 0, 1).UnixMilli()), nil
	}
	from, err := time.Parse("2006-01-02", s.From)
	if err != nil {
		return nil, err
	}
	where := "ts >= ? AND ts < ?"
	args := []any{from.UnixMilli(), to.AddDate(0, 0, 1).UnixMilli()}
	for _, f := range s.Filters {
		if !fields[f.By] {
			return nil, fmt.Errorf("no field %q", f.By)
		}
		switch f.Op {
		case "is":
			where += " AND " + f.By + " = ?"
		case "contains":
			where += " AND " + fmt.Sprintf(e.contains, f.By)
		case "matches":
			where += " AND " + fmt.Sprintf(e.matches, f.By)
		default:
			return nil, fmt.Errorf("no operator %q", f.Op)
		}
		args = append(args, f.Value)
	}
	switch s.Kind {
	case "series":
		if s.Interval != "day" && s.Interval != "month" {
			return nil, fmt.Errorf("no interval %q", s.Interval)
		}
		return []query{{fmt.Sprintf("SELECT %s, COUNT(DISTINCT visitor), COUNT(DISTINCT visit), %s FROM events WHERE %s GROUP BY 1 ORDER BY 1", s.Interval, e.views(), where), args}}, nil
	case "breakdown":
		if !fields[s.By] {
			return nil, fmt.Errorf("no field %q", s.By)
		}
		return []query{{fmt.Sprintf("SELECT %s, COUNT(DISTINCT visitor), %s AS views FROM events WHERE %s AND kind < 2 GROUP BY 1 ORDER BY views DESC, 1 LIMIT %d", s.By, e.views(), where, s.Limit), args}}, nil
	case "funnel":
		return []query{e.funnel(s.Steps, args)}, nil
	}
	return nil, fmt.Errorf("no kind %q", s.Kind)
}

// views is the number of page views of a group as a whole number.
func (e engine) views() string {
	if e.name == "duckdb" {
		return "CAST(COUNT(*) FILTER (kind = 0) AS BIGINT)"
	}
	return viewsOf
}

// funnel counts the visits that reach each step in order: the earliest event of
// a step behind the earliest of the step before is enough within a visit.
func (e engine) funnel(steps []string, window []any) query {
	var q query
	var with, counts []string
	for i, glob := range steps {
		pattern := globPattern(glob)
		if i == 0 {
			with = append(with, fmt.Sprintf("s0 AS (SELECT visit, MIN(ts) AS t FROM events WHERE ts >= ? AND ts < ? AND kind = 0 AND %s GROUP BY visit)", e.glob))
		} else {
			with = append(with, fmt.Sprintf("s%d AS (SELECT events.visit AS visit, MIN(ts) AS t FROM s%d JOIN events ON events.visit = s%d.visit AND ts > t WHERE ts >= ? AND ts < ? AND kind = 0 AND %s GROUP BY events.visit)", i, i-1, i-1, e.glob))
		}
		q.args = append(append(q.args, window...), pattern)
		counts = append(counts, fmt.Sprintf("(SELECT COUNT(*) FROM s%d)", i))
	}
	q.text = "WITH " + strings.Join(with, ", ") + " SELECT " + strings.Join(counts, ", ")
	return q
}

// globPattern writes a glob as an expression: "*" is any text without a slash,
// "**" any text.
func globPattern(glob string) string {
	p := regexp.QuoteMeta(glob)
	p = strings.ReplaceAll(p, `\*\*`, ".*")
	return "^" + strings.ReplaceAll(p, `\*`, "[^/]*") + "$"
}

// months are the figures, best pages and best sources of each month.
func (e engine) months(from, to int64) []query {
	window := []any{from, to}
	best := func(by string) query {
		return query{fmt.Sprintf(`SELECT month, label, views FROM (
  SELECT month, label, views, ROW_NUMBER() OVER (PARTITION BY month ORDER BY views DESC, label) AS place FROM (
    SELECT month, %s AS label, %s AS views, COUNT(DISTINCT visitor) AS visitors FROM events WHERE ts >= ? AND ts < ? AND kind < 2 GROUP BY 1, 2))
  WHERE place <= 5 ORDER BY month, place`, by, e.views()), window}
	}
	return []query{
		{fmt.Sprintf("SELECT month, COUNT(DISTINCT visitor), COUNT(DISTINCT visit), %s FROM events WHERE ts >= ? AND ts < ? GROUP BY 1 ORDER BY 1", e.views()), window},
		best("page"), best("source"),
	}
}
