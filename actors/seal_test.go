package actors

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
	"footfall/persistence"
)

// kinds counts the site's records of each kind and day.
func (h *house) kinds(kind byte) map[int32]int {
	h.t.Helper()
	out := map[int32]int{}
	from, to := persistence.SiteSpan(2, 1)
	if err := h.store.Scan(from, to, func(key, _ []byte) error {
		if _, _, k, period, _, _ := persistence.ParseSiteKey(key); k == kind {
			out[int32(period)]++
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return out
}

// TestSealedDaysSurviveEverything counts through flushes, which seal, restarts,
// replays of a log that was not cut, late events into sealed days, and an import
// that is sealed at once.
func TestSealedDaysSurviveEverything(t *testing.T) {
	h := newHouse(t)
	r := rand.New(rand.NewPCG(1, 1))
	want := map[string]int{}
	now := morning
	sealedDays := 0
	for range 12 {
		for range 60 {
			now += int64(r.IntN(25 * 60_000))
			h.ids++
			page := fmt.Sprintf("/%d", r.IntN(9))
			ev := &analytics.Event{Time: now, ID: h.ids, Visitor: uint64(r.IntN(20) + 1), Page: page, Host: "a.test", ScrollDepth: analytics.ScrollNone}
			if r.IntN(15) == 0 {
				ev.Explicit = true
				ev.Time -= int64(r.IntN(4 * column.DayMS))
			}
			if got := h.apply(now, func(b []byte) []byte { return entry.AppendEvent(b, 1, ev) }); got != analytics.Counted {
				t.Fatal(got)
			}
			want[page]++
		}
		h.log.mu.Lock()
		uncut := slices.Clone(h.log.entries[2])
		h.log.mu.Unlock()
		if err := h.sites.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		switch r.IntN(3) {
		case 0:
			h.die()
		case 1: // the log was not cut yet
			h.log.mu.Lock()
			h.log.entries[2] = uncut
			h.log.mu.Unlock()
			h.die()
		}
		sealedDays = max(sealedDays, len(h.kinds(site.KindSealed)))
		if got := h.pages(); !maps.Equal(got, want) {
			t.Fatalf("pages: %v, want %v", got, want)
		}
	}
	if sealedDays < 5 {
		t.Fatalf("only %d days were sealed by the flushes", sealedDays)
	}
	if err := h.sites.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	over := column.DayOf(now - 4*3600_000)
	for _, kind := range []byte{site.KindEvents, site.KindVisits} {
		for day, n := range h.kinds(kind) {
			if day < over {
				t.Errorf("day %d has %d records of kind %d left, today is %d", day, n, kind, column.DayOf(now))
			}
		}
	}
	for range 2 {
		if got := h.pages(); !maps.Equal(got, want) {
			t.Fatalf("pages after all was sealed: %v, want %v", got, want)
		}
		h.die()
	}
}

// TestIDsAreForgottenOnlyWhereTheyDoNotLast: 35 days after its last change a day
// knows visitors without a name by number, unless the site's ids last.
func TestIDsAreForgottenOnlyWhereTheyDoNotLast(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		h := newHouse(t)
		h.sites.cfg.Lasting = func(analytics.SiteID) bool { return lasting }
		const visitor = 0x1122334455667788
		for i := range 30 {
			h.view(morning+int64(i)*3600_000, visitor+uint64(i%3), "/")
		}
		h.view(morning+50*column.DayMS, 5, "/")
		if err := h.sites.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		found := false
		from, to := persistence.SiteSpan(2, 1)
		if err := h.store.Scan(from, to, func(key, value []byte) error {
			if _, _, kind, _, _, _ := persistence.ParseSiteKey(key); kind == site.KindSealed {
				found = found || bytes.Contains(value, []byte{0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if found != lasting {
			t.Errorf("ids last: %v, and an id is in a record: %v", lasting, found)
		}
	}
}

// TestAQuestionOutlivesTheRecordsOfItsView: while a question is asked, days are
// sealed and the records that its view names are deleted.
func TestAQuestionOutlivesTheRecordsOfItsView(t *testing.T) {
	h := newHouse(t)
	for i := range 40 {
		h.view(morning+int64(i)*3600_000, uint64(i%3+1), "/")
	}
	if err := h.sites.flush(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	h.view(morning+60*3600_000, 9, "/")
	h.die() // nothing is cached
	day := column.DayOf(morning)
	err := h.sites.Look(t.Context(), 2, 1, func(ctx context.Context, p *query.Picture) error {
		if err := h.sites.SealAll(ctx); err != nil {
			return err
		}
		d, err := p.Days.Day(ctx, p.View, day)
		if err == nil && d.Events != 16 {
			t.Errorf("%d events, want 16", d.Events)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = h.sites.Look(t.Context(), 2, 1, func(ctx context.Context, p *query.Picture) error {
		h.sites.days.forget(1)
		h.ids++
		id, ev := view(1, h.ids, 1, morning+1, "/late")
		ev.Explicit = true
		if got := h.apply(morning+61*3600_000, func(b []byte) []byte { return entry.AppendEvent(b, id, ev) }); got != analytics.Counted {
			t.Fatal(got)
		}
		if err := h.sites.FlushAll(ctx); err != nil {
			return err
		}
		_, err := (&query.Picture{View: p.View, Days: coldDays(h)}).Days.Day(ctx, p.View, day)
		return err
	})
	if analytics.CodeOf(err) != analytics.Unavailable {
		t.Fatalf("a day that is not there any more as it was: %v", err)
	}
}

// coldDays is a source of days without any cached.
func coldDays(h *house) *siteDays {
	days, _ := newDayCache(1<<20).of(1, h.sites.blocksOf(2), func(ctx context.Context) (*site.View, error) { return h.sites.View(ctx, 2, 1) })
	return days
}
