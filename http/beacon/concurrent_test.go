package beacon

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"footfall/analytics"
)

// picky is a Recorder that fails for one site.
type picky struct {
	book
	bad analytics.SiteID
}

func (p *picky) RecordBatch(site analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	if site == p.bad {
		return errBusy
	}
	return p.book.RecordBatch(site, evs, out)
}

func TestASiteThatCannotRecordCostsOnlyItsOwnEvents(t *testing.T) {
	p := &picky{bad: 2}
	f := newFixture(t, func(o *Options) { o.Recorder = p })
	status, answer := f.post(writer, `[`+one("")+`,{"site":"shop.org","url":"/","visitor":"v"},`+one("")+`]`)
	want(t, "status", status, 202)
	want(t, "results", fmt.Sprint(answer.Results), "[{accepted } {rejected unavailable: send it again} {accepted }]")
	status, _ = f.post(writer, `[{"site":"shop.org","url":"/","visitor":"v"},{"site":"shop.org","url":"","visitor":"v"}]`)
	want(t, "status when nothing was recorded", status, 503)
}

// gate is a Recorder that waits until it is opened.
type gate struct {
	sink
	entered chan struct{}
	open    chan struct{}
}

func (g *gate) RecordBatch(analytics.SiteID, []analytics.Event, []analytics.Receipt) error {
	g.entered <- struct{}{}
	<-g.open
	return nil
}

func TestLargeRequestsAreBounded(t *testing.T) {
	g := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	f := newFixture(t, func(o *Options) { o.Recorder = g })
	large := one(`"pad":"` + strings.Repeat("x", 60_000) + `"`)
	body := `[` + strings.Repeat(large+",", 4) + large + `]`
	var running sync.WaitGroup
	statuses := make(chan int, batchesMax)
	for range batchesMax {
		running.Add(1)
		go func() {
			defer running.Done()
			statuses <- f.sendAs(writer, "POST /v1/events", body).StatusCode()
		}()
		<-g.entered
	}
	if status, answer := f.post(writer, body); status != 503 || !strings.Contains(answer.Error, "too many large requests") {
		t.Errorf("one more: %d %q", status, answer.Error)
	}
	running.Add(1)
	go func() { // a small one is not held up
		defer running.Done()
		f.sendAs(writer, "POST /v1/events", one(""))
	}()
	<-g.entered
	close(g.open)
	running.Wait()
	close(statuses)
	for s := range statuses {
		want(t, "status", s, 202)
	}
}

// TestRequestsDoNotMix sends many different views at once: what is recorded of
// each must be its own, though their memory is pooled.
func TestRequestsDoNotMix(t *testing.T) {
	f := newFixture(t, nil)
	const senders, views = 8, 200
	var all sync.WaitGroup
	for s := range senders {
		all.Add(1)
		go func() {
			defer all.Done()
			for v := range views {
				tag := fmt.Sprintf("s%dv%d", s, v)
				body := `{"n":"` + tag + `","u":"https://example.com/` + tag + `?utm_source=` + tag + `","d":"example.com","r":"https://` + tag + `.example/","p":{"k":"` + tag + `"}}`
				if v%3 == 0 { // through the general parser, with decoding
					body = `{"n":"` + tag + `","u":"https:\/\/example.com\/%73` + tag[1:] + `?utm_source=` + tag + `","d":"example.com","r":"https://` + tag + `.example/","p":"{\"k\":\"` + tag + `\"}"}`
				}
				if got := f.send("POST /api/event", body).StatusCode(); got != 202 {
					t.Errorf("%s: %d", tag, got)
				}
			}
		}()
	}
	all.Wait()
	seen := map[string]bool{}
	for _, e := range f.book.events {
		seen[e.Name] = true
		if e.Page != "/"+e.Name || e.Acquisition.UTMSource != e.Name || e.Acquisition.Referrer != "https://"+e.Name+".example/" ||
			len(e.Props) != 1 || e.Props[0].Value != e.Name {
			t.Fatalf("mixed up: %+v", e)
		}
	}
	want(t, "views", len(seen), senders*views)
}
