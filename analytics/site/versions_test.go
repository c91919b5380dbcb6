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
	s := kept(t, "v1")
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

// kept is a site with the records in a folder of testdata.
func kept(t *testing.T, version string) *script {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + version + "/*")
	if err != nil || len(paths) != 9 {
		t.Fatal(paths, err)
	}
	s := &script{records: map[site.Ref][]byte{}, index: 2 << 20}
	for _, path := range paths {
		var r site.Ref
		if _, err := fmt.Sscanf(filepath.Base(path), "%d-%d-%d", &r.Kind, &r.Period, &r.Chunk); err != nil {
			t.Fatal(err)
		}
		if s.records[r], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestRecordsOfVersion2AreReadAndSealed: testdata/v2 holds the site of version 1
// with one view more, written when headers knew no sealed days. Its days are
// sealed, say the same, are read back, and take a late event.
func TestRecordsOfVersion2AreReadAndSealed(t *testing.T) {
	s := kept(t, "v2")
	if err := s.restart(); err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		got, err := s.ask(`from="-20d 00:00" to="+3d 00:00" metrics=visitors,visits,pageviews,events,visit_duration,bounce_rate,scroll_depth by=time:day`)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := ask()
	if !strings.Contains(want, "2026-03-01 visitors=601 visits=601 pageviews=602") {
		t.Fatal(want)
	}
	if got, err := s.event(0, `at="+3d 10:00" visitor=5 page=/ id=78`); got != "counted" || err != nil {
		t.Fatal(got, err)
	}
	if n := s.sealParts(site.SealRule{Hurry: true}); n < 3 {
		t.Fatalf("%d parts were sealed, want those of three days", n)
	}
	if got := s.flush(); s.records[site.Ref{}][0] != 3 {
		t.Fatal(got)
	}
	for r := range s.records {
		if r.Kind == site.KindVisits {
			t.Fatalf("record %v is left", r)
		}
	}
	for _, when := range []string{"sealed", "read back"} {
		if got := ask(); got != want {
			t.Fatalf("%s: got\n%s\nwant\n%s", when, got, want)
		}
		if err := s.restart(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.event(0, `at="-20d 08:10" visitor=5 page=/ id=79 arrived="+3d 10:05"`); got != "counted" || err != nil {
		t.Fatal(got, err)
	}
	if got := ask(); got == want {
		t.Fatal("the late event is not there")
	}
}
