package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// town is sites with their real state machines, without log and store.
type town struct {
	t       *testing.T
	now     time.Time
	sites   []*analytics.Site
	state   map[analytics.SiteID]*held
	broken  map[analytics.SiteID]bool
	foreign map[analytics.SiteID]bool // led by another node

	looked   atomic.Int64 // headers read
	asked    int
	commands []string
}

type held struct {
	machine *site.Machine
	records map[site.Ref][]byte
	index   uint64
}

func newTown(t *testing.T, now string) *town {
	w := &town{t: t, state: map[analytics.SiteID]*held{}, broken: map[analytics.SiteID]bool{}, foreign: map[analytics.SiteID]bool{}}
	w.set(now)
	return w
}

func (w *town) set(now string) {
	w.t.Helper()
	at, err := time.Parse("2006-01-02 15:04", now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.now = at
}

func (w *town) keeper() *Keeper {
	return New(Config{Sites: w, Clock: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler)})
}

func (w *town) pass(k *Keeper) {
	w.t.Helper()
	w.commands, w.asked = nil, 0
	w.looked.Store(0)
	if err := k.Pass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) add(id analytics.SiteID, zone string, days int) {
	w.t.Helper()
	s, err := analytics.Site{ID: id, Timezone: zone, RetentionDays: days}.WithZone()
	if err != nil {
		w.t.Fatal(err)
	}
	w.sites = append(w.sites, s)
	w.state[id] = &held{machine: site.New(id), records: map[site.Ref][]byte{}}
}

// view counts a page view and writes the site.
func (w *town) view(id analytics.SiteID, at string, visitor uint64, page string) {
	w.t.Helper()
	ms, err := time.Parse("2006-01-02 15:04", at)
	if err != nil {
		w.t.Fatal(err)
	}
	h := w.state[id]
	ev := analytics.Event{Time: ms.UnixMilli(), ID: h.index + 1, Visitor: visitor, Page: page, Host: "h", ScrollDepth: analytics.ScrollNone, Explicit: true}
	ev.Acquisition.Source = "Google"
	if got := h.step(w.t, w.now.UnixMilli(), entry.AppendEvent(make([]byte, entry.HeaderLen), id, &ev)); got != analytics.Counted {
		w.t.Fatalf("view at %s: %s", at, got)
	}
}

func (h *held) step(t *testing.T, now int64, buf []byte) analytics.Reason {
	t.Helper()
	entry.PutHeader(buf, now, 1, 0, 1)
	rd, err := entry.Open(buf)
	if err != nil {
		t.Fatal(err)
	}
	items := make([]entry.Item, 1)
	if _, err := rd.Next(&items[0]); err != nil {
		t.Fatal(err)
	}
	for need := h.machine.Need(now, items); len(need) > 0; need = h.machine.Need(now, items) {
		for _, r := range need {
			if err := h.machine.Provide(r, h.records[r]); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.index++
	out := make([]analytics.Reason, 1)
	h.machine.Step(h.index, now, items, out)
	for _, x := range h.machine.Flush() {
		if x.Value == nil {
			delete(h.records, x.Ref)
		} else {
			h.records[x.Ref] = x.Value
		}
	}
	return out[0]
}

func (w *town) All() iter.Seq[*analytics.Site] { return slices.Values(w.sites) }

func (w *town) Leads(id analytics.SiteID) bool { return !w.foreign[id] }

func (w *town) Summary(id analytics.SiteID) (site.Summary, bool, error) {
	w.looked.Add(1)
	if w.broken[id] {
		return site.Summary{}, false, errors.New("broken")
	}
	header, ok := w.state[id].records[site.Ref{}]
	if !ok {
		return site.Summary{}, false, nil
	}
	s, err := site.Summarize(header)
	return s, true, err
}

func (w *town) Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error) {
	w.asked++
	p := &query.Picture{View: w.state[id].machine.View(), Days: session.NewPlain(w.state[id])}
	return p.Ask(ctx, q)
}

func (w *town) Command(_ context.Context, id analytics.SiteID, item []byte) error {
	h := w.state[id]
	before := len(h.machine.View().Seals)
	got := h.step(w.t, w.now.UnixMilli(), append(make([]byte, entry.HeaderLen), item...))
	text := fmt.Sprintf("%d: ", id)
	if v := h.machine.View(); len(v.Seals) > before {
		text += "seal " + site.MonthLabel(v.Seals[before].Month)
	} else {
		text += "keep from " + time.UnixMilli(int64(v.Kept)*column.DayMS).UTC().Format("2006-01-02")
	}
	if got != analytics.Counted {
		text += " " + string(got)
	}
	w.commands = append(w.commands, text)
	return nil
}

func (h *held) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(h.records[r])
}

func (h *held) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(h.records[r])
}

func (h *held) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(h.records[r], nil)
}

func (w *town) want(what string, commands ...string) {
	w.t.Helper()
	if !slices.Equal(w.commands, commands) {
		w.t.Fatalf("%s: commands %q, want %q", what, w.commands, commands)
	}
}

func TestMonthsAreClosedInOrderAfterTheirGrace(t *testing.T) {
	w := newTown(t, "2026-03-20 12:00")
	w.add(1, "UTC", 0)
	w.view(1, "2026-01-10 10:00", 1, "/a")
	w.view(1, "2026-03-10 10:00", 2, "/b")
	k := w.keeper()
	w.pass(k)
	w.want("on 20 March", "1: seal 2026-01", "1: seal 2026-02")
	w.pass(k)
	w.want("an hour later")
	if w.looked.Load() != 0 {
		t.Fatalf("%d headers were read although no month turned", w.looked.Load())
	}
	w.set("2026-04-03 23:59")
	w.pass(k)
	w.want("before the grace is over")
	w.set("2026-04-04 00:00")
	w.pass(k)
	w.want("when it is over", "1: seal 2026-03")
	w.pass(w.keeper())
	w.want("after a restart")
	if err := site.VerifySeals(1, w.state[1].machine.View().Seals); err != nil {
		t.Fatal(err)
	}
}

func TestAMonthEndsInTheZoneOfItsSite(t *testing.T) {
	for _, c := range []struct{ zone, before, after string }{
		{"UTC", "2026-04-03 23:59", "2026-04-04 00:00"},
		{"Europe/Berlin", "2026-04-03 21:59", "2026-04-03 22:00"},
		{"Pacific/Kiritimati", "2026-04-03 09:59", "2026-04-03 10:00"},
		{"Pacific/Niue", "2026-04-04 10:59", "2026-04-04 11:00"},
		{"Asia/Kolkata", "2026-04-03 18:29", "2026-04-03 18:30"},
	} {
		w := newTown(t, "2026-03-20 12:00")
		w.add(1, c.zone, 0)
		w.view(1, "2026-03-10 10:00", 1, "/")
		k := w.keeper()
		w.set(c.before)
		w.pass(k)
		w.want(c.zone + " before")
		w.set(c.after)
		w.pass(k)
		w.want(c.zone+" after", "1: seal 2026-03")
	}
}

func TestSitesThatNobodyVisitsAreLeftAlone(t *testing.T) {
	w := newTown(t, "2026-01-20 12:00")
	w.add(1, "UTC", 0) // never visited
	w.add(2, "UTC", 0)
	w.add(3, "UTC", 0)
	w.foreign[3] = true
	w.view(2, "2026-01-10 10:00", 1, "/")
	w.view(3, "2026-01-10 10:00", 1, "/")
	k := w.keeper()
	w.set("2026-02-10 12:00")
	w.pass(k)
	w.want("in February", "2: seal 2026-01")
	for _, now := range []string{"2026-03-10 12:00", "2026-04-10 12:00", "2026-05-10 12:00"} {
		w.set(now)
		w.pass(k)
		w.want(now)
		if w.looked.Load() != 2 || w.asked != 0 {
			t.Fatalf("%s: %d headers read and %d questions asked, want 2 and 0", now, w.looked.Load(), w.asked)
		}
	}
	w.view(2, "2026-05-09 10:00", 1, "/") // the months between are closed with the next one
	w.set("2026-06-10 12:00")
	w.pass(k)
	w.want("in June", "2: seal 2026-02", "2: seal 2026-03", "2: seal 2026-04", "2: seal 2026-05")
}

func TestTheFiguresOfAClosedMonthAreCanonical(t *testing.T) {
	w := newTown(t, "2026-03-20 12:00")
	w.add(1, "Europe/Berlin", 0)
	w.view(1, "2026-01-31 23:30", 1, "/a") // already February in Berlin
	w.view(1, "2026-02-10 10:00", 2, "/a<b>")
	w.view(1, "2026-02-10 10:10", 2, "/a")
	w.pass(w.keeper())
	w.want("on 20 March", "1: seal 2026-02")
	const want = `{"month":"2026-02","timezone":"Europe/Berlin","days":28,"visits":2,"visitors":2,"pageviews":3,"views_per_visit":1.5,"bounce_rate":50,"visit_duration":300,` +
		`"new_pages":2,"best_pages":[{"page":"/a","pageviews":2,"visitors":2},{"page":"/a\u003cb\u003e","pageviews":1,"visitors":1}],` +
		`"best_sources":[{"source":"Google","visitors":2,"visits":2}]}`
	got := string(w.state[1].machine.View().Seals[0].Figures)
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	// Written again as JSON, the bytes are the same: they can be checked from an answer.
	again, err := json.Marshal(json.RawMessage(got))
	if err != nil || string(again) != got {
		t.Fatalf("%s, %v", again, err)
	}
}

func TestVeryLongPathsFindRoomOrAreLeftOut(t *testing.T) {
	d, _ := calendar.ParseDate("2026-02-01")
	s := &query.MonthStatus{Start: d, Days: 28, Figures: make([]query.Value, len(query.MonthMetrics()))}
	for range 10 {
		s.BestPages = append(s.BestPages, query.BestPage{Page: "/" + strings.Repeat("<", analytics.URLBytesMax)})
		s.BestSources = append(s.BestSources, query.BestSource{Source: strings.Repeat("&", analytics.AttributeBytesMax)})
	}
	f, err := appendFigures(nil, s, "UTC")
	if err != nil || len(f) > entry.FiguresBytesMax || !json.Valid(f) {
		t.Fatalf("%d bytes, valid %v, %v", len(f), json.Valid(f), err)
	}
	if n := strings.Count(string(f), `"page"`); n == 0 || n == 10 {
		t.Fatalf("%d pages", n)
	}
}

func TestDaysBeyondTheSettingGoOnce(t *testing.T) {
	w := newTown(t, "2026-03-20 12:00")
	w.add(1, "America/New_York", 30)
	w.add(2, "UTC", 0)
	for _, id := range []analytics.SiteID{1, 2} {
		for _, at := range []string{"2026-01-05 10:00", "2026-02-18 10:00", "2026-03-19 10:00"} {
			w.view(id, at, 1, "/")
		}
	}
	k := w.keeper()
	w.pass(k)
	// 30 days before 20 March is 18 February, which begins at 05:00 UTC. Months are
	// closed before their days go.
	w.want("on 20 March", "1: seal 2026-01", "1: seal 2026-02", "1: keep from 2026-02-18", "2: seal 2026-01", "2: seal 2026-02")
	w.pass(k)
	w.want("an hour later")
	if w.looked.Load() != 0 {
		t.Fatalf("%d headers were read on the same day", w.looked.Load())
	}
	w.set("2026-03-21 03:00") // still 20 March in New York
	w.pass(k)
	w.want("after midnight UTC")
	w.set("2026-03-21 05:00")
	w.pass(k)
	w.want("the next day", "1: keep from 2026-02-19")
	w.set("2026-03-22 05:00")
	w.pass(k)
	w.want("when nothing is older")
}

func TestASiteThatFailsIsTriedAgainAndHoldsUpNobody(t *testing.T) {
	w := newTown(t, "2026-03-20 12:00")
	for id := analytics.SiteID(1); id <= 3; id++ {
		w.add(id, "UTC", 20)
		w.view(id, "2026-02-10 10:00", 1, "/")
		w.view(id, "2026-03-10 10:00", 1, "/")
	}
	w.broken[2] = true
	k := w.keeper()
	w.pass(k)
	w.want("with a broken site", "1: seal 2026-02", "1: keep from 2026-02-28", "3: seal 2026-02", "3: keep from 2026-02-28")
	delete(w.broken, 2)
	w.pass(k)
	w.want("when it is mended", "2: seal 2026-02", "2: keep from 2026-02-28")
	w.pass(k)
	w.want("at last")
}

// TestRunLooksOnceAnHourAndStops: a pass when it begins and one for every hour
// of the clock; the pace is kept.
func TestRunLooksOnceAnHourAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, "2026-03-20 12:00")
		for id := analytics.SiteID(1); id <= 50; id++ {
			w.add(id, "UTC", 0)
		}
		k := New(Config{Sites: w, Clock: time.Now, Logger: slog.New(slog.DiscardHandler), PerSecond: 10})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		time.Sleep(lookEvery + time.Millisecond)
		synctest.Wait()
		if w.looked.Load() == 0 || w.looked.Load() > 2 {
			t.Errorf("%d headers read at once", w.looked.Load())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if w.looked.Load() != 50 {
			t.Errorf("%d headers read after ten seconds, want 50", w.looked.Load())
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if w.looked.Load() != 50 {
			t.Errorf("%d headers read although no month turned", w.looked.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
