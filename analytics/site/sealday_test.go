package site_test

import (
	"testing"

	"footfall/analytics"
	"footfall/analytics/site"
)

// TestASealedVisitThatBeganBeforeMidnightStays: a late event moved its start to
// the day before, which a retention takes away; the event of that day stays with
// its visit and is found there.
func TestASealedVisitThatBeganBeforeMidnightStays(t *testing.T) {
	s := newScript()
	s.seal = &site.SealRule{Hurry: true}
	for _, line := range []string{
		`at="+1d 00:10" visitor=1 page=/after`,
		`at=23:50 visitor=1 page=/before arrived="+1d 00:20"`,
		`at="+3d 12:00" visitor=2 page=/`,
	} {
		if got, err := s.event(analytics.Pageview, line); got != "counted" || err != nil {
			t.Fatal(line, got, err)
		}
	}
	s.flush()
	if s.parts == 0 {
		t.Fatal("nothing was sealed")
	}
	for _, when := range []string{"before", "after"} {
		got, err := s.ask(`from=00:00 to="+1d 00:00" metrics=visits,pageviews by=event:page`)
		if err != nil || got != "/before visits=1 pageviews=1\n" {
			t.Fatalf("%s the retention: %q, %v", when, got, err)
		}
		if got, err := s.command("retain", `at="+3d 12:01" day=+1d`); when == "before" && (got != "counted" || err != nil) {
			t.Fatal(got, err)
		}
		s.flush()
		if err := s.restart(); err != nil {
			t.Fatal(err)
		}
	}
}
