package accounts

import (
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
)

const reportsAt = int64(1_800_000_000_000)

func planned(t *testing.T) (*State, analytics.SiteID) {
	t.Helper()
	s := NewState()
	site := setup(t, s).Site.ID
	must(t, s.Apply(Command{At: reportsAt, Change: somePlans(site)}))
	return s, site
}

func progressOf(s *State, site analytics.SiteID, c Cadence) ReportProgress {
	r, _ := s.View().Reports(site)
	_, p := r.Of(c)
	return p
}

func TestAReportIsSentByOneAtATimeAndOnce(t *testing.T) {
	s, site := planned(t)
	claim := func(by uint64, period string, at, until int64) analytics.Code {
		r := s.Apply(Command{At: at, Change: &ClaimReport{Site: site, Cadence: Weekly, Period: period, By: by, Until: until}})
		if r.Err == nil {
			return 255
		}
		return analytics.CodeOf(r.Err)
	}
	const ok, conflict = analytics.Code(255), analytics.Conflict
	for i, c := range []struct {
		by        uint64
		period    string
		at, until int64
		want      analytics.Code
	}{
		{1, "2026-11-02", 0, 100, ok},
		{2, "2026-11-02", 50, 150, conflict},
		{1, "2026-11-02", 60, 120, ok},  // it goes on
		{2, "2026-11-02", 120, 200, ok}, // it took too long
		{3, "2026-10-26", 300, 400, conflict},
		{3, "2026-11-09", 130, 230, ok}, // the next week has come
		{4, "2026-11-02", 999, 1200, conflict},
	} {
		if got := claim(c.by, c.period, reportsAt+c.at, reportsAt+c.until); got != c.want {
			t.Errorf("%d: got %d, want %d", i, got, c.want)
		}
	}
	if p := progressOf(s, site, Weekly); p.Tries != 1 || p.Since != reportsAt || p.Period != "2026-11-09" {
		t.Errorf("%+v", p)
	}
	if p := progressOf(s, site, Monthly); p.Period != "" {
		t.Errorf("the other cadence has %+v", p)
	}
	settle := func(x SettleReport) error {
		x.Site, x.Cadence, x.Period = site, Weekly, "2026-11-09"
		return s.Apply(Command{At: reportsAt, Change: &x}).Err
	}
	if err := settle(SettleReport{By: 9, Over: true}); analytics.CodeOf(err) != conflict {
		t.Errorf("somebody else ended it: %v", err)
	}
	if err := settle(SettleReport{By: 3, Sent: []string{"a@b.example"}, Until: reportsAt + 500}); err != nil {
		t.Fatal(err)
	}
	if got := claim(5, "2026-11-09", reportsAt+400, reportsAt+700); got != conflict {
		t.Error("the pause before the next try was not kept")
	}
	if got := claim(5, "2026-11-09", reportsAt+500, reportsAt+700); got != ok {
		t.Error("no next try")
	}
	if p := progressOf(s, site, Weekly); !slices.Equal(p.Sent, []string{"a@b.example"}) || p.Tries != 2 {
		t.Errorf("%+v", p)
	}
	if err := settle(SettleReport{By: 5, Sent: []string{"a@b.example", "c@d.example"}, Over: true}); err != nil {
		t.Fatal(err)
	}
	if got := claim(6, "2026-11-09", reportsAt+10_000, reportsAt+20_000); got != conflict {
		t.Error("it was sent again")
	}
}

func TestAClaimCannotBeHeldForLong(t *testing.T) {
	s, site := planned(t)
	must(t, s.Apply(Command{At: reportsAt, Change: &ClaimReport{Site: site, Cadence: Weekly, Period: "2026-11-02", By: 1, Until: 1 << 60}}))
	if p := progressOf(s, site, Weekly); p.Until != reportsAt+reportLeaseMaxMS {
		t.Errorf("%+v", p)
	}
}

func TestPlansAreCheckedAndReplaced(t *testing.T) {
	s, site := planned(t)
	first, _ := s.View().Reports(site)
	must(t, s.Apply(Command{At: reportsAt + 5, Change: &PutReports{Site: site, Secret: strings.Repeat("x", 43),
		Weekly: ReportPlan{Emails: []string{" New@B.example ", "new@b.example"}}}}))
	r, _ := s.View().Reports(site)
	if r.Secret != first.Secret {
		t.Error("the secret was replaced")
	}
	if !slices.Equal(r.Weekly.Emails, []string{"new@b.example"}) || r.WeeklyProgress.Since != reportsAt || !r.Monthly.Empty() {
		t.Errorf("%+v", r)
	}
	must(t, s.Apply(Command{At: reportsAt + 9, Change: somePlans(site)}))
	if p := progressOf(s, site, Monthly); p.Since != reportsAt+9 {
		t.Errorf("a plan that is made anew begins at %d", p.Since)
	}
	for _, c := range []struct {
		plan ReportPlan
		want string
	}{
		{ReportPlan{Emails: []string{"nobody"}}, "weekly.emails[0]: email: must look like"},
		{ReportPlan{Emails: []string{"a@b.example\r\nBcc: x@y.example"}}, "weekly.emails[0]: email: has a space"},
		{ReportPlan{Webhooks: []string{"https://a.example/", "ftp://a.example/"}}, "weekly.webhooks[1]: "},
		{ReportPlan{Webhooks: []string{"https://user:pw@a.example/"}}, "weekly.webhooks[0]: "},
		{ReportPlan{Webhooks: []string{"https:///x"}}, "weekly.webhooks[0]: "},
		{ReportPlan{Webhooks: []string{"https://a.example/ x"}}, "weekly.webhooks[0]: "},
		{ReportPlan{Webhooks: []string{"https://a.example/" + strings.Repeat("x", 1000)}}, "weekly.webhooks[0]: "},
	} {
		x := somePlans(site)
		x.Weekly = c.plan
		err := s.Apply(Command{At: reportsAt, Change: x}).Err
		if analytics.CodeOf(err) != analytics.Invalid || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.plan, err, c.want)
		}
	}
}

func TestReportsGoWithTheirSite(t *testing.T) {
	s, site := planned(t)
	s.TakeDirty()
	must(t, s.Apply(Command{At: reportsAt, Change: &DeleteSite{ID: site}}))
	if _, ok := s.View().Reports(site); ok {
		t.Error("they are still there")
	}
	if !slices.Contains(s.TakeDirty(), Ref{RefReports, uint64(site)}) {
		t.Error("their record stays")
	}
}

func TestALinkOpensItsSiteWhileItIsAsItWas(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	link := must(t, s.Apply(Command{At: 1000, Change: &PutSharedLink{Site: r.Site.ID, Name: "a", Slug: strings.Repeat("a", 43), PasswordHash: "h", Expires: 5000}})).Link
	who := Identity{Opened: s.View().StillOpen([]Opened{{link, 4000}}, 3999)}
	if !who.MayRead(r.Site) || who.MayManage(r.Site) || who.Belongs(r.Site) || !who.Anonymous() || who.MayAnnotate(r.Site) {
		t.Errorf("the holder may not do what a holder may: %+v", who)
	}
	if who.MayRead(&analytics.Site{ID: r.Site.ID + 1, Org: r.Site.Org}) {
		t.Error("the holder reads another site")
	}
	for _, c := range []struct{ until, now int64 }{{4000, 4000}, {9000, 5000}} {
		if got := s.View().StillOpen([]Opened{{link, c.until}}, c.now); got != nil {
			t.Errorf("%+v is open: %v", c, got)
		}
	}
	other := *link
	other.PasswordHash = "other"
	if s.View().StillOpen([]Opened{{&other, 4000}}, 2000) != nil {
		t.Error("it is open with a password that it does not have")
	}
	must(t, s.Apply(Command{At: 1000, Change: &DeleteSharedLink{Site: r.Site.ID, ID: link.ID}}))
	if s.View().StillOpen([]Opened{{link, 4000}}, 2000) != nil {
		t.Error("it is open although it is gone")
	}
}
