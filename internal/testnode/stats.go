package testnode

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Question is a query of POST /api/v2/query, asked as the operator.
type Question struct {
	Site       string         `json:"site_id"`
	Metrics    []string       `json:"metrics"`
	Range      any            `json:"date_range"`
	Dimensions []string       `json:"dimensions,omitempty"`
	Filters    []any          `json:"filters,omitempty"`
	Include    map[string]any `json:"include,omitempty"`
	Page       map[string]int `json:"pagination,omitempty"`

	Token string `json:"-"` // the write token to wait for
	Key   string `json:"-"` // AsOperator when empty
}

// Row is one row of a result.
type Row struct {
	Dimensions []string
	Metrics    []float64
}

// Result is the answer to a Question.
type Result struct {
	Rows  []Row
	Index uint64 // X-Footfall-Index
	Total int    // rows without pagination, when asked for
}

// Ask asks q as soon as the node serves. Any status but 200 is an error.
func (n *Node) Ask(ctx context.Context, q Question) (Result, error) {
	header := map[string]string{}
	if q.Token != "" {
		header["X-Footfall-Token"] = q.Token
	}
	key := q.Key
	if key == "" {
		key = AsOperator
	}
	a, err := n.Do(ctx, Request{Path: "/api/v2/query", Body: q, Key: key, Header: header})
	if err != nil {
		return Result{}, err
	}
	if a.Status != http.StatusOK {
		return Result{}, fmt.Errorf("query: %d %s", a.Status, a.Body)
	}
	var out struct {
		Results []Row
		Meta    struct {
			Total int `json:"total_rows"`
		}
	}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		return Result{}, fmt.Errorf("query: %s: %w", a.Body, err)
	}
	index, err := strconv.ParseUint(a.Header.Get("X-Footfall-Index"), 10, 64)
	if err != nil {
		return Result{}, fmt.Errorf("query: X-Footfall-Index: %w", err)
	}
	return Result{out.Results, index, out.Meta.Total}, nil
}

// MustAsk is Ask for the goroutine of the test.
func (n *Node) MustAsk(t testing.TB, q Question) Result {
	t.Helper()
	r, err := n.Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// By gives the first metric of each row by the row's only dimension.
func (r Result) By(t testing.TB) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, row := range r.Rows {
		if len(row.Dimensions) != 1 || len(row.Metrics) == 0 {
			t.Fatalf("a row of another form: %+v", row)
		}
		if _, twice := out[row.Dimensions[0]]; twice {
			t.Fatalf("two rows of %q", row.Dimensions[0])
		}
		out[row.Dimensions[0]] = int(row.Metrics[0])
	}
	return out
}

// Pages gives the page views of every page of a site since its first event.
func (n *Node) Pages(t testing.TB, site string) map[string]int {
	t.Helper()
	return n.by(t, site, "event:page")
}

// by reads all pages of a breakdown.
func (n *Node) by(t testing.TB, site, dimension string) map[string]int {
	t.Helper()
	const limit = 10_000
	all := map[string]int{}
	for offset := 0; ; offset += limit {
		r := n.MustAsk(t, Question{Site: site, Metrics: []string{"pageviews"}, Range: "all", Dimensions: []string{dimension},
			Page: map[string]int{"limit": limit, "offset": offset}})
		for name, count := range r.By(t) {
			if _, twice := all[name]; twice {
				t.Fatalf("%s is on two pages of the answer", name)
			}
			all[name] = count
		}
		if len(r.Rows) < limit {
			return all
		}
	}
}

// By gives the page views of a site since its first event by a dimension.
func (n *Node) By(t testing.TB, site, dimension string) map[string]int {
	t.Helper()
	return n.by(t, site, dimension)
}

// Count gives one figure of a site since its first event.
func (n *Node) Count(t testing.TB, site, metric string) int {
	t.Helper()
	r := n.MustAsk(t, Question{Site: site, Metrics: []string{metric}, Range: "all"})
	if len(r.Rows) != 1 {
		t.Fatalf("got %d rows for a total", len(r.Rows))
	}
	return int(r.Rows[0].Metrics[0])
}

// Metric reads one figure of /metrics, named with its labels.
func (n *Node) Metric(t testing.TB, name string) float64 {
	t.Helper()
	a := n.Call(t, http.StatusOK, Request{Path: "/metrics", Key: AsOperator})
	for line := range strings.Lines(string(a.Body)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return value
		}
	}
	t.Fatalf("/metrics has no %s:\n%s", name, a.Body)
	return 0
}
