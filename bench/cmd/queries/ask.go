package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"

	"footfall/bench/node"
)

// asker asks a node over one connection that is kept alive.
type asker struct {
	client fasthttp.HostClient
	token  string
	req    fasthttp.Request
	res    fasthttp.Response
}

func newAsker(n *node.Process) *asker {
	return &asker{client: fasthttp.HostClient{Addr: n.Addr, MaxConns: 1, ReadTimeout: 2 * time.Minute, MaxIdemponentCallAttempts: 1}, token: n.Token}
}

func (a *asker) close() { a.client.CloseIdleConnections() }

// connect opens the connection with a request that asks nothing.
func (a *asker) connect() error {
	_, _, err := a.do(request{method: "GET", target: "/healthz"})
	return err
}

// do gives the answer's status and how long it took, body read. The body is in
// a.res until the next call.
func (a *asker) do(q request) (status int, took time.Duration, err error) {
	a.req.Reset()
	a.req.Header.SetMethod(q.method)
	a.req.SetRequestURI("http://" + a.client.Addr + q.target)
	a.req.Header.Set("Authorization", "Bearer "+a.token)
	if q.body != nil {
		a.req.Header.SetContentType("application/json")
		a.req.SetBodyRaw(q.body)
	}
	start := time.Now()
	err = a.client.Do(&a.req, &a.res)
	took = time.Since(start)
	if err != nil {
		return 0, took, fmt.Errorf("%s %s: %w", q.method, q.target, err)
	}
	return a.res.StatusCode(), took, nil
}

func (a *asker) ask(s spec) (status int, took time.Duration, err error) {
	q, err := s.request()
	if err != nil {
		return 0, 0, err
	}
	return a.do(q)
}

// line is what a question took.
type line struct {
	times *hdrhistogram.Histogram // microseconds
	wrong string                  // the first answer that was none, "404" for a route that is not there
}

func newLine() *line { return &line{times: hdrhistogram.New(1, 600_000_000, 3)} }

func (l *line) add(status int, took time.Duration, body []byte) {
	if status == fasthttp.StatusOK {
		_ = l.times.RecordValue(max(1, took.Microseconds()))
		return
	}
	if l.wrong == "" {
		l.wrong = fmt.Sprint(status)
		if status != fasthttp.StatusNotFound {
			l.wrong += " " + string(body[:min(len(body), 120)])
		}
	}
}

// quantile gives milliseconds, q in percent.
func (l *line) quantile(q float64) float64 { return float64(l.times.ValueAtQuantile(q)) / 1000 }

// count is how often the question was answered; a nil line has no answers.
func (l *line) count() int64 {
	if l == nil {
		return 0
	}
	return l.times.TotalCount()
}

// firstWrong gives what is wrong with the first line that has no answers.
func firstWrong(lines ...*line) string {
	for _, l := range lines {
		if l != nil && l.wrong != "" {
			return l.wrong
		}
	}
	return ""
}

// cell shows a quantile in milliseconds, a dash without a time.
func (l *line) cell(q float64) string {
	if l.count() == 0 {
		return "–"
	}
	return number(l.quantile(q))
}

// number shows a positive figure with about three digits.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// row is one row of an answer: its label and its page views.
type row struct {
	Label string `json:"label"`
	Views int64  `json:"views"`
}

// rows reads labels and page views out of the last answer, sorted by label; nil
// for answers of another form.
func (a *asker) rows() []row {
	var body struct {
		Results []struct {
			Dimensions []string  `json:"dimensions"`
			Metrics    []float64 `json:"metrics"`
		} `json:"results"`
	}
	if err := json.Unmarshal(a.res.Body(), &body); err != nil {
		return nil
	}
	var out []row
	for _, r := range body.Results {
		if len(r.Dimensions) == 1 && len(r.Metrics) > 0 {
			out = append(out, row{r.Dimensions[0], int64(r.Metrics[len(r.Metrics)-1])})
		}
	}
	sortRows(out)
	return out
}

func sortRows(rows []row) {
	slices.SortFunc(rows, func(a, b row) int { return bytes.Compare([]byte(a.Label), []byte(b.Label)) })
}

// Bounds of the asking of one question.
const (
	coldRounds = 5
	warmMin    = 5
)

// warm asks specs until the time is over or there are enough, with a rest after
// each.
func (r *run) warm(ctx context.Context, a *asker, rest time.Duration, at func(i int) spec) (*line, error) {
	l := newLine()
	for i, start := 0, time.Now(); i < r.asksMax && (i < warmMin || time.Since(start) < r.each) && ctx.Err() == nil; i++ {
		status, took, err := a.ask(at(i))
		if err != nil {
			return l, err
		}
		if l.add(status, took, a.res.Body()); l.wrong != "" {
			break
		}
		if rest > 0 {
			t := time.NewTimer(rest)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
		}
	}
	return l, ctx.Err()
}

// cached asks the same question again and again; the first answer is not taken.
func (r *run) cached(a *asker, q question, last time.Time) (*line, error) {
	l := newLine()
	s := q.at(0, last, false)
	for i := 0; i <= r.asksMax; i++ {
		status, took, err := a.ask(s)
		if err != nil {
			return l, err
		}
		if i > 0 {
			l.add(status, took, a.res.Body())
		}
		if l.wrong != "" || i > warmMin && took > r.each/10 {
			break
		}
	}
	return l, nil
}

// cold asks each question first thing after a restart.
func (r *run) cold(dir string, q question, last time.Time) (*line, error) {
	l := newLine()
	for round := range coldRounds {
		if err := r.ctx.Err(); err != nil {
			return l, err
		}
		n, err := r.start(dir)
		if err != nil {
			return l, err
		}
		err = func() error {
			defer n.Stop()
			a := newAsker(n)
			defer a.close()
			if err := a.connect(); err != nil {
				return err
			}
			status, took, err := a.ask(q.at(7*round, last, false))
			if err != nil {
				return err
			}
			l.add(status, took, a.res.Body())
			return nil
		}()
		if err != nil || l.wrong != "" {
			return l, err
		}
	}
	return l, nil
}
