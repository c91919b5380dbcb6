package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
	"footfall/persistence"
)

// house is one site's store, log and actors; the process can die.
type house struct {
	t     *testing.T
	store persistence.Store
	log   *memoryLog
	sites *Sites
	index uint64
	ids   uint64
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, store: openStore(t, t.TempDir()), log: &memoryLog{entries: map[uint16][]logEntry{}}}
	h.sites = openSites(t, h.store, h.log)
	t.Cleanup(func() {
		if err := errors.Join(h.sites.Close(context.Background()), h.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// apply appends an entry with the items to the log and gives what became of the
// first.
func (h *house) apply(now int64, add func([]byte) []byte) analytics.Reason {
	h.t.Helper()
	h.index++
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, h.index)
	buf = add(buf)
	h.log.append(2, h.index, buf)
	done := make(chan delivery.Outcome, 1)
	if err := h.sites.Apply(2, h.index, buf, func(o delivery.Outcome) { done <- o }); err != nil {
		h.t.Fatal(err)
	}
	return (<-done).Reasons[0]
}

func (h *house) view(at int64, visitor uint64, page string) {
	h.t.Helper()
	h.ids++
	id, ev := view(1, h.ids, visitor, at, page)
	if got := h.apply(at, func(b []byte) []byte { return entry.AppendEvent(b, id, ev) }); got != analytics.Counted {
		h.t.Fatalf("view of %s: %s", page, got)
	}
}

// erase does what a node does.
func (h *house) erase(now int64, visitor uint64) (visits, events uint64) {
	h.t.Helper()
	days, err := h.sites.VisitorDays(h.t.Context(), 2, 1, visitor)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, day := range days {
		if got := h.apply(now, func(b []byte) []byte { return entry.AppendErase(b, 1, visitor, day) }); got != analytics.Counted {
			h.t.Fatalf("erase: %s", got)
		}
		o, err := h.sites.Outcome(h.t.Context(), 2, 1, h.index)
		if err != nil || !o.Known {
			h.t.Fatalf("outcome: %+v, %v", o, err)
		}
		visits, events = visits+o.Visits, events+o.Events
	}
	return visits, events
}

// die loses everything but the records written and the log, and replays it.
func (h *house) die() {
	h.t.Helper()
	h.sites = openSites(h.t, h.store, h.log)
	h.log.mu.Lock()
	tail := slices.Clone(h.log.entries[2])
	h.log.mu.Unlock()
	for _, e := range tail {
		if err := h.sites.Apply(2, e.index, e.data, nil); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) pages() map[string]int {
	h.t.Helper()
	a, err := h.sites.Ask(h.t.Context(), 2, 1, &query.Question{From: morning - 40*column.DayMS, To: morning + 40*column.DayMS, Zone: time.UTC,
		Metrics: []query.Metric{query.Pageviews}, Dimensions: []query.Dimension{query.EventPage}})
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range a.Rows {
		out[r.Dims[0]] = int(r.Values[0].Number)
	}
	return out
}

// texts are all records of the site, decoded as far as they hold texts.
func (h *house) texts() (texts []string) {
	h.t.Helper()
	from, to := persistence.SiteSpan(2, 1)
	if err := h.store.Scan(from, to, func(key, value []byte) error {
		_, _, kind, _, _, _ := persistence.ParseSiteKey(key)
		switch kind {
		case site.KindEvents:
			e, err := column.DecodeEvents(value)
			if err != nil {
				return err
			}
			texts = append(texts, e.Dict...)
		case site.KindVisits:
			v, err := column.DecodeVisits(value)
			if err != nil {
				return err
			}
			texts = append(texts, v.Dict...)
		case site.KindSealed:
			v, err := column.DecodeSealed(value, h.sites.squeeze)
			if err != nil {
				return err
			}
			texts = append(texts, v.Dict...)
		default:
			texts = append(texts, string(value))
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return texts
}

func TestAnErasedVisitorIsGoneFromMemoryCachesAndRecords(t *testing.T) {
	h := newHouse(t)
	const anna, ben = 7, 8
	want := map[string]int{}
	for day := range int64(5) {
		at := morning + day*column.DayMS
		h.view(at, anna, fmt.Sprintf("/anna/%d", day))
		h.view(at+60_000, ben, fmt.Sprintf("/ben/%d", day))
		want[fmt.Sprintf("/ben/%d", day)] = 1
		if err := h.sites.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.pages()); n != 10 { // fills the caches too
		t.Fatalf("%d pages, want 10", n)
	}
	now := morning + 4*column.DayMS + 120_000
	if visits, events := h.erase(now, anna); visits != 5 || events != 5 {
		t.Fatalf("erased %d visits and %d events, want 5 of each", visits, events)
	}
	if got := h.pages(); !maps.Equal(got, want) {
		t.Fatalf("pages after the erase: %v", got)
	}
	h.die() // before anything of it is written
	if got := h.pages(); !maps.Equal(got, want) {
		t.Fatalf("pages after a replay: %v", got)
	}
	if err := h.sites.Settle(t.Context(), 2, 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range h.texts() {
		for day := range 5 {
			if page := fmt.Sprintf("/anna/%d", day); strings.Contains(text, page) {
				t.Errorf("%s is still in a record", page)
			}
		}
	}
	h.die()
	if got := h.pages(); !maps.Equal(got, want) {
		t.Fatalf("pages after a restart: %v", got)
	}
	if days, err := h.sites.VisitorDays(t.Context(), 2, 1, anna); err != nil || len(days) != 0 {
		t.Fatalf("the visitor is found on %v, %v", days, err)
	}
}

func TestRetentionDeletesRecordsAndSurvivesAReplay(t *testing.T) {
	h := newHouse(t)
	for day := range int64(5) {
		h.view(morning+day*column.DayMS, 7, fmt.Sprintf("/%d", day))
		if err := h.sites.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now := morning + 4*column.DayMS + 60_000
	keep := column.DayOf(morning) + 3
	if got := h.apply(now, func(b []byte) []byte { return entry.AppendRetain(b, 1, keep) }); got != analytics.Counted {
		t.Fatal(got)
	}
	want := map[string]int{"/3": 1, "/4": 1}
	for _, step := range []func() error{
		func() error { return nil },
		func() error { h.die(); return nil },
		func() error { return h.sites.FlushAll(t.Context()) },
		func() error { h.die(); return nil },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if got := h.pages(); !maps.Equal(got, want) {
			t.Fatalf("pages: %v, want %v", got, want)
		}
	}
	from, to := persistence.SiteSpan(2, 1)
	if err := h.store.Scan(from, to, func(key, _ []byte) error {
		if _, _, kind, period, _, _ := persistence.ParseSiteKey(key); (kind == site.KindEvents || kind == site.KindVisits) && int32(period) < keep {
			t.Errorf("a record of kind %d of day %d is left", kind, period)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sum, ok, err := h.sites.Summary(2, 1)
	if err != nil || !ok || sum.Kept != keep || sum.Oldest != keep || sum.First != morning+3*column.DayMS {
		t.Fatalf("summary %+v %v %v", sum, ok, err)
	}
	if _, ok, err := h.sites.Summary(2, 99); ok || err != nil {
		t.Fatalf("a site that has counted nothing has a summary: %v", err)
	}
	if n := h.sites.Resident(); n != 1 {
		t.Fatalf("%d sites are in memory: a summary woke one up", n)
	}
}

func TestSealsAreThereAfterARestart(t *testing.T) {
	h := newHouse(t)
	h.view(morning, 7, "/")
	for i := range int32(3) {
		if got := h.apply(morning, func(b []byte) []byte {
			return entry.AppendSeal(b, 1, site.MonthNumber(2025, 10)+i, fmt.Appendf(nil, `{"visits":%d}`, i))
		}); got != analytics.Counted {
			t.Fatal(got)
		}
		if i == 1 {
			if err := h.sites.FlushAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		h.die()
		v, err := h.sites.View(t.Context(), 2, 1)
		if err != nil || len(v.Seals) != 3 || string(v.Seals[2].Figures) != `{"visits":2}` {
			t.Fatalf("%+v %v", v, err)
		}
		if err := site.VerifySeals(1, v.Seals); err != nil {
			t.Fatal(err)
		}
		if err := h.sites.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
