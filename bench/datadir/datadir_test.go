package datadir

import (
	"context"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/bench/history"
	"footfall/cluster"
)

var end = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// rows is how many events a site holds, and how many days have rows that are
// not in a record.
func rows(t *testing.T, d *Dir, id analytics.SiteID) (events, unsealed int) {
	t.Helper()
	v, err := d.sites.View(context.Background(), cluster.ShardOf(id), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range v.Days {
		for _, e := range day.Events {
			events += e.Rows
			if e.Events != nil {
				unsealed++
			}
		}
		for _, g := range day.Sealed {
			events += g.Events
		}
	}
	return events, unsealed
}

func TestAHistoryIsWholeAndSealedWhenTheDirectoryIsOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	world := history.NewWorld(1)
	ids := make([]analytics.SiteID, 2)
	counted := make([]int, 2)
	for i, domain := range []string{"a.example", "b.example"} {
		if ids[i], err = d.CreateSite(domain); err != nil {
			t.Fatal(err)
		}
		g := world.Generator(history.Options{Seed: uint64(i + 1), Views: 20_000, Days: 60, End: end, Host: domain})
		if err := d.Fill(t.Context(), ids[i], g, func(n int) { counted[i] += n }); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		events, unsealed := rows(t, d, id)
		if events != counted[i] || events < 20_000 {
			t.Errorf("site %d: %d events, %d were counted", i, events, counted[i])
		}
		if unsealed > 0 {
			t.Errorf("site %d: %d days are not sealed", i, unsealed)
		}
	}
	if _, err := d.CreateSite("a.example"); analytics.CodeOf(err) != analytics.Conflict {
		t.Errorf("the first site was forgotten: %v", err)
	}
	// The log goes on: what comes now counts too.
	more := []analytics.Event{{Time: end.UnixMilli(), ID: 7, Visitor: 7, Page: "/", Host: "a.example", ScrollDepth: analytics.ScrollNone}}
	if dropped, err := d.Record(ids[0], end.AddDate(0, 0, 1), more); err != nil || dropped != 0 {
		t.Errorf("%d dropped, %v", dropped, err)
	}
	if events, _ := rows(t, d, ids[0]); events != counted[0]+1 {
		t.Errorf("%d events after one more than %d", events, counted[0])
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFillThatIsCancelledEnds(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.CreateSite("a.example")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := history.NewWorld(1).Generator(history.Options{Seed: 1, Views: 50_000, Days: 60, End: end, Host: "a.example"})
	if err := d.Fill(ctx, id, g, func(int) { cancel() }); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
