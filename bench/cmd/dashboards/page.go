package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// pace is how often a page asks at most while changes come in; see
// dashboard/src/routes/Site.svelte.
type pace struct{ figures, rest time.Duration }

var usual = pace{figures: 500 * time.Millisecond, rest: 5 * time.Second}

// page is one open page of a site: what it follows and what it asks.
type page struct {
	addr    string
	domain  string
	cookie  string
	pace    pace
	client  *fasthttp.HostClient
	figures []byte
	rest    [][]byte
	heard   func()                       // a change came
	shown   func(body []byte, err error) // figures came
	asked   *atomic.Int64
	since   atomic.Uint64 // the index that was told last
}

// questions are those of the page as it is opened: seven days with the seven
// days before.
func questions(domain string, now time.Time) (figures []byte, rest [][]byte) {
	day := func(back int) string { return now.AddDate(0, 0, -back).Format(time.DateOnly) }
	head := fmt.Sprintf(`{"site_id":%q,"date_range":[%q,%q],"filters":[]`, domain, day(6), day(0))
	other := fmt.Sprintf(`"comparisons":{"mode":"custom","date_range":[%q,%q]}`, day(13), day(7))
	figures = []byte(head + `,"metrics":["visitors","visits","pageviews","views_per_visit","bounce_rate","visit_duration"],"include":{` + other + `}}`)
	rest = append(rest, []byte(head+`,"metrics":["visitors"],"dimensions":["time:day"],"include":{"time_labels":true}}`))
	for _, panel := range [][2]string{{"visit:source", `"visitors","percentage"`}, {"event:page", `"visitors","pageviews","percentage"`},
		{"visit:browser", `"visitors","percentage"`}, {"event:goal", `"visitors","events","conversion_rate"`}} {
		rest = append(rest, fmt.Appendf(nil, `%s,"metrics":[%s],"dimensions":[%q],"order_by":[["visitors","desc"],[%[3]q,"asc"]],"include":{"total_rows":true,%s},"pagination":{"limit":9,"offset":0}}`,
			head, panel[1], panel[0], other))
	}
	return figures, append(rest, []byte(head+`,"metrics":["visitors","percentage"],"dimensions":["visit:country"],"order_by":[["visitors","desc"],["visit:country","asc"]],"include":{"total_rows":true},"pagination":{"limit":300,"offset":0}}`))
}

// follow keeps the page open until ctx ends; the stream's end before that is an
// error. ready is called once the first change was pushed.
func (p *page) follow(ctx context.Context, ready func()) error {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() { stop(); conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /v1/sites/%s/live HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nAccept: text/event-stream\r\n\r\n", p.domain, p.addr, p.cookie); err != nil {
		return err
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	changed, changedRest := make(chan struct{}, 1), make(chan struct{}, 1)
	asking.Go(func() { p.refresh(ctx, changed, p.pace.figures, p.askFigures) })
	asking.Go(func() { p.refresh(ctx, changedRest, p.pace.rest, p.askRest) })
	in := bufio.NewReaderSize(conn, 1024)
	for first := true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("stream of changes: %w", err)
		}
		if first {
			if !bytes.Contains(line, []byte(" 200 ")) {
				return fmt.Errorf("stream of changes: %s", line)
			}
			first = false
		}
		if !bytes.HasPrefix(line, []byte("data: ")) {
			continue
		}
		if ready != nil {
			ready()
			ready = nil
		}
		if index, ok := number(line, `"index":`); ok {
			p.since.Store(index)
		}
		p.heard()
		for _, each := range []chan struct{}{changed, changedRest} {
			select {
			case each <- struct{}{}:
			default:
			}
		}
	}
}

// refresh asks after changes, one asking at a time and not more often than once
// a gap.
func (p *page) refresh(ctx context.Context, changed <-chan struct{}, gap time.Duration, ask func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		t := time.NewTimer(gap)
		ask()
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (p *page) askFigures() {
	body, err := p.ask(p.figures)
	p.shown(body, err)
}

func (p *page) askRest() {
	for _, q := range p.rest {
		if _, err := p.ask(q); err != nil {
			p.shown(nil, err)
			return
		}
	}
}

func (p *page) ask(question []byte) ([]byte, error) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI("http://" + p.addr + "/api/v2/query")
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.Header.Set("Cookie", p.cookie)
	if since := p.since.Load(); since > 0 {
		req.Header.Set("X-Footfall-Since", strconv.FormatUint(since, 10))
	}
	req.SetBodyRaw(question)
	p.asked.Add(1)
	if err := p.client.DoTimeout(req, res, 20*time.Second); err != nil {
		return nil, err
	}
	if res.StatusCode() != fasthttp.StatusOK {
		return nil, fmt.Errorf("query: %d %s", res.StatusCode(), res.Body())
	}
	return bytes.Clone(res.Body()), nil
}

// number reads the number that follows key in an answer; false if it is not there.
func number(body []byte, key string) (n uint64, ok bool) {
	_, rest, ok := strings.Cut(string(body), key)
	if !ok {
		return 0, false
	}
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	n, err := strconv.ParseUint(rest[:max(0, end)], 10, 64)
	return n, err == nil
}
