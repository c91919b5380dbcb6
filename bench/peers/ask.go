package main

import (
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// question is what to ask and how often.
type question struct {
	Name   string `json:"name"`
	Specs  []spec `json:"specs"`
	Cold   []spec `json:"cold"`
	EachMS int64  `json:"each_ms"`
}

// answer is what came of it.
type answer struct {
	Name   string  `json:"name"`
	ColdUS []int64 `json:"cold_us"`
	WarmUS []int64 `json:"warm_us"`
	Rows   []row   `json:"rows"`
	Error  string  `json:"error,omitempty"`
}

type row struct {
	Label string `json:"label"`
	Views int64  `json:"views"`
}

// warmMin is how often a question is asked warm at least.
const warmMin = 3

// answer asks q cold, each time on a file just opened, then warm.
func (e engine) answer(file string, q question) answer {
	a := answer{Name: q.Name}
	if err := e.measure(file, q, &a); err != nil {
		a.Error = err.Error()
	}
	return a
}

func (e engine) measure(file string, q question, a *answer) error {
	budget := time.Duration(q.EachMS) * time.Millisecond
	for i, start := 0, time.Now(); i < len(q.Cold) && (i == 0 || time.Since(start) < budget); i++ {
		if err := e.with(file, func(db *sql.DB) error {
			_, took, err := e.ask(db, q.Cold[i])
			a.ColdUS = append(a.ColdUS, took.Microseconds())
			return err
		}); err != nil {
			return err
		}
	}
	return e.with(file, func(db *sql.DB) error {
		start := time.Now()
		for i, s := range q.Specs {
			rows, took, err := e.ask(db, s)
			if err != nil {
				return err
			}
			if i == 0 {
				a.Rows = rows // and not measured: it warms
				start = time.Now()
				continue
			}
			a.WarmUS = append(a.WarmUS, took.Microseconds())
			if i >= warmMin && time.Since(start) > budget {
				return nil
			}
		}
		return nil
	})
}

func (e engine) with(file string, do func(db *sql.DB) error) error {
	db, err := e.open(file)
	if err != nil {
		return err
	}
	err = do(db)
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}

// ask gives the labelled page views of the first query and the time of all.
func (e engine) ask(db *sql.DB, s spec) (rows []row, took time.Duration, err error) {
	qs, err := e.queries(s)
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	for i, q := range qs {
		got, err := read(db, q)
		if err != nil {
			return nil, 0, err
		}
		if i == 0 && (s.Kind == "series" || s.Kind == "breakdown") {
			rows = got
		}
	}
	took = time.Since(start)
	for i := range rows {
		rows[i].Label = label(s, rows[i].Label)
	}
	return rows, took, nil
}

// read reads a whole answer.
func read(db *sql.DB, q query) ([]row, error) {
	res, err := db.Query(q.text, q.args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimSpace(q.text), err)
	}
	defer res.Close()
	names, err := res.Columns()
	if err != nil {
		return nil, err
	}
	values, to := make([]any, len(names)), make([]any, len(names))
	for i := range to {
		to[i] = &values[i]
	}
	var rows []row
	for res.Next() {
		if err := res.Scan(to...); err != nil {
			return nil, err
		}
		views, _ := values[len(values)-1].(int64)
		rows = append(rows, row{fmt.Sprint(values[0]), views})
	}
	return rows, res.Err()
}

// label writes a day or month as the node does.
func label(s spec, text string) string {
	var n int
	if _, err := fmt.Sscan(text, &n); s.Kind != "series" || err != nil {
		return text
	}
	if s.Interval == "month" {
		return fmt.Sprintf("%04d-%02d-01", n/100, n%100)
	}
	return time.Unix(int64(n)*86400, 0).UTC().Format("2006-01-02")
}
