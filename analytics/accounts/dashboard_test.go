package accounts

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
)

func TestRefusalsOfWhatTheDashboardKeepsNameTheField(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	site, user := r.Site.ID, r.User.ID
	many := make([]analytics.SiteID, GroupSitesMax+1)
	for i := range many {
		many[i] = analytics.SiteID(i + 1)
	}
	prefer := func(f func(*Preferences)) *PutPreferences {
		p := somePreferences(user)
		f(&p)
		return &PutPreferences{p}
	}
	funnel := func(f func(*CreateFunnel)) *CreateFunnel {
		c := &CreateFunnel{Site: site, Name: "other", Steps: []FunnelStep{{Page: "/"}, {Event: "Signup"}}}
		f(c)
		return c
	}
	step := func(x FunnelStep) *CreateFunnel {
		return funnel(func(c *CreateFunnel) { c.Steps[1] = x })
	}
	must(t, s.Apply(Command{At: 3, Change: funnel(func(c *CreateFunnel) { c.Name = "Checkout" })}))
	must(t, s.Apply(Command{At: 3, Change: funnel(func(c *CreateFunnel) { c.Name = "Second" })}))
	must(t, s.Apply(Command{At: 3, Change: &CreateAnnotation{Site: site, Date: "2026-11-02", Text: "t"}}))
	for _, c := range []struct {
		change Change
		code   analytics.Code
		text   string
	}{
		{prefer(func(p *Preferences) { p.User = 99 }), analytics.NotFound, "user: "},
		{prefer(func(p *Preferences) { p.Pinned = many[:PinnedMax+1] }), analytics.Invalid, "pinned: more than 200"},
		{prefer(func(p *Preferences) { p.Groups = make([]SiteGroup, GroupsMax+1) }), analytics.Invalid, "groups: more than 50"},
		{prefer(func(p *Preferences) { p.Groups[0].Name = " " }), analytics.Invalid, "groups[0].name: must not be empty"},
		{prefer(func(p *Preferences) { p.Groups = append(p.Groups, SiteGroup{Name: "Shops "}) }), analytics.Invalid, "groups[1].name: "},
		{prefer(func(p *Preferences) { p.Groups[0].Sites = many }), analytics.Invalid, "groups[0].sites: more than 500"},
		{prefer(func(p *Preferences) { p.Theme = "pink" }), analytics.Invalid, "theme: "},
		{prefer(func(p *Preferences) { p.Language = "d e" }), analytics.Invalid, "language: "},
		{prefer(func(p *Preferences) { p.Language = "de-" }), analytics.Invalid, "language: "},
		{prefer(func(p *Preferences) { p.Language = strings.Repeat("d", 36) }), analytics.Invalid, "language: "},
		{prefer(func(p *Preferences) { p.WeekStart = "friday" }), analytics.Invalid, "week_start: "},

		{&CreateAnnotation{Site: 99, Date: "2026-11-02", Text: "t"}, analytics.NotFound, "site: "},
		{&CreateAnnotation{Site: site, Date: "2026-11-02", Text: "t", Author: 99}, analytics.NotFound, "user: "},
		{&CreateAnnotation{Site: site, Date: "2026-11-31", Text: "t"}, analytics.Invalid, "date: "},
		{&CreateAnnotation{Site: site, Date: "2026-11-02T00:00:00Z", Text: "t"}, analytics.Invalid, "date: "},
		{&CreateAnnotation{Site: site, Date: "1994-12-31", Text: "t"}, analytics.Invalid, "date: "},
		{&CreateAnnotation{Site: site, Date: "2026-11-02", Text: " \n"}, analytics.Invalid, "text: must not be empty"},
		{&CreateAnnotation{Site: site, Date: "2026-11-02", Text: strings.Repeat("ü", 501)}, analytics.Invalid, "text: longer than 500"},
		{&CreateAnnotation{Site: site, Date: "2026-11-02", Text: "a\x1bb"}, analytics.Invalid, "text: "},
		{&CreateAnnotation{Site: site, Date: "2026-11-02", Text: "a\xff"}, analytics.Invalid, "text: "},
		{&UpdateAnnotation{Site: site, ID: 99}, analytics.NotFound, "annotation: "},
		{&UpdateAnnotation{Site: 99, ID: 1}, analytics.NotFound, "annotation: "},
		{&UpdateAnnotation{Site: site, ID: 1, Date: new("x")}, analytics.Invalid, "date: "},
		{&UpdateAnnotation{Site: site, ID: 1, Text: new("")}, analytics.Invalid, "text: "},
		{&DeleteAnnotation{Site: 99, ID: 1}, analytics.NotFound, "annotation: "},

		{funnel(func(c *CreateFunnel) { c.Site = 99 }), analytics.NotFound, "site: "},
		{funnel(func(c *CreateFunnel) { c.Name = "" }), analytics.Invalid, "name: "},
		{funnel(func(c *CreateFunnel) { c.Name = "Checkout" }), analytics.Conflict, "name: "},
		{funnel(func(c *CreateFunnel) { c.Steps = c.Steps[:1] }), analytics.Invalid, "steps: must be a list of 2 to 20 steps"},
		{funnel(func(c *CreateFunnel) { c.Steps = make([]FunnelStep, 21) }), analytics.Invalid, "steps: "},
		{funnel(func(c *CreateFunnel) { c.Window = "soon" }), analytics.Invalid, "window: must be visit"},
		{funnel(func(c *CreateFunnel) { c.Window = "07d" }), analytics.Invalid, "window: "},
		{funnel(func(c *CreateFunnel) { c.Window = "d" }), analytics.Invalid, "window: "},
		{funnel(func(c *CreateFunnel) { c.Window = "1dd" }), analytics.Invalid, "window: "},
		{funnel(func(c *CreateFunnel) { c.Window = "91d" }), analytics.Invalid, "window: must be at most 90 days"},
		{funnel(func(c *CreateFunnel) { c.Window = "2161h" }), analytics.Invalid, "window: must be at most 90 days"},
		{funnel(func(c *CreateFunnel) { c.Window = "129601m" }), analytics.Invalid, "window: must be at most 90 days"},
		{step(FunnelStep{}), analytics.Invalid, "steps/1/page: give exactly one"},
		{step(FunnelStep{Page: "/", Event: "x"}), analytics.Invalid, "steps/1/page: give exactly one"},
		{step(FunnelStep{Page: "x"}), analytics.Invalid, "steps/1/page: must begin"},
		{step(FunnelStep{Page: "/" + strings.Repeat("*", 17)}), analytics.Invalid, "steps/1/page: more than 16"},
		{step(FunnelStep{Page: "/", Scroll: 101}), analytics.Invalid, "steps/1/scroll: "},
		{step(FunnelStep{Event: "x", Scroll: 5}), analytics.Invalid, "steps/1/scroll: "},
		{step(FunnelStep{Event: "engagement"}), analytics.Invalid, "steps/1/event: "},
		{step(FunnelStep{Event: strings.Repeat("x", 121)}), analytics.Invalid, "steps/1/event: longer"},
		{step(FunnelStep{Goal: "none"}), analytics.Invalid, "steps/1/goal: \"none\" is not configured"},
		{step(FunnelStep{Goal: "none", Props: map[string]string{"a": "b"}}), analytics.Invalid, "steps/1/props: "},
		{step(FunnelStep{Page: "/", Props: map[string]string{"a": "", "b": "", "c": "", "d": ""}}), analytics.Invalid, "steps/1/props: more than 3"},
		{step(FunnelStep{Page: "/", Props: map[string]string{" ": "b"}}), analytics.Invalid, "steps/1/props: "},
		{step(FunnelStep{Page: "/", Props: map[string]string{"a": "1", "a ": "2"}}), analytics.Invalid, "steps/1/props: "},
		{step(FunnelStep{Page: "/", Props: map[string]string{"a": strings.Repeat("x", 2001)}}), analytics.Invalid, "steps/1/props: longer"},
		{step(FunnelStep{Page: "/", Name: strings.Repeat("x", 256)}), analytics.Invalid, "steps/1/name: longer"},
		{&UpdateFunnel{Site: site, ID: 99}, analytics.NotFound, "funnel: "},
		{&UpdateFunnel{Site: 99, ID: 1}, analytics.NotFound, "funnel: "},
		{&UpdateFunnel{Site: site, ID: 1, Name: new("Second")}, analytics.Conflict, "name: "},
		{&UpdateFunnel{Site: site, ID: 1, Name: new("")}, analytics.Invalid, "name: "},
		{&UpdateFunnel{Site: site, ID: 1, Window: new("")}, analytics.Invalid, "window: "},
		{&UpdateFunnel{Site: site, ID: 1, Steps: &[]FunnelStep{}}, analytics.Invalid, "steps: "},
		{&UpdateFunnel{Site: site, ID: 1, Steps: &[]FunnelStep{{Page: "/"}, {Goal: "none"}}}, analytics.Invalid, "steps/1/goal: "},
		{&DeleteFunnel{Site: 99, ID: 1}, analytics.NotFound, "funnel: "},

		{&UpdateUser{Org: r.Org.ID, ID: user, Role: Viewer}, analytics.Conflict, "only owner"},
		{&UpdateUser{Org: r.Org.ID, ID: user, Role: 9}, analytics.Invalid, "role: "},
		{&UpdateUser{Org: 99, ID: user, Role: Viewer}, analytics.NotFound, "user: "},
		{&ConfirmSecondFactor{User: user, Recovery: make([]Hash, RecoveryCodes+1)}, analytics.Invalid, "recovery_codes: "},
	} {
		before, _ := s.View().Encode()
		wantErr(t, s.Apply(Command{At: 5, Change: c.change}), c.code, c.text)
		if after, _ := s.View().Encode(); !bytes.Equal(before, after) {
			t.Fatalf("%T changed the state", c.change)
		}
	}
}

func TestPreferencesAreReplacedWholeAndNothingIsKeptOfNothing(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	user := r.User.ID
	if p := s.View().Preferences(user); fmt.Sprintf("%+v", *p) != fmt.Sprintf("%+v", Preferences{User: user}) {
		t.Fatalf("at first %+v", p)
	}
	must(t, s.Apply(Command{At: 3, Change: &PutPreferences{Preferences{User: user, Pinned: []analytics.SiteID{2, 1, 2}, Theme: "system", Groups: []SiteGroup{{Name: " g ", Sites: []analytics.SiteID{1, 1}}}}}}))
	p := s.View().Preferences(user)
	if !slices.Equal(p.Pinned, []analytics.SiteID{2, 1}) || p.Theme != "" || p.Groups[0].Name != "g" || len(p.Groups[0].Sites) != 1 {
		t.Fatalf("got %+v", p)
	}
	if again := must(t, s.Apply(Command{At: 4, Change: &PutPreferences{*p}})); !again.Existed {
		t.Error("the same again is something new")
	}
	must(t, s.Apply(Command{At: 5, Change: &PutPreferences{Preferences{User: user, Theme: "light"}}}))
	if p := s.View().Preferences(user); p.Theme != "light" || p.Pinned != nil || p.Groups != nil {
		t.Fatalf("got %+v", p)
	}
	must(t, s.Apply(Command{At: 6, Change: &PutPreferences{Preferences{User: user}}}))
	if b, err := s.View().Record(Ref{RefPreferences, user}); b != nil || err != nil {
		t.Errorf("the record is %q, %v", b, err)
	}
}

func TestFunnelsFollowAGoalToItsNewName(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site.ID
	goal := must(t, s.Apply(Command{At: 3, Change: &PutGoal{Site: site, Goal: GoalDef{Kind: analytics.GoalEvent, Event: "Purchase"}}})).Goal
	made := must(t, s.Apply(Command{At: 4, Change: &CreateFunnel{Site: site, Name: "Checkout", Steps: []FunnelStep{{Page: "/cart"}, {Goal: "Purchase"}}}})).Funnel
	if made.Window != InVisit {
		t.Errorf("the window is %q", made.Window)
	}
	before := s.View()
	s.TakeDirty()
	must(t, s.Apply(Command{At: 5, Change: &UpdateGoal{Site: site, ID: goal.ID, Goal: GoalDef{Kind: analytics.GoalEvent, Event: "Purchase", Name: "Bought"}}}))
	if f, _ := s.View().Funnel(site, made.ID); f.Steps[1].Goal != "Bought" || !slices.Contains(s.TakeDirty(), Ref{RefFunnel, made.ID}) {
		t.Errorf("the funnel is %+v", f)
	}
	if f, _ := before.Funnel(site, made.ID); f.Steps[1].Goal != "Purchase" {
		t.Error("an old view has the new name")
	}
	must(t, s.Apply(Command{At: 6, Change: &DeleteGoal{Site: site, ID: goal.ID}}))
	must(t, s.Apply(Command{At: 7, Change: &UpdateFunnel{Site: site, ID: made.ID, Name: new("Still here")}}))
}

func TestARoleChangesAndAnOwnerStays(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	second := must(t, s.Apply(Command{At: 3, Change: &CreateUser{Email: "b@x.y", Role: Viewer, PasswordHash: "h"}})).User
	if u := must(t, s.Apply(Command{At: 4, Change: &UpdateUser{Org: r.Org.ID, ID: second.ID, Role: Owner}})).User; u.Role != Owner || u.Email != "b@x.y" {
		t.Fatalf("got %+v", u)
	}
	must(t, s.Apply(Command{At: 5, Change: &UpdateUser{Org: r.Org.ID, ID: r.User.ID, Role: Admin}}))
	wantErr(t, s.Apply(Command{At: 6, Change: &UpdateUser{Org: r.Org.ID, ID: second.ID, Role: Admin}}), analytics.Conflict, "role: b@x.y is the only owner")
	if again := must(t, s.Apply(Command{At: 7, Change: &UpdateUser{Org: r.Org.ID, ID: second.ID, Role: Owner}})); !again.Existed {
		t.Error("the same role is a change")
	}
	if u, _ := s.View().UserByEmail("ada@example.com"); u.Role != Admin || !s.View().HasOwner() {
		t.Errorf("the first user is %+v", u)
	}
}
