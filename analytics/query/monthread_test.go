package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// archive is a site that counts for months, with its records in a map.
type archive struct {
	t       *testing.T
	machine *site.Machine
	records map[site.Ref][]byte
	days    *session.Plain // remembers
	zone    *time.Location
	now     int64
	index   uint64
	loads   int // days that were made
}

func newArchive(t *testing.T, zone string) *archive {
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{t: t, machine: site.New(1), records: map[site.Ref][]byte{}, zone: z}
	a.days = session.NewPlain(a)
	return a
}

func (a *archive) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(a.records[r])
}

func (a *archive) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(a.records[r])
}

func (a *archive) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(a.records[r], nil)
}

// Lexicon, Day, Recall and Remember are those of days, with a count.
func (a *archive) Lexicon() *session.Lexicon { return a.days.Lexicon() }

func (a *archive) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	a.loads++
	return a.days.Day(ctx, view, day)
}

func (a *archive) Recall(key string) (any, bool) { return a.days.Recall(key) }

func (a *archive) Remember(key string, v any, bytes int) { a.days.Remember(key, v, bytes) }

// apply counts one item at a time.
func (a *archive) apply(item func(b []byte) []byte) analytics.Reason {
	a.t.Helper()
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, a.now, 1, 0, 1)
	rd, err := entry.Open(item(b))
	if err != nil {
		a.t.Fatal(err)
	}
	items := make([]entry.Item, 1)
	if _, err := rd.Next(&items[0]); err != nil {
		a.t.Fatal(err)
	}
	for need := a.machine.Need(rd.Time, items); len(need) > 0; need = a.machine.Need(rd.Time, items) {
		for _, r := range need {
			if err := a.machine.Provide(r, a.records[r]); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	a.index++
	out := make([]analytics.Reason, 1)
	a.machine.Step(a.index, rd.Time, items, out)
	for _, x := range a.machine.Flush() {
		if x.Value == nil {
			delete(a.records, x.Ref)
		} else {
			a.records[x.Ref] = x.Value
		}
	}
	return out[0]
}

// ms reads a local time.
func (a *archive) ms(when string) int64 {
	a.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", when, a.zone)
	if err != nil {
		a.t.Fatal(err)
	}
	return at.UnixMilli()
}

// view counts a page view of a visitor; one of the past is late.
func (a *archive) view(at int64, visitor uint64, page, source string) {
	a.t.Helper()
	ev := &analytics.Event{Kind: analytics.Pageview, Time: at, Visitor: visitor, ID: a.index + 1, Host: "example.com", Page: page,
		ScrollDepth: analytics.ScrollNone, Explicit: at < a.now}
	ev.Acquisition.Source = source
	a.now = max(a.now, at)
	if got := a.apply(func(b []byte) []byte { return entry.AppendEvent(b, 1, ev) }); got != analytics.Counted {
		a.t.Fatalf("a view at %d is %q", at, got)
	}
}

func (a *archive) seal(month, figures string) {
	a.t.Helper()
	d, _ := calendar.ParseDate(month + "-01")
	if got := a.apply(func(b []byte) []byte {
		return entry.AppendSeal(b, 1, site.MonthNumber(d.Year, d.Month), []byte(figures))
	}); got != analytics.Counted {
		a.t.Fatalf("seal of %s is %q", month, got)
	}
}

func (a *archive) keepFrom(date string) {
	a.t.Helper()
	d, _ := calendar.ParseDate(date)
	day := int32(calendar.DayPeriod(d, d, time.UTC).From / column.DayMS)
	if got := a.apply(func(b []byte) []byte { return entry.AppendRetain(b, 1, day) }); got != analytics.Counted {
		a.t.Fatalf("keep from %s is %q", date, got)
	}
}

func (a *archive) picture() *Picture { return &Picture{View: a.machine.View(), Days: a} }

func (a *archive) months(count int) Months {
	return Months{First: a.machine.First(), Now: a.now, End: calendar.DateOf(a.now, a.zone), Count: count, Zone: a.zone}
}

func (a *archive) read(m Months) []MonthStatus {
	a.t.Helper()
	got, err := m.Read(context.Background(), a.picture())
	if err != nil {
		a.t.Fatal(err)
	}
	return got
}

// TestReadGivesWhatQuestionsSay holds the months that are remembered against
// those that are asked for anew, while views come in, late ones too.
func TestReadGivesWhatQuestionsSay(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "America/Havana"}
	for seed := range 15 {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		a := newArchive(t, zones[seed%len(zones)])
		lasting := seed%4 == 3
		a.now = a.ms("2025-09-29 20:00")
		for i := range 300 {
			at := a.now + r.Int64N(int64(30*time.Hour/time.Millisecond))
			switch r.IntN(6) {
			case 0:
				at = a.now + r.Int64N(20*60_000) // the same visit, perhaps over the end of a month
			case 1:
				at = max(a.now-r.Int64N(60*column.DayMS), 1)
			case 2: // about the end of a month
				d := calendar.DateOf(a.now, a.zone).MonthStart().AddMonths(1)
				at = max(a.now, calendar.MonthPeriod(d, 1, a.zone).From+r.Int64N(3_600_000)-1_800_000)
			}
			a.view(at, 1+r.Uint64N(6), fmt.Sprint("/", r.IntN(5)*r.IntN(i/10+2)), []string{"", "Google", "Bing"}[r.IntN(3)])
			if i%25 != 24 {
				continue
			}
			m := a.months(1 + r.IntN(14))
			m.Lasting = lasting
			m.End = m.End.AddMonths(-r.IntN(3))
			m.Now += r.Int64N(column.DayMS)
			want, err := m.Status(func(q *Question) (*Answer, error) {
				return (&Picture{View: a.machine.View(), Days: session.NewPlain(a)}).Ask(context.Background(), q)
			})
			if err != nil {
				t.Fatal(err)
			}
			got := a.read(m)
			if len(got) != len(want) {
				t.Fatalf("seed %d, view %d: %d months, want %d", seed, i, len(got), len(want))
			}
			for k := range want {
				if !reflect.DeepEqual(got[k], want[k]) {
					t.Fatalf("seed %d, view %d, %s\ngot  %+v\nwant %+v", seed, i, want[k].Start.MonthLabel(), got[k], want[k])
				}
			}
		}
	}
}

// TestMonthsThatDidNotChangeAreNotCountedAgain: a second request makes no day
// but those of the month that goes on, and those it is compared with.
func TestMonthsThatDidNotChangeAreNotCountedAgain(t *testing.T) {
	a := newArchive(t, "UTC")
	for month := range 12 {
		for day := range 20 {
			a.view(time.Date(2025, time.Month(1+month), 1+day, 12, 0, 0, 0, time.UTC).UnixMilli(), uint64(1+day), "/", "")
		}
	}
	a.read(a.months(12))
	a.loads = 0
	first := a.read(a.months(12))
	if a.loads > 2 {
		t.Errorf("%d days were made again", a.loads)
	}
	a.view(a.ms("2025-03-05 10:00"), 99, "/late", "")
	a.loads = 0
	got := a.read(a.months(12))
	if a.loads > 4*2+2 {
		t.Errorf("%d days were made after one late view", a.loads)
	}
	if march := got[9]; march.Figures[0].Number != first[9].Figures[0].Number+1 || march.NewPages != 1 || march.BestPages[1].Page != "/late" {
		t.Errorf("March is %+v", march)
	}
}

// figures is a closed month in its form.
func figures(month, zone string, visits, views, newPages int, page, source string) string {
	return fmt.Sprintf(`{"month":"%s","timezone":"%s","days":31,"visits":%d,"visitors":%d,"pageviews":%d,"views_per_visit":1.5,"bounce_rate":40,"visit_duration":30,`+
		`"new_pages":%d,"best_pages":[{"page":"%s","pageviews":%d,"visitors":%d}],"best_sources":[{"source":"%s","visitors":%d,"visits":%d}]}`,
		month, zone, visits, visits, views, newPages, page, views, visits, source, visits, visits)
}

func TestAClosedMonthShowsItsSealAndWhatCameLate(t *testing.T) {
	a := newArchive(t, "UTC")
	a.view(a.ms("2026-01-10 10:00"), 1, "/a", "Google")
	a.view(a.ms("2026-02-10 10:00"), 1, "/b", "")
	a.view(a.ms("2026-02-11 10:00"), 2, "/b", "")
	a.view(a.ms("2026-03-10 10:00"), 1, "/", "")
	a.seal("2026-01", figures("2026-01", "UTC", 1, 1, 1, "/a", "Google"))
	a.seal("2026-02", figures("2026-02", "UTC", 2, 2, 1, "/b", "Direct / None"))
	got := a.read(a.months(12))
	if got[0].Seal != nil || got[1].Seal.Late != nil || got[2].Seal.Late != nil {
		t.Fatalf("before anything late: %+v", got)
	}
	seals := a.machine.View().Seals
	if got[2].Seal.Previous != [32]byte{} || got[1].Seal.Previous != seals[0].Digest || got[1].Seal.Digest != seals[1].Digest || string(got[1].Seal.Figures) != figures("2026-02", "UTC", 2, 2, 1, "/b", "Direct / None") {
		t.Errorf("seals %+v, %+v", got[1].Seal, got[2].Seal)
	}
	a.view(a.ms("2026-02-20 10:00"), 7, "/c", "")
	a.view(a.ms("2026-02-20 10:01"), 7, "/c", "")
	got = a.read(a.months(12))
	if feb := got[1]; fmt.Sprint(feb.Seal.Late) != "[1 1 2]" || feb.Figures[2].Number != 4 || feb.NewPages != 2 {
		t.Errorf("February is %+v, late %v", feb, feb.Seal.Late)
	}
	if got[2].Seal.Late != nil {
		t.Errorf("late in January: %v", got[2].Seal.Late)
	}
}

func TestWhatCameLateIsNotToldAfterAMoveToAnotherZone(t *testing.T) {
	a := newArchive(t, "Europe/Berlin")
	a.view(a.ms("2026-01-10 10:00"), 1, "/a", "")
	a.view(a.ms("2026-03-10 10:00"), 1, "/", "")
	a.seal("2026-01", figures("2026-01", "UTC", 5, 9, 1, "/a", ""))
	if got := a.read(a.months(12)); got[2].Seal == nil || got[2].Seal.Late != nil || got[2].Figures[0].Number != 1 {
		t.Errorf("January is %+v", got[2])
	}
}

// TestAMonthWhoseDaysAreGoneKeepsItsSealedFigures: without them, a month that
// the retention setting has reached would show what is left of it.
func TestAMonthWhoseDaysAreGoneKeepsItsSealedFigures(t *testing.T) {
	a := newArchive(t, "UTC")
	for _, when := range []string{"2026-01-10 10:00", "2026-02-10 10:00", "2026-02-20 10:00", "2026-03-05 10:00", "2026-03-10 10:00"} {
		a.view(a.ms(when), 1, "/"+when[5:7], "Bing")
	}
	before := a.read(a.months(12))
	a.seal("2026-01", figures("2026-01", "UTC", 1, 1, 1, "/01", "Bing"))
	a.seal("2026-02", figures("2026-02", "UTC", 2, 2, 1, "/02", "Bing"))
	a.keepFrom("2026-02-15")
	got := a.read(a.months(12))
	if len(got) != 3 {
		t.Fatalf("%d months", len(got))
	}
	for i, m := range got {
		if m.Figures[0] != before[i].Figures[0] || m.NewPages != before[i].NewPages || m.BestPages[0] != before[i].BestPages[0] || m.BestSources[0].Source != "Bing" {
			t.Errorf("%s is %+v, was %+v", m.Start.MonthLabel(), m, before[i])
		}
		if m.Seal != nil && m.Seal.Late != nil {
			t.Errorf("%s: late %v", m.Start.MonthLabel(), m.Seal.Late)
		}
	}
	if got[1].MonthChange == nil || got[1].MonthChange[0] != 100 {
		t.Errorf("February against January: %v", got[1].MonthChange)
	}
	if got[0].MonthChange != nil {
		t.Errorf("1 to 10 March against days that are gone: %v", got[0].MonthChange)
	}
}

func TestMonthsOfASiteWithoutEvents(t *testing.T) {
	a := newArchive(t, "UTC")
	a.now = a.ms("2026-03-10 10:00")
	if got := a.read(a.months(12)); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestADamagedSealIsAnErrorThatNamesItsMonth(t *testing.T) {
	good := figures("2026-01", "UTC", 1, 1, 1, "/", "")
	for _, text := range []string{``, `{}`, good[:len(good)-1], strings.Replace(good, `"visits":1,`, ``, 1), strings.Replace(good, `"bounce_rate":40`, `"bounce_rate":"x"`, 1)} {
		a := newArchive(t, "UTC")
		a.view(a.ms("2026-01-10 10:00"), 1, "/", "")
		a.view(a.ms("2026-03-10 10:00"), 1, "/", "")
		a.seal("2026-01", text)
		if _, err := a.months(12).Read(context.Background(), a.picture()); err == nil || !strings.Contains(err.Error(), "2026-01") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReadStopsWithItsContext(t *testing.T) {
	a := newArchive(t, "UTC")
	a.view(a.ms("2026-01-10 10:00"), 1, "/", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.months(12).Read(ctx, a.picture()); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if got := a.read(a.months(12)); got[0].Figures[0].Number != 1 {
		t.Errorf("what was stopped is remembered: %+v", got)
	}
}
