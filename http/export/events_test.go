package export

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

func newArgs(text string) *fasthttp.Args {
	var a fasthttp.Args
	a.Parse(text)
	return &a
}

// tuple writes texts as the columns have them.
func tuple(fields ...string) string {
	var b []byte
	for _, f := range fields {
		for n := len(f); ; n >>= 7 {
			if n < 0x80 {
				b = append(b, byte(n))
				break
			}
			b = append(b, byte(n)|0x80)
		}
		b = append(b, f...)
	}
	return string(b)
}

// synthetic gives n visits of four events, none of it kept: a layer of 500
// visits, shown again and again with other texts.
func synthetic(n int) func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
	return func(ctx context.Context, from, to int64, _ *query.Filter, fn func(query.Visit, []int) error) error {
		const each = 500
		for at := 0; at < n; at += each {
			day := layerOf(from, at, each)
			rows := make([]int, 4)
			for i := 0; i < each && at+i < n; i++ {
				for k := range rows {
					rows[k] = 4*i + k
				}
				if err := fn(query.Visit{Day: day, Layer: day.Layers[0], I: i}, rows); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	}
}

func layerOf(from int64, at, each int) *session.Day {
	lex := session.NewLexicon()
	l := &session.Layer{}
	agent, place := lex.ID(tuple("Chrome", "126.0", "Mac", "10.15", "Desktop")), lex.ID(tuple("DE", "DE-BE", "Berlin"))
	for i := range each {
		v := at + i
		l.ID = append(l.ID, column.MakeVisitID(20586, uint32(v)))
		l.Visitor = append(l.Visitor, uint64(v/2)*0x9e3779b97f4a7c15)
		entryPage := lex.ID(fmt.Sprintf("/page/%d", v%5000))
		l.Entry, l.Exit = append(l.Entry, entryPage), append(l.Exit, entryPage)
		l.Agent, l.Place = append(l.Agent, agent), append(l.Place, place)
		l.Acquisition = append(l.Acquisition, lex.ID(tuple("Google", "google.com", "Organic Search")))
		l.Language, l.Screen = append(l.Language, lex.ID("de")), append(l.Screen, lex.ID("XL"))
		l.FirstEvent = append(l.FirstEvent, uint32(4*i))
		for k := range 4 {
			l.At = append(l.At, from+int64(v%86_000)*1000+int64(k))
			kind := []analytics.Kind{analytics.Pageview, analytics.Pageview, analytics.Custom, analytics.Engagement}[k]
			l.Kind = append(l.Kind, uint8(kind))
			rare := session.Rare{Scroll: analytics.ScrollNone}
			switch kind {
			case analytics.Custom:
				rare.Name, rare.Props = lex.ID("Purchase"), lex.ID(tuple("plan", "=pro", "n", fmt.Sprint(v%100)))
				rare.Revenue = lex.ID("EUR" + string([]byte{0x80, 0xe8, 0x92, 0x26})) // 40
			case analytics.Engagement:
				rare.Scroll, rare.Engaged = 60, 1500
			}
			l.Rares = append(l.Rares, rare)
			l.Rare = append(l.Rare, uint32(len(l.Rares)))
			// Every fifth visit has a page of its own, of 200 characters.
			page := entryPage
			if k == 1 && v%5 == 0 {
				page = lex.ID(fmt.Sprintf("/p/%d/%s", v, strings.Repeat("x", 200)))
			}
			l.Page, l.Host = append(l.Page, page), append(l.Host, lex.ID("shop.example"))
		}
	}
	l.FirstEvent = append(l.FirstEvent, uint32(4*each))
	return &session.Day{Lexicon: lex, Layers: []*session.Layer{l}}
}

// TestMemoryStaysFlat: 300,000 visits of four events go through, in every format,
// and at no time is more than a bounded heap in use.
func TestMemoryStaysFlat(t *testing.T) {
	visits := 300_000
	if raceEnabled || testing.Short() {
		visits = 30_000
	}
	const most = 32 << 20
	for _, form := range []string{"csv", "ndjson", "parquet"} {
		var base, peak uint64
		s := scene{scan: func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
			n := 0
			base = heap()
			return synthetic(visits)(ctx, from, to, f, func(v query.Visit, events []int) error {
				if n++; n%(visits/10) == 0 {
					peak = max(peak, heap())
				}
				return fn(v, events)
			})
		}}
		w := newWorld(t, looking(s))
		resp, err := w.client.Do(w.request("member", "GET", "/v1/sites/shop.example/export/events?date_range=day&format="+form, ""))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.Trailer.Get("X-Footfall-Rows") != fmt.Sprint(4*visits) {
			t.Errorf("%s: %v, trailers %v", form, err, resp.Trailer)
		}
		t.Logf("%s: %d MB out, heap up by %d KB at most", form, n>>20, int64(peak-base)>>10)
		if peak > base+most {
			t.Errorf("%s: the heap grew from %d to %d MB", form, base>>20, peak>>20)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// shop is a real site: events go into its machine, exports look at its views.
type shop struct {
	t       testing.TB
	machine *site.Machine
	index   uint64
	lexicon *session.Lexicon
}

func newShop(t testing.TB) *shop {
	return &shop{t: t, machine: site.New(1), lexicon: session.NewLexicon()}
}

func (s *shop) send(now int64, evs ...analytics.Event) {
	s.t.Helper()
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, s.index+1)
	for i := range evs {
		buf = entry.AppendEvent(buf, 1, &evs[i])
	}
	rd, err := entry.Open(buf)
	if err != nil {
		s.t.Fatal(err)
	}
	items := make([]entry.Item, len(evs))
	for i := range items {
		if ok, err := rd.Next(&items[i]); !ok || err != nil {
			s.t.Fatal(ok, err)
		}
	}
	s.index++
	out := make([]analytics.Reason, len(items))
	s.machine.Step(s.index, rd.Time, items, out)
	for i, r := range out {
		if r != analytics.Counted {
			s.t.Fatalf("event %d: %s", i, r)
		}
	}
}

func (s *shop) Lexicon() *session.Lexicon { return s.lexicon }

func (s *shop) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	return session.Build(ctx, view, day, s, s.lexicon)
}

func (s *shop) Recall(string) (any, bool) { return nil, false }
func (s *shop) Remember(string, any, int) {}

func (s *shop) Events(context.Context, analytics.SiteID, site.Ref) (*column.Events, error) {
	panic("everything is at hand")
}

func (s *shop) Visits(context.Context, analytics.SiteID, site.Ref) (*column.Visits, error) {
	panic("everything is at hand")
}

func (s *shop) Sealed(context.Context, analytics.SiteID, site.Ref) (*column.Sealed, error) {
	panic("everything is at hand")
}

// Look is door.Looker. The view is taken when the export begins.
func (s *shop) Look(ctx context.Context, _ analytics.SiteID, _ analytics.Token, f func(context.Context, *query.Picture) error) error {
	return f(ctx, &query.Picture{View: s.machine.View(), Days: s, Budget: 1,
		Fan: func(context.Context, int, func(int)) error { panic("an export of events takes no turn") }})
}

func (s *shop) visit() {
	first := analytics.Event{Kind: analytics.Pageview, Time: dayStart + 9*hour, ID: 1, Visitor: 0xabcdef, Page: "/start", Host: "shop.example",
		Agent:       analytics.Agent{Browser: "Firefox", BrowserVersion: "139.0", OS: "GNU/Linux", Device: "Desktop"},
		Place:       analytics.Place{Country: "DE", Region: "DE-BE", City: "2950159"},
		Acquisition: analytics.Acquisition{Source: "Newsletter", Referrer: "mail.example/x", Channel: "Email", Medium: "email", UTMSource: "=news", Campaign: "may, \"21\"", Content: "c", Term: "t"},
		Language:    "de", Screen: "XL", Named: true}
	buy := analytics.Event{Kind: analytics.Custom, Time: dayStart + 9*hour + 60_500, ID: 2, Visitor: 0xabcdef, Name: "Purchase", Page: "/buy", Host: "shop.example",
		Props: []analytics.Prop{{Key: "plan", Value: "pro"}, {Key: "note", Value: "a \"b\"\n\u202e😀"}}, Revenue: analytics.Revenue{Amount: 19_990_000, Currency: "EUR"}}
	read := analytics.Event{Kind: analytics.Engagement, Time: dayStart + 9*hour + 90_001, ID: 3, Visitor: 0xabcdef, Page: "/start", Host: "shop.example", ScrollDepth: 75, EngagedMS: 12_345}
	other := analytics.Event{Kind: analytics.Pageview, Time: dayStart + 10*hour, ID: 4, Visitor: 5, Page: "/" + strings.Repeat("ä", 999), Host: "(none)"}
	s.send(dayStart+11*hour, first, buy, read, other)
}

const eventsTarget = "/v1/sites/shop.example/export/events?date_range=2026-05-13,2026-05-13&format="

// key is what the door's first export is keyed with, see endless.
func visitorIn(export byte, id uint64) string {
	var key [16]byte
	for i := range key {
		key[i] = export
	}
	r := must(newEventRows(func([]heading) (writer, error) { return nil, nil }, key))
	return r.visitor(id)
}

func TestRawEventsAreToTheLetter(t *testing.T) {
	s := newShop(t)
	s.visit()
	w := newWorld(t, Pictures(s))
	got := w.get(eventsTarget + "csv")
	if got.status != 200 || got.err != nil {
		t.Fatalf("%d %v %s", got.status, got.err, got.body)
	}
	lines := strings.SplitAfter(string(got.body), "\r\n")
	ours, theirs := visitorIn(1, 0xabcdef), visitorIn(1, 5)
	visit := `,shop.example,0000506a00000000,` + ours + `,Newsletter,mail.example/x,Email,'=news,email,"may, ""21""",c,t,Firefox,139.0,GNU/Linux,,Desktop,DE,DE-BE,2950159,de,XL,/start,/start,`
	want := []string{
		"time,kind,name,page,hostname,visit,visitor,source,referrer,channel,utm_source,utm_medium,utm_campaign,utm_content,utm_term," +
			"browser,browser_version,os,os_version,device,country,region,city,language,screen_class,entry_page,exit_page,scroll,engaged_ms,revenue_amount,currency,props\r\n",
		"2026-05-13T09:00:00.000Z,pageview,pageview,/start" + visit + ",,,,\r\n",
		"2026-05-13T09:01:00.500Z,custom,Purchase,/buy" + visit + `,,19.99,EUR,"{""plan"":""pro"",""note"":""a \""b\""\n` + "\u202e😀" + `""}"` + "\r\n",
		"2026-05-13T09:01:30.001Z,engagement,engagement,/start" + visit + "75,12345,,,\r\n",
		"2026-05-13T10:00:00.000Z,pageview,pageview,/" + strings.Repeat("ä", 999) + ",(none),0000506a00000001," + theirs + strings.Repeat(",", 19) + "/" + strings.Repeat("ä", 999) + ",/" + strings.Repeat("ä", 999) + ",,,,,\r\n",
		"",
	}
	byFirst := map[string]bool{}
	for _, l := range lines {
		byFirst[l] = true
	}
	for _, l := range want {
		if !byFirst[l] {
			t.Errorf("missing %q\nin %q", l, lines)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	if strings.Contains(string(got.body), "abcdef") {
		t.Error("the stored id of the visitor is shown")
	}
	if got.header.Get("X-Footfall-Index") != "1" || got.trailer.Get("X-Footfall-Rows") != "4" {
		t.Errorf("%v %v", got.header, got.trailer)
	}
}

// TestTheFormatsAgree on every value of every row.
func TestTheFormatsAgree(t *testing.T) {
	s := newShop(t)
	s.visit()
	w := newWorld(t, Pictures(s), func(c *Config) { c.Random = zeros{} })
	asCSV, err := parseCSV(string(w.get(eventsTarget + "csv&raw=1").body))
	if err != nil {
		t.Fatal(err)
	}
	asJSON := objects(t, w.get(eventsTarget+"ndjson").body)
	_, names, asParquet := readParquet(t, w.get(eventsTarget+"parquet").body)
	if len(asJSON) != 4 || len(asParquet) != 4 || len(asCSV) != 5 {
		t.Fatalf("%d, %d, %d rows", len(asCSV)-1, len(asJSON), len(asParquet))
	}
	for i := range asJSON {
		for k, name := range names {
			if asCSV[0][k] != name {
				t.Fatalf("column %d is %s and %s", k, asCSV[0][k], name)
			}
			inCSV, inJSON, inParquet := asCSV[i+1][k], asJSON[i][name], asParquet[i][name]
			if (inJSON == nil) != (inParquet == nil) || (inJSON == nil) != (inCSV == "") {
				t.Errorf("%s: %q, %v, %v", name, inCSV, inJSON, inParquet)
				continue
			}
			if inJSON == nil {
				continue
			}
			switch v := inParquet.(type) {
			case int64:
				text := fmt.Sprint(v)
				if name == "time" {
					text = string(appendInstant(nil, v))
				}
				if fmt.Sprint(inJSON) != text || inCSV != text {
					t.Errorf("%s: %q, %v, %v", name, inCSV, inJSON, text)
				}
			case string:
				switch name {
				case "props":
					var a, b any
					if json.Unmarshal([]byte(v), &a) != nil || json.Unmarshal([]byte(inCSV), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) || fmt.Sprint(a) != fmt.Sprint(inJSON) {
						t.Errorf("props: %q, %v, %q", inCSV, inJSON, v)
					}
				case "revenue_amount":
					if fmt.Sprint(inJSON) != inCSV || inCSV != "19.99" {
						t.Errorf("amount: %q, %v", inCSV, inJSON)
					}
				default:
					if inCSV != v || inJSON != any(v) {
						t.Errorf("%s: %q, %v, %q", name, inCSV, inJSON, v)
					}
				}
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestVisitorsOfTwoExportsCannotBeJoined, while those of one can.
func TestVisitorsOfTwoExportsCannotBeJoined(t *testing.T) {
	s := newShop(t)
	s.visit()
	w := newWorld(t, Pictures(s))
	names := func() map[string]int {
		out := map[string]int{}
		for _, m := range objects(t, w.get(eventsTarget+"ndjson").body) {
			out[m["visitor"].(string)]++
		}
		return out
	}
	one, two := names(), names()
	if len(one) != 2 || len(two) != 2 {
		t.Fatalf("%v, %v", one, two)
	}
	for v := range one {
		if two[v] != 0 {
			t.Errorf("%s is in both", v)
		}
	}
}

// TestOnlyTheRangeAndTheFilterCount.
func TestOnlyTheRangeAndTheFilterCount(t *testing.T) {
	s := newShop(t)
	s.visit()
	s.send(dayStart+30*hour, analytics.Event{Kind: analytics.Pageview, Time: dayStart + 30*hour, ID: 9, Visitor: 7, Page: "/later"})
	w := newWorld(t, Pictures(s))
	w.dialect.filter = &query.Filter{Op: query.Is, Dim: query.EventPage, Values: []string{"/buy", "/later"}}
	rows := objects(t, w.get(eventsTarget+"ndjson&filters=[[]]").body)
	if len(rows) != 1 || rows[0]["page"] != any("/buy") {
		t.Errorf("%v", rows)
	}
	w.dialect.filter = &query.Filter{Op: query.Is, Dim: query.Country, Values: []string{"DE"}}
	if rows := objects(t, w.get(eventsTarget+"ndjson&filters=[[]]").body); len(rows) != 3 {
		t.Errorf("%v", rows)
	}
}

// TestAnExportStaysAsItBegan: it is read slowly while the site goes on, and has
// exactly what was there when it began.
func TestAnExportStaysAsItBegan(t *testing.T) {
	s := newShop(t)
	const each = 2000
	more := func(hour_ int64) {
		evs := make([]analytics.Event, each)
		for i := range evs {
			id := uint64(hour_)*each + uint64(i) + 1
			evs[i] = analytics.Event{Kind: analytics.Pageview, Time: dayStart + hour_*hour + int64(i), ID: id, Visitor: id, Page: fmt.Sprintf("/%d", id)}
		}
		s.send(dayStart+hour_*hour+each, evs...)
	}
	more(1)
	w := newWorld(t, Pictures(s))
	before := w.get(eventsTarget + "csv")
	resp, err := w.client.Do(w.request("member", "GET", eventsTarget+"csv", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(resp.Body, head); err != nil {
		t.Fatal(err)
	}
	more(2)
	more(3)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := bare(append(head, rest...)); got != bare(before.body) || resp.Header.Get("X-Footfall-Index") != "1" {
		t.Errorf("the export changed while it was read: %d and %d bytes, index %s", len(head)+len(rest), len(before.body), resp.Header.Get("X-Footfall-Index"))
	}
	after := w.get(eventsTarget + "csv")
	if after.header.Get("X-Footfall-Index") != "3" || after.trailer.Get("X-Footfall-Rows") != fmt.Sprint(3*each) {
		t.Errorf("later: %v %v", after.header, after.trailer)
	}
}

// bare sums up a CSV of events without the visitors, who have other names in each
// export.
func bare(body []byte) string {
	rows, err := parseCSV(string(body))
	if err != nil {
		return err.Error()
	}
	sum := sha256.New()
	for _, r := range rows {
		r[atVisitor] = ""
		fmt.Fprintln(sum, r)
	}
	return fmt.Sprintf("%d %x", len(rows), sum.Sum(nil))
}

// TestAQuestionThroughAPicture is answered from it, turns and budget included.
func TestAQuestionThroughAPicture(t *testing.T) {
	s := newShop(t)
	s.visit()
	w := newWorld(t, Pictures(unbounded{s}))
	got := w.get("/v1/sites/shop.example/export/query?date_range=2026-05-13,2026-05-13&metrics=visitors,pageviews&dimensions=visit:country")
	if string(got.body) != "visit:country,visitors,pageviews\r\n(not set),1,1\r\nDE,1,1\r\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	w = newWorld(t, Pictures(s))
	if got := w.get("/v1/sites/shop.example/export/query?date_range=2026-05-13,2026-05-13&metrics=visitors,pageviews&dimensions=event:page"); got.status != 413 {
		t.Errorf("beyond the budget: %d %s", got.status, got.body)
	}
}

type unbounded struct{ *shop }

func (u unbounded) Look(ctx context.Context, id analytics.SiteID, after analytics.Token, f func(context.Context, *query.Picture) error) error {
	return u.shop.Look(ctx, id, after, func(ctx context.Context, p *query.Picture) error {
		p.Budget, p.Fan = 0, nil
		return f(ctx, p)
	})
}

func BenchmarkEvents(b *testing.B) {
	for _, f := range []format{csvFormat, ndjsonFormat, parquetFormat} {
		b.Run(f.extension(), func(b *testing.B) {
			b.ReportAllocs()
			day := layerOf(dayStart, 0, 500)
			r := &request{site: &analytics.Site{Domain: "shop.example"}}
			rows := must(newEventRows(func(cols []heading) (writer, error) { return f.writer(discard{}, cols, r, 1) }, [16]byte{}))
			events := []int{0, 1, 2, 3}
			for b.Loop() {
				for i := range 500 {
					for k := range events {
						events[k] = 4*i + k
					}
					if err := rows.visit(query.Visit{Day: day, Layer: day.Layers[0], I: i}, events); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/event")
		})
	}
}
