package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"footfall/analytics/accounts"
	"footfall/cmd/internal/keeper"
	"footfall/http/merchant"
)

// totals asks for visits and page views of the site since January.
func (w *world) totals(t *testing.T) (visits, pageviews int) {
	t.Helper()
	got := w.call(t, merchant.Operator, "POST", "/api/v2/query", `{"site_id":"`+w.site.Domain+`","metrics":["visits","pageviews"],"date_range":["2026-01-01","2027-12-31"]}`, nil)
	var out struct {
		Results []struct{ Metrics []int }
	}
	if err := json.Unmarshal([]byte(got.body), &out); err != nil || len(out.Results) != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	return out.Results[0].Metrics[0], out.Results[0].Metrics[1]
}

// send counts page views of a named visitor, one on each day.
func (w *world) views(t *testing.T, visitor, page string, days ...time.Time) {
	t.Helper()
	for _, day := range days {
		body := fmt.Sprintf(`{"site":%q,"url":"https://%s%s","visitor":%q,"id":"%s-%s-%d","timestamp":%q}`, w.site.Domain, w.site.Domain, page, visitor, visitor, page, day.Unix(), day.UTC().Format(time.RFC3339))
		if got := w.call(t, merchant.WriteKey, "POST", "/v1/events", body, nil); got.status != 202 || !strings.Contains(got.body, `"accepted":1`) {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
}

// TestAnErasedVisitorIsGoneFromAWholeNode sends what a merchant sends, erases as
// the merchant does, and looks for what is left.
func TestAnErasedVisitorIsGoneFromAWholeNode(t *testing.T) {
	n := start(t)
	w := n.people()
	now := time.Now()
	days := []time.Time{now.AddDate(0, 0, -3), now.AddDate(0, 0, -2), now.Add(-time.Minute)}
	const secret = "/account-of-anna-5f1c9a"
	w.views(t, "anna@example.com", secret, days...)
	w.views(t, "ben@example.com", "/shop", days...)
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if visits, views := w.totals(t); visits != 6 || views != 6 {
		t.Fatalf("%d visits and %d page views, want 6", visits, views)
	}
	w.views(t, "anna@example.com", secret+"/log", now) // in the log only
	if !n.holds(secret) || !n.holds(secret+"/log") {
		t.Fatal("the store does not have what is to be erased: the test tests nothing")
	}
	got := w.call(t, merchant.Owner, "POST", "/v1/sites/"+w.site.Domain+"/erase", `{"visitor":"anna@example.com"}`, nil)
	if got.status != 200 || got.body != `{"visits":3,"events":4}` {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if visits, views := w.totals(t); visits != 3 || views != 3 {
		t.Fatalf("after the erase %d visits and %d page views, want 3", visits, views)
	}
	// A retry of one of the events changes nothing.
	body := fmt.Sprintf(`{"site":%q,"url":"https://%s%s","visitor":"anna@example.com","id":"anna@example.com-%s-%d","timestamp":%q}`, w.site.Domain, w.site.Domain, "/again", secret, days[0].Unix(), days[0].UTC().Format(time.RFC3339))
	if got := w.call(t, merchant.WriteKey, "POST", "/v1/events", body, nil); !strings.Contains(got.body, `"duplicate"`) {
		t.Fatalf("the retry: %d %s", got.status, got.body)
	}
	if visits, _ := w.totals(t); visits != 3 {
		t.Fatalf("a retry brought %d visits back", visits-3)
	}
	got = w.call(t, merchant.Owner, "POST", "/v1/sites/"+w.site.Domain+"/erase", `{"visitor":"anna@example.com"}`, nil)
	if got.status != 200 || got.body != `{"visits":0,"events":0}` {
		t.Fatalf("once more: %d %s", got.status, got.body)
	}
	if n.holds(secret) {
		t.Errorf("%s is still in the store", secret)
	}
}

// holds tells whether any record or log entry of the store has the text.
func (n *running) holds(text string) (found bool) {
	n.t.Helper()
	if err := n.store.Scan(nil, nil, func(_, value []byte) error {
		found = found || bytes.Contains(value, []byte(text))
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	return found
}

// TestMonthsAreClosedAndOldDaysGoOnAWholeNode turns the clock.
func TestMonthsAreClosedAndOldDaysGoOnAWholeNode(t *testing.T) {
	n := start(t)
	w := n.people()
	today := time.Now().UTC()
	month := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	w.views(t, "anna", "/a", month.AddDate(0, -2, 9), month.AddDate(0, -1, 9))
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.clock.Set(month.AddDate(0, 0, 5))
	defer n.clock.Set(time.Time{})
	keep := keeper.New(keeper.Config{Sites: kept{n.Node}, Clock: n.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	pass := func() {
		t.Helper()
		if err := keep.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	got := w.call(t, merchant.Viewer, "GET", "/v1/sites/"+w.site.Domain+"/seals", "", nil)
	for _, want := range []string{month.AddDate(0, -2, 0).Format(`"month":"2006-01"`), month.AddDate(0, -1, 0).Format(`"month":"2006-01"`), `"visits":1`, `"page":"/a"`} {
		if !strings.Contains(got.body, want) {
			t.Fatalf("%s is missing in %d %s", want, got.status, got.body)
		}
	}
	retention := 30
	n.do(&accounts.UpdateSite{ID: w.site.ID, RetentionDays: &retention})
	pass()
	if visits, _ := w.totals(t); visits != 1 {
		t.Fatalf("%d visits are left, want 1", visits)
	}
	after := w.call(t, merchant.Viewer, "GET", "/v1/sites/"+w.site.Domain+"/seals", "", nil)
	if after.body != got.body {
		t.Fatalf("closed months changed: %s, then %s", got.body, after.body)
	}
}
