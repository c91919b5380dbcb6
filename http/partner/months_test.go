package partner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	state "footfall/analytics/site"
)

// counted is site 1 as its machine counts it.
type counted struct {
	t       testing.TB
	machine *state.Machine
	days    *session.Plain
	now     int64
	index   uint64
}

func newCounted(t testing.TB) *counted {
	c := &counted{t: t, machine: state.New(1)}
	c.days = session.NewPlain(c)
	return c
}

func (c *counted) Look(ctx context.Context, _ analytics.SiteID, _ analytics.Token, f func(context.Context, *query.Picture) error) error {
	return f(ctx, &query.Picture{View: c.machine.View(), Days: c.days})
}

// Events and Visits are not called: nothing is written to records here.
func (c *counted) Events(context.Context, analytics.SiteID, state.Ref) (*column.Events, error) {
	return nil, errors.ErrUnsupported
}

func (c *counted) Visits(context.Context, analytics.SiteID, state.Ref) (*column.Visits, error) {
	return nil, errors.ErrUnsupported
}

func (c *counted) Sealed(context.Context, analytics.SiteID, state.Ref) (*column.Sealed, error) {
	return nil, errors.ErrUnsupported
}

func (c *counted) apply(item func(b []byte) []byte) {
	c.t.Helper()
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, c.now, 1, 0, 1)
	rd, err := entry.Open(item(b))
	if err != nil {
		c.t.Fatal(err)
	}
	items := make([]entry.Item, 1)
	if _, err := rd.Next(&items[0]); err != nil {
		c.t.Fatal(err)
	}
	c.index++
	out := make([]analytics.Reason, 1)
	if c.machine.Step(c.index, rd.Time, items, out); out[0] != analytics.Counted {
		c.t.Fatalf("an item is %q", out[0])
	}
}

// view counts a page view; one of the past is late.
func (c *counted) view(when string, visitor uint64, page, source string) {
	c.t.Helper()
	ev := &analytics.Event{Kind: analytics.Pageview, Time: at(c.t, when), Visitor: visitor, ID: c.index + 1, Host: "example.com", Page: page, ScrollDepth: analytics.ScrollNone}
	ev.Acquisition.Source = source
	ev.Explicit = ev.Time < c.now
	c.now = max(c.now, ev.Time)
	c.apply(func(b []byte) []byte { return entry.AppendEvent(b, 1, ev) })
}

func (c *counted) seal(when string, year int, month time.Month, figures string) {
	c.t.Helper()
	c.now = max(c.now, at(c.t, when))
	c.apply(func(b []byte) []byte { return entry.AppendSeal(b, 1, state.MonthNumber(year, month), []byte(figures)) })
}

const march = `{"month":"2026-03","timezone":"Europe/Berlin","days":31,"visits":1,"visitors":1,"pageviews":1,"views_per_visit":1,"bounce_rate":100,"visit_duration":0,` +
	`"new_pages":1,"best_pages":[{"page":"/\u003ca\u003e","pageviews":1,"visitors":1}],"best_sources":[{"source":"Direct / None","visitors":1,"visits":1}]}`

func TestMonthsAnswersInTheDocumentedForm(t *testing.T) {
	w := newWorld(t)
	c := w.counted
	c.view("2026-03-10T10:00:00Z", 1, "/<a>", "")
	c.view("2026-04-02T10:00:00Z", 1, "/<a>", "Google")
	c.view("2026-04-02T10:01:00Z", 1, "/b", "")
	c.seal("2026-04-04T00:00:00Z", 2026, time.March, march)
	c.view("2026-03-11T10:00:00Z", 5, "/", "")
	c.view("2026-05-01T10:00:00Z", 1, "/b", "Google")
	got := w.call(key, "GET", "/v1/sites/example.com/months?months=3", "")
	digest := fmt.Sprintf("%x", c.machine.View().Seals[0].Digest)
	want := `{"site":"example.com","timezone":"Europe/Berlin","as_of":6,"months":[` +
		`{"month":"2026-05","partial":true,"days_elapsed":13,"days":31,"visits":1,"visitors":1,"pageviews":1,"views_per_visit":1,"bounce_rate":100,"visit_duration":0,` +
		`"new_pages":0,"best_pages":[{"page":"/b","pageviews":1,"visitors":1}],"best_sources":[{"source":"Google","visitors":1,"visits":1}],` +
		`"change":{"month":{"visits":0,"visitors":0,"pageviews":-50,"views_per_visit":-50,"bounce_rate":100,"visit_duration":-100},"year":null},"sealed":null},` +
		`{"month":"2026-04","partial":false,"days_elapsed":30,"days":30,"visits":1,"visitors":1,"pageviews":2,"views_per_visit":2,"bounce_rate":0,"visit_duration":60,` +
		`"new_pages":1,"best_pages":[{"page":"/<a>","pageviews":1,"visitors":1},{"page":"/b","pageviews":1,"visitors":1}],"best_sources":[{"source":"Google","visitors":1,"visits":1}],` +
		`"change":{"month":{"visits":-50,"visitors":-50,"pageviews":0,"views_per_visit":100,"bounce_rate":-100,"visit_duration":100},"year":null},"sealed":null},` +
		`{"month":"2026-03","partial":false,"days_elapsed":31,"days":31,"visits":2,"visitors":2,"pageviews":2,"views_per_visit":1,"bounce_rate":100,"visit_duration":0,` +
		`"new_pages":2,"best_pages":[{"page":"/","pageviews":1,"visitors":1},{"page":"/<a>","pageviews":1,"visitors":1}],"best_sources":[{"source":"Direct / None","visitors":2,"visits":2}],` +
		`"change":{"month":null,"year":null},"sealed":{"at":"2026-04-04T00:00:00Z","digest":"` + digest + `","previous":"0000000000000000000000000000000000000000000000000000000000000000",` +
		`"figures":` + march + `,"late":{"visits":1,"visitors":1,"pageviews":1}}}],"meta":{"elapsed_us":0,"served_by":"node-1"}}`
	if got.status != 200 || got.body != want || got.header.Get("X-Footfall-Index") != "6" {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, want)
	}
	if n := len(w.asker.asked); n != 0 {
		t.Errorf("%d questions beside the one state", n)
	}
}

// TestADigestCanBeCheckedFromTheAnswer: who knows the site's number needs no more
// than the answer.
func TestADigestCanBeCheckedFromTheAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.counted
	c.view("2026-03-10T10:00:00Z", 1, "/<a>", "")
	c.seal("2026-04-04T00:00:00Z", 2026, time.March, march)
	c.seal("2026-05-04T00:00:00Z", 2026, time.April, string(bytes.ReplaceAll([]byte(march), []byte("2026-03"), []byte("2026-04"))))
	got := w.call(key, "GET", "/v1/sites/example.com/months", "")
	var answer struct {
		Months []struct {
			Month  string
			Sealed *struct {
				Digest, Previous string
				Figures, Late    json.RawMessage
			}
		}
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer.Months) != 3 {
		t.Fatalf("%v: %s", err, got.body)
	}
	before := make([]byte, sha256.Size)
	for _, m := range []int{2, 1} {
		month := answer.Months[m]
		sum := sha256.Sum256(bytes.Join([][]byte{before, binary.BigEndian.AppendUint64(nil, 1), []byte(month.Month), month.Sealed.Figures}, nil))
		if month.Sealed.Previous != fmt.Sprintf("%x", before) || month.Sealed.Digest != fmt.Sprintf("%x", sum) {
			t.Errorf("%s: %+v, worked out %x after %x", month.Month, month.Sealed, sum, before)
		}
		before = sum[:]
	}
	if late := string(answer.Months[2].Sealed.Late); late != "null" {
		t.Errorf("nothing came late in March: %s", late)
	}
	if late, want := string(answer.Months[1].Sealed.Late), `{"visits":-1,"visitors":-1,"pageviews":-1}`; late != want {
		t.Errorf("less than was sealed in April: %s, want %s", late, want)
	}
}

func TestMonthsOfASiteWithoutEvents(t *testing.T) {
	w := newWorld(t)
	got := w.call(key, "GET", "/v1/sites/example.com/months", "")
	if want := `{"site":"example.com","timezone":"Europe/Berlin","as_of":0,"months":[],"meta":{"elapsed_us":0,"served_by":"node-1"}}`; got.status != 200 || got.body != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// late is a site that does not answer in time.
type late struct{}

func (late) Look(ctx context.Context, _ analytics.SiteID, _ analytics.Token, _ func(context.Context, *query.Picture) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestMonthsThatTakeTooLongSaySo(t *testing.T) {
	w := newWorld(t)
	w.door.cfg.Looker, w.door.cfg.Timeout = late{}, time.Nanosecond
	if got := w.call(key, "GET", "/v1/sites/example.com/months", ""); got.status != 503 || got.problem(t) != "months: took too long, ask for fewer or try again" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestEveryErrorOfMonthsNamesItsField(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"months=0", "months: must be a number between 1 and 120"},
		{"months=121", "months: must be a number between 1 and 120"},
		{"months=two", "months: must be a number between 1 and 120"},
		{"end=2026", "end: must be a month, YYYY-MM"},
		{"end=2026-13", "end: must be a month, YYYY-MM"},
		{"end=2026-06", "end: 2026-06 has not begun"},
	} {
		w := newWorld(t)
		if got := w.call(key, "GET", "/v1/sites/example.com/months?"+c.query, ""); got.status != 400 || got.problem(t) != c.want {
			t.Errorf("%s: got %d %s", c.query, got.status, got.body)
		}
	}
}
