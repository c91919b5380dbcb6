package reporter

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

// world is a house of accounts whose log outlives the reporters.
type world struct {
	t     *testing.T
	mail  *mailServer
	hook  *hookServer
	plans *accounts.Reports
	site  *analytics.Site

	mu     sync.Mutex
	now    time.Time
	state  *accounts.State
	leads  bool
	failAt func(accounts.Change) error
	asked  []query.Question
	askErr error
	random uint64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, mail: startMail(t, nil), hook: startHook(t), state: accounts.NewState(), leads: true, now: time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)}
	w.site = w.must(&accounts.CreateSite{Domain: "shop.example", Timezone: "Europe/Berlin", Secret: accounts.Secret{1}}).Site
	return w
}

func (w *world) must(c accounts.Change) accounts.Result {
	w.t.Helper()
	out, err := w.Do(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) plan(weekly, monthly accounts.ReportPlan) {
	w.t.Helper()
	w.must(&accounts.PutReports{Site: w.site.ID, Secret: strings.Repeat("s", 43), Weekly: weekly, Monthly: monthly})
}

func (w *world) Do(_ context.Context, c accounts.Change) (accounts.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failAt != nil {
		if err := w.failAt(c); err != nil {
			return accounts.Result{}, err
		}
	}
	out := w.state.Apply(accounts.Command{At: w.now.UnixMilli(), Change: c})
	return out, out.Err
}

func (w *world) view() *accounts.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.View()
}

func (w *world) Plans() iter.Seq[*accounts.Reports] { return w.view().AllReports }

func (w *world) Site(id analytics.SiteID) (*analytics.Site, bool) { return w.view().SiteByID(id) }

func (w *world) Leads(analytics.SiteID) bool { return w.leads }

// Ask answers 100 visitors, of the period before 80, and two pages.
func (w *world) Ask(_ context.Context, _ analytics.SiteID, q *query.Question) (*query.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.askErr != nil {
		return nil, w.askErr
	}
	w.asked = append(w.asked, *q)
	n := 100.0
	if len(w.asked)%4 == 2 {
		n = 80
	}
	row := query.Row{}
	for range q.Metrics {
		row.Values = append(row.Values, query.Value{Number: n})
	}
	if len(q.Dimensions) > 0 {
		row.Dims = []string{"best " + string(q.Dimensions[0])}
	}
	return &query.Answer{Rows: []query.Row{row}}, nil
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(now string) {
	w.t.Helper()
	at, err := time.Parse("2006-01-02 15:04", now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = at
}

// pass lets a process that has just begun make one pass.
func (w *world) pass() {
	w.t.Helper()
	w.passWith(NewMailer(MailConfig{Address: w.mail.address, From: mail.Address{Address: "stats@mail.example"}}))
}

func (w *world) passWith(m *Mailer) {
	w.t.Helper()
	r := New(Config{Sites: w, Clock: w.clock, Logger: slog.New(slog.DiscardHandler), Mail: m, Hooks: NewHooks(HooksConfig{Clock: w.clock, Private: true}),
		URL: func() string { return "https://stats.example" }, Random: func() uint64 { w.random++; return w.random * 2 }})
	if err := r.Pass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// counts wants so many mails and deliveries in all.
func (w *world) counts(mails, hooks int) {
	w.t.Helper()
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	if len(w.mail.mails) != mails || w.hook.count() != hooks {
		w.t.Errorf("at %s: %d mails and %d deliveries, want %d and %d", w.now, len(w.mail.mails), w.hook.count(), mails, hooks)
	}
}

func TestEachPeriodIsReportedOnceAlsoOverRestarts(t *testing.T) {
	w := newWorld(t)
	to := accounts.ReportPlan{Emails: []string{"a@b.example"}, Webhooks: []string{w.hook.URL}}
	w.plan(to, to)
	for _, step := range []struct {
		now          string
		mails, hooks int
	}{
		{"2026-11-04 12:00", 0, 0}, // no report of what was before the plan
		{"2026-11-09 03:59", 0, 0}, // Monday, 04:59 in Berlin
		{"2026-11-09 04:00", 1, 1},
		{"2026-11-09 04:01", 1, 1},
		{"2026-11-15 23:00", 1, 1},
		{"2026-11-18 10:00", 2, 2}, // late, because nobody was there
		{"2026-12-01 03:59", 3, 3}, // of the third week
		{"2026-12-01 04:00", 4, 4}, // of November
		{"2026-12-06 00:00", 4, 4}, // the week of 30 November is not over yet
	} {
		w.set(step.now)
		w.pass() // each by a new process
		w.pass()
		w.counts(step.mails, step.hooks)
	}
	first, last := w.hook.got[0].body, w.hook.got[3].body
	for text, want := range map[string]string{string(first): `"type":"report.weekly","site":"shop.example","from":"2026-11-02","to":"2026-11-08","timezone":"Europe/Berlin"`,
		string(last): `"type":"report.monthly","site":"shop.example","from":"2026-11-01","to":"2026-11-30"`} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	if want := `"figures":[{"metric":"visitors","value":100,"previous":80,"change":25}`; !strings.Contains(string(first), want) ||
		!strings.Contains(string(first), `"pages":[{"name":"best event:page","visitors":100,"pageviews":100}]`) {
		t.Errorf("got %s", first)
	}
	q := w.asked[:2]
	berlin := w.site.Zone()
	if from := time.UnixMilli(q[0].From).In(berlin).Format(time.RFC3339); from != "2026-11-02T00:00:00+01:00" || q[0].From != q[1].To || q[0].To-q[0].From != 7*24*3600_000 {
		t.Errorf("asked about %s and %+v", from, q)
	}
}

func TestTwoNodesSendOnce(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Emails: []string{"a@b.example"}, Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.set("2026-11-09 06:00")
	var wg sync.WaitGroup
	mailer := NewMailer(MailConfig{Address: w.mail.address, From: mail.Address{Address: "stats@mail.example"}})
	for i := range 4 { // all believe that they lead
		wg.Go(func() {
			r := New(Config{Sites: w, Clock: w.clock, Logger: slog.New(slog.DiscardHandler), Mail: mailer, Hooks: NewHooks(HooksConfig{Clock: w.clock, Private: true}),
				URL: func() string { return "" }, Random: func() uint64 { return uint64(i+1) << 8 }})
			if err := r.Pass(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.counts(1, 1)
}

func TestANodeThatDoesNotLeadSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.set("2026-11-09 06:00")
	w.leads = false
	w.pass()
	w.counts(0, 0)
	w.leads = true
	w.pass()
	w.counts(0, 1)
}

func TestWhatFailsIsTriedAgainAndWhatWorkedIsNot(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Emails: []string{"a@b.example", "full@b.example", "gone@b.example"}, Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.mail.refuse["full@b.example"], w.mail.refuse["gone@b.example"] = "452 later", "550 never"
	w.hook.answer(500)
	w.set("2026-11-09 06:00")
	w.pass()
	w.counts(1, 1)
	w.set("2026-11-09 06:04")
	w.pass() // within the pause
	w.counts(1, 1)
	w.hook.answer(200)
	w.set("2026-11-09 06:05")
	w.pass()
	w.counts(1, 2)
	w.mail.set(func() { delete(w.mail.refuse, "full@b.example") })
	w.set("2026-11-09 06:14")
	w.pass() // the pause has doubled
	w.counts(1, 2)
	w.set("2026-11-09 06:15")
	w.pass()
	w.counts(2, 2)
	if w.mail.receivers() != "a@b.example full@b.example" {
		t.Errorf("mails to %s", w.mail.receivers())
	}
	w.set("2026-11-10 12:00")
	w.pass()
	w.counts(2, 2)
	ids := map[string]bool{}
	for _, d := range w.hook.got {
		ids[d.header.Get("X-Footfall-Delivery")] = true
	}
	if len(ids) != 1 {
		t.Errorf("the tries have the ids %v", ids)
	}
}

func TestItIsGivenUpAtLastAndTheNextPeriodBegins(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.hook.answer(404)
	w.set("2026-11-09 06:00")
	for range 30 {
		w.pass()
		w.mu.Lock()
		w.now = w.now.Add(pauseMax)
		w.mu.Unlock()
		if w.now.Day() == 15 {
			break
		}
	}
	w.counts(0, triesMax)
	w.hook.answer(200)
	w.set("2026-11-16 06:00")
	w.pass()
	w.counts(0, triesMax+1)
}

func TestAProcessThatEndsInBetweenLeavesTheReportToAnother(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.set("2026-11-09 06:00")
	w.failAt = func(c accounts.Change) error {
		if _, ok := c.(*accounts.SettleReport); ok {
			return errors.New("the process is gone")
		}
		return nil
	}
	w.pass()
	w.counts(0, 1)
	w.failAt = nil
	w.set("2026-11-09 06:14")
	w.pass() // the claim still holds
	w.counts(0, 1)
	w.set("2026-11-09 06:15")
	w.pass()
	w.counts(0, 2)
	if a, b := w.hook.got[0].header.Get("X-Footfall-Delivery"), w.hook.got[1].header.Get("X-Footfall-Delivery"); a != b || a == "" {
		t.Errorf("the second has another id: %s, %s", a, b)
	}
	w.set("2026-11-09 12:00")
	w.pass()
	w.counts(0, 2)
}

func TestNothingIsSentWhenTheFiguresCannotBeHad(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Webhooks: []string{w.hook.URL}}, accounts.ReportPlan{})
	w.set("2026-11-09 06:00")
	w.askErr = analytics.Errorf(analytics.Unavailable, "not here")
	w.pass()
	w.counts(0, 0)
	w.askErr = nil
	w.set("2026-11-09 06:05")
	w.pass()
	w.counts(0, 1)
}

func TestMailWaitsForANodeThatSendsIt(t *testing.T) {
	w := newWorld(t)
	w.plan(accounts.ReportPlan{Emails: []string{"a@b.example"}}, accounts.ReportPlan{})
	w.set("2026-11-09 06:00")
	w.passWith(nil)
	w.counts(0, 0)
	w.pass()
	w.counts(1, 0)
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	r := New(Config{Sites: w, Clock: w.clock, Logger: slog.New(slog.DiscardHandler), Random: func() uint64 { return 1 }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}
