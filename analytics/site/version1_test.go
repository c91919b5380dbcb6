package site_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"footfall/analytics/site"
)

// TestRecordsOfVersion1AreRead: testdata/v1 holds the records of a site that the
// first release wrote: events of 9 February that came late, merged visits, 600
// views of 1 March, a night, a day that still runs, dropped events.
func TestRecordsOfVersion1AreRead(t *testing.T) {
	paths, err := filepath.Glob("testdata/v1/*")
	if err != nil || len(paths) != 9 {
		t.Fatal(paths, err)
	}
	s := &script{records: map[site.Ref][]byte{}, index: 1 << 20}
	for _, path := range paths {
		var r site.Ref
		if _, err := fmt.Sscanf(filepath.Base(path), "%d-%d-%d", &r.Kind, &r.Period, &r.Chunk); err != nil {
			t.Fatal(err)
		}
		if s.records[r], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, asks ...string) {
		t.Helper()
		for i := 0; i < len(asks); i += 2 {
			got, err := s.ask(asks[i])
			if err != nil || strings.TrimSpace(got) != asks[i+1] {
				t.Fatalf("%s: %s: got %q, %v, want %q", when, asks[i], got, err, asks[i+1])
			}
		}
	}
	whole := `from="-20d 00:00" to="+3d 00:00" metrics=visitors,visits,pageviews,events,visit_duration,bounce_rate,scroll_depth`
	for _, when := range []string{"as it was written", "written again"} {
		if err := s.restart(); err != nil {
			t.Fatal(when, err)
		}
		v := s.machine.View()
		if v.Index == 0 || v.First != 1_770_624_000_000 || len(v.Seals) != 0 || v.Kept != 0 {
			t.Fatalf("%s: index %d first %d seals %d kept %d", when, v.Index, v.First, len(v.Seals), v.Kept)
		}
		for _, d := range v.Days {
			if d.Changed == 0 || d.Changed > v.Index {
				t.Fatalf("%s: day %d changed at %d, index %d", when, d.Day, d.Changed, v.Index)
			}
		}
		check(when, whole, "visitors=604 visits=604 pageviews=607 events=608 visit_duration=7 bounce_rate=100 scroll_depth=50",
			`from="-20d 00:00" to="-19d 00:00" metrics=visits,pageviews,visit_duration by=visit:source`, "Google visits=1 pageviews=4 visit_duration=3000")
		for _, id := range []string{"9", "1300"} { // of a given time, and in the window
			line := fmt.Sprintf(`at="+1d 10:05" visitor=5 page=/ id=%s`, id)
			if id == "9" {
				line = `at="-20d 08:00" visitor=5 page=/ id=9 arrived="+1d 10:05"`
			}
			if got, err := s.event(0, line); got != "duplicate" || err != nil {
				t.Fatalf("%s: %s gives %q, %v", when, line, got, err)
			}
		}
		s.flush()
		if s.records[site.Ref{}][0] != 3 {
			t.Fatal("the header was not written in the newest version")
		}
	}
	if got, err := s.command("erase", `at="+1d 10:10" day=-20d visitor=5`); got != "counted: visits 1, events 4" || err != nil {
		t.Fatal(got, err)
	}
	check("after an erase", whole, "visitors=603 visits=603 pageviews=603 events=604 visit_duration=2 bounce_rate=100 scroll_depth=50")
}
