package accounts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"footfall/analytics"
)

const someFilters = `{"filters":[["is","visit:country",["DE"]]]}`

// drawContents gives changes of what belongs to a site, few enough different
// ones that they meet.
func drawContents(t *rapid.T, site analytics.SiteID, id uint64, word string) Change {
	flag := rapid.Bool().Draw(t, "flag")
	def := func() GoalDef {
		d := GoalDef{Kind: rapid.SampledFrom([]analytics.GoalKind{analytics.GoalEvent, analytics.GoalPage, analytics.GoalScroll}).Draw(t, "goal kind")}
		d.Name = rapid.SampledFrom([]string{"", "", "n1", "n2"}).Draw(t, "goal name")
		if d.Kind == analytics.GoalEvent {
			d.Event = word
			d.Currency = rapid.SampledFrom([]string{"", "EUR"}).Draw(t, "currency")
		} else {
			d.Page = "/" + word
		}
		if d.Kind == analytics.GoalScroll {
			d.Scroll = rapid.SampledFrom([]uint8{50, 90}).Draw(t, "scroll")
		}
		if flag {
			d.Props = []Condition{{"plan", word}, {"age", "1"}}
		}
		return d
	}
	slug := strings.Repeat(word, 22)
	user := rapid.Uint64Range(0, 4).Draw(t, "owner")
	switch rapid.IntRange(0, 20).Draw(t, "contents kind") {
	case 0, 1, 2:
		return &PutGoal{Site: site, Goal: def()}
	case 3:
		return &UpdateGoal{Site: site, ID: id, Goal: def()}
	case 4:
		return &DeleteGoal{Site: site, ID: id}
	case 5, 6:
		return &CreateSegment{Site: site, Name: word, Personal: flag, Owner: user, Data: someFilters}
	case 7:
		return &UpdateSegment{Site: site, ID: id, By: user, Name: &word, Personal: &flag}
	case 8:
		return &DeleteSegment{Site: site, ID: id}
	case 9:
		c := &ChangeProperties{Site: site, Add: []string{word}}
		if flag {
			c.Set, c.Remove = &[]string{"b", "a", "b"}, []string{"a"}
		}
		return c
	case 10:
		return &UpdateSite{ID: site, Tracker: &TrackerChange{OutboundLinks: &flag, Installation: new(rapid.SampledFrom(append(Installations(), "")).Draw(t, "installation"))}}
	case 11:
		return &PutSharedLink{Site: site, Name: word, Slug: slug}
	case 12:
		return &DeleteSharedLink{Site: site, ID: id}
	case 13:
		return &PutGuest{Site: site, Email: word + "@x.y", Editor: flag}
	case 14:
		return &CreateAnnotation{Site: site, Date: "2026-11-02", Text: word, Author: user}
	case 15:
		return &UpdateAnnotation{Site: site, ID: id, Date: new("2026-11-0" + strconv.Itoa(int(1+user))), Text: &word}
	case 16:
		return &DeleteAnnotation{Site: site, ID: id}
	case 17:
		return &CreateFunnel{Site: site, Name: word, Steps: []FunnelStep{{Page: "/"}, {Event: word, Props: map[string]string{"plan": word, "age": "1"}}}}
	case 18:
		return &UpdateFunnel{Site: site, ID: id, Name: &word, Steps: &[]FunnelStep{{Page: "/" + word, Scroll: 50}, {Page: "/"}}, Window: new("7d")}
	case 19:
		return &DeleteFunnel{Site: site, ID: id}
	}
	return &RemoveGuest{Site: site, Email: word + "@x.y"}
}

// checkContents looks for what belongs to a site that is gone, and compares
// every way to find something with a plain walk.
func checkContents(t *rapid.T, v *View) {
	count := func(what string, all, listed int) {
		if all != listed {
			t.Fatalf("%d %s are there, %d are found by their sites", all, what, listed)
		}
	}
	var goals, segments, settings, links, guests, personal, accepted, invited, annotations, funnels int
	for s := range v.Sites(0) {
		for _, g := range v.Goals(s.ID) {
			goals++
			if x, ok := v.Goal(g.ID); !ok || x != g || g.Site != s.ID {
				t.Fatalf("goal %d of site %d is %+v", g.ID, s.ID, x)
			}
		}
		for _, g := range v.Segments(s.ID) {
			segments++
			if x, ok := v.Segment(s.ID, g.ID); !ok || x != g || g.Site != s.ID {
				t.Fatalf("segment %d of site %d is %+v", g.ID, s.ID, x)
			}
			if _, ok := v.User(g.Owner); g.Personal && !ok {
				t.Fatalf("segment %d belongs to nobody", g.ID)
			}
			if own, _ := v.personalOf.get(g.Owner); g.Personal {
				personal++
				if _, ok := own.get(g.ID); !ok {
					t.Fatalf("segment %d is not found by its owner", g.ID)
				}
			}
		}
		for _, l := range v.SharedLinks(s.ID) {
			links++
			if x, ok := v.SharedLinkBySlug(l.Slug); !ok || x != l || l.Site != s.ID {
				t.Fatalf("link %d of site %d is %+v", l.ID, s.ID, x)
			}
		}
		for _, g := range v.Guests(s.ID) {
			guests++
			u, known := v.UserByEmail(g.Email)
			if known != (g.User != 0) || known && u.ID != g.User {
				t.Fatalf("guest %+v, whose user is %+v", g, u)
			}
			if g.User == 0 {
				invited++
			} else if at, ok := guestAt(v.GuestOf(g.User), s.ID); !ok || v.GuestOf(g.User)[at] != g {
				t.Fatalf("guest %+v is not found by user", g)
			}
		}
		for _, a := range v.Annotations(s.ID) {
			annotations++
			if x, ok := v.Annotation(s.ID, a.ID); !ok || x != a || a.Site != s.ID {
				t.Fatalf("annotation %d of site %d is %+v", a.ID, s.ID, x)
			}
		}
		for _, f := range v.Funnels(s.ID) {
			funnels++
			if x, ok := v.Funnel(s.ID, f.ID); !ok || x != f || f.Site != s.ID {
				t.Fatalf("funnel %d of site %d is %+v", f.ID, s.ID, x)
			}
		}
		if _, ok := v.settings.get(uint64(s.ID)); ok {
			settings++
		}
	}
	for _, list := range v.guestOf.from(0) {
		accepted += len(list)
		if !slices.IsSortedFunc(list, func(a, b *Guest) int { return cmp.Compare(a.Site, b.Site) }) {
			t.Fatalf("guests of one user out of order: %+v", list)
		}
	}
	owned, waiting := 0, 0
	for _, of := range v.personalOf.from(0) {
		owned += of.size
	}
	for _, e := range v.invited.table.from(0) {
		for ; e != nil; e = e.next {
			waiting += e.value.size
		}
	}
	for id := range v.preferences.from(0) {
		if _, ok := v.User(id); !ok {
			t.Fatalf("preferences of nobody, %d", id)
		}
	}
	for id := range v.factors.from(0) {
		if _, ok := v.User(id); !ok {
			t.Fatalf("a second factor of nobody, %d", id)
		}
	}
	count("goals", v.goals.size, goals)
	count("annotations", v.annotations.size, annotations)
	count("funnels", v.funnels.size, funnels)
	count("segments", v.segments.size, segments)
	count("settings", v.settings.size, settings)
	count("links", v.links.size, links)
	count("guests", v.guests.size, guests)
	count("accepted guests", accepted, guests-invited)
	count("invited guests", waiting, invited)
	count("personal segments", owned, personal)
}

// model is the oracle: what belongs to sites, in plain lists, with the rules
// written down the short way.
type model struct {
	sites    map[analytics.SiteID]bool
	goals    []analytics.Goal
	segments []analytics.Segment
	props    map[analytics.SiteID][]string
	tracker  map[analytics.SiteID]Tracker
	links    []SharedLink
	guests   []Guest
	notes    []Annotation
	funnels  []Funnel
	next     counters
}

func goalKey(g analytics.Goal) string {
	g.ID, g.Name = 0, ""
	return fmt.Sprintf("%+v", g)
}

// apply gives whether the change is taken.
func (m *model) apply(change Change, at int64) bool {
	switch c := change.(type) {
	case *PutGoal:
		g := *c.Goal.goal(0, c.Site)
		if !m.sites[c.Site] {
			return false
		}
		for _, x := range m.goals {
			if goalKey(x) == goalKey(g) {
				return true
			}
		}
		if slices.ContainsFunc(m.goals, func(x analytics.Goal) bool { return x.Site == g.Site && x.Name == g.Name }) {
			return false
		}
		m.next.Goal++
		g.ID = m.next.Goal
		m.goals = append(m.goals, g)
	case *UpdateGoal:
		g := *c.Goal.goal(c.ID, c.Site)
		at := slices.IndexFunc(m.goals, func(x analytics.Goal) bool { return x.ID == c.ID && x.Site == c.Site })
		if at < 0 || slices.ContainsFunc(m.goals, func(x analytics.Goal) bool {
			return x.ID != c.ID && x.Site == c.Site && (x.Name == g.Name || goalKey(x) == goalKey(g))
		}) {
			return false
		}
		m.goals[at] = g
	case *DeleteGoal:
		return drop(&m.goals, func(x analytics.Goal) bool { return x.ID == c.ID && x.Site == c.Site })
	case *CreateSegment:
		x := analytics.Segment{ID: m.next.Segment + 1, Site: c.Site, Name: c.Name, Personal: c.Personal, Owner: c.Owner, Data: c.Data, Updated: at}
		if !m.sites[c.Site] || m.segmentClash(x) {
			return false
		}
		m.next.Segment++
		m.segments = append(m.segments, x)
	case *UpdateSegment:
		i := slices.IndexFunc(m.segments, func(x analytics.Segment) bool { return x.ID == c.ID && x.Site == c.Site })
		if i < 0 {
			return false
		}
		x := m.segments[i]
		x.Name, x.Updated = *c.Name, at
		if *c.Personal && !x.Personal {
			x.Owner = c.By
		}
		x.Personal = *c.Personal
		if m.segmentClash(x) {
			return false
		}
		m.segments[i] = x
	case *DeleteSegment:
		return drop(&m.segments, func(x analytics.Segment) bool { return x.ID == c.ID && x.Site == c.Site })
	case *ChangeProperties:
		if !m.sites[c.Site] {
			return false
		}
		list := m.props[c.Site]
		if c.Set != nil {
			list = *c.Set
		}
		var out []string
		for _, p := range slices.Concat(list, c.Add) {
			if !slices.Contains(out, p) && !slices.Contains(c.Remove, p) {
				out = append(out, p)
			}
		}
		m.props[c.Site] = out
	case *UpdateSite:
		if !m.sites[c.ID] {
			return false
		}
		m.tracker[c.ID] = Tracker{Installation: *c.Tracker.Installation, OutboundLinks: *c.Tracker.OutboundLinks}
	case *PutSharedLink:
		if !m.sites[c.Site] {
			return false
		}
		if slices.ContainsFunc(m.links, func(l SharedLink) bool { return l.Site == c.Site && l.Name == c.Name }) {
			return true
		}
		if slices.ContainsFunc(m.links, func(l SharedLink) bool { return l.Slug == c.Slug }) {
			return false
		}
		m.next.Link++
		m.links = append(m.links, SharedLink{ID: m.next.Link, Site: c.Site, Name: c.Name, Slug: c.Slug, Created: at})
	case *DeleteSharedLink:
		return drop(&m.links, func(l SharedLink) bool { return l.ID == c.ID && l.Site == c.Site })
	case *PutGuest:
		if !m.sites[c.Site] {
			return false
		}
		for i, g := range m.guests {
			if g.Site == c.Site && g.Email == c.Email {
				m.guests[i].Editor = c.Editor
				return true
			}
		}
		m.next.Guest++
		m.guests = append(m.guests, Guest{ID: m.next.Guest, Site: c.Site, Email: c.Email, Editor: c.Editor, Created: at})
	case *RemoveGuest:
		return drop(&m.guests, func(g Guest) bool { return g.Site == c.Site && g.Email == c.Email })
	case *CreateAnnotation:
		if !m.sites[c.Site] {
			return false
		}
		m.next.Annotation++
		m.notes = append(m.notes, Annotation{ID: m.next.Annotation, Site: c.Site, Date: c.Date, Text: c.Text, Author: c.Author, Created: at})
	case *UpdateAnnotation:
		i := slices.IndexFunc(m.notes, func(a Annotation) bool { return a.ID == c.ID && a.Site == c.Site })
		if i < 0 {
			return false
		}
		m.notes[i].Date, m.notes[i].Text = *c.Date, *c.Text
	case *DeleteAnnotation:
		return drop(&m.notes, func(a Annotation) bool { return a.ID == c.ID && a.Site == c.Site })
	case *CreateFunnel:
		if !m.sites[c.Site] || slices.ContainsFunc(m.funnels, func(f Funnel) bool { return f.Site == c.Site && f.Name == c.Name }) {
			return false
		}
		m.next.Funnel++
		m.funnels = append(m.funnels, Funnel{ID: m.next.Funnel, Site: c.Site, Name: c.Name, Steps: c.Steps, Window: "visit", Updated: at})
	case *UpdateFunnel:
		i := slices.IndexFunc(m.funnels, func(f Funnel) bool { return f.ID == c.ID && f.Site == c.Site })
		if i < 0 || slices.ContainsFunc(m.funnels, func(f Funnel) bool { return f.ID != c.ID && f.Site == c.Site && f.Name == *c.Name }) {
			return false
		}
		m.funnels[i] = Funnel{ID: c.ID, Site: c.Site, Name: *c.Name, Steps: *c.Steps, Window: *c.Window, Updated: at}
	case *DeleteFunnel:
		return drop(&m.funnels, func(f Funnel) bool { return f.ID == c.ID && f.Site == c.Site })
	case *DeleteSite:
		had := m.sites[c.ID]
		delete(m.sites, c.ID)
		delete(m.props, c.ID)
		delete(m.tracker, c.ID)
		drop(&m.goals, func(x analytics.Goal) bool { return x.Site == c.ID })
		drop(&m.segments, func(x analytics.Segment) bool { return x.Site == c.ID })
		drop(&m.links, func(x SharedLink) bool { return x.Site == c.ID })
		drop(&m.guests, func(x Guest) bool { return x.Site == c.ID })
		drop(&m.notes, func(x Annotation) bool { return x.Site == c.ID })
		drop(&m.funnels, func(x Funnel) bool { return x.Site == c.ID })
		return had
	}
	return true
}

func (m *model) segmentClash(x analytics.Segment) bool {
	return slices.ContainsFunc(m.segments, func(y analytics.Segment) bool {
		return y.ID != x.ID && y.Site == x.Site && y.Name == x.Name && y.Personal == x.Personal && (!x.Personal || y.Owner == x.Owner)
	})
}

func drop[T any](list *[]T, is func(T) bool) bool {
	before := len(*list)
	*list = slices.DeleteFunc(*list, is)
	return len(*list) < before
}

func TestContentsOfSitesAreWhatAPlainModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		m := &model{sites: map[analytics.SiteID]bool{}, props: map[analytics.SiteID][]string{}, tracker: map[analytics.SiteID]Tracker{}}
		for i := range 3 {
			r := s.Apply(Command{At: 1, Change: &CreateSite{Domain: fmt.Sprintf("s%d.x", i), Timezone: "UTC", Secret: Secret{1}}})
			m.sites[r.Site.ID] = true
		}
		for i := range 4 { // the people who own segments; guests have other addresses
			s.Apply(Command{At: 1, Change: &CreateUser{Email: fmt.Sprintf("u%d@x.y", i), Role: Viewer, PasswordHash: "h"}})
		}
		for step := range rapid.IntRange(1, 80).Draw(t, "steps") {
			site := analytics.SiteID(rapid.Uint64Range(1, 4).Draw(t, "site"))
			var change Change = &DeleteSite{ID: site}
			if rapid.IntRange(0, 30).Draw(t, "delete") > 0 {
				change = drawContents(t, site, rapid.Uint64Range(1, 8).Draw(t, "id"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "word"))
			}
			if change.Check() != nil {
				continue
			}
			at := int64(step + 10)
			took := m.apply(change, at)
			if r := s.Apply(Command{At: at, Change: change}); (r.Err == nil) != took {
				t.Fatalf("%T %+v: %v, the model takes it: %v", change, change, r.Err, took)
			}
		}
		compareContents(t, s.View(), m)
	})
}

func compareContents(t *rapid.T, v *View, m *model) {
	same := func(what string, got, want any) {
		a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)
		if a != b {
			t.Fatalf("%s\n got %s\nwant %s", what, a, b)
		}
	}
	for site := range analytics.SiteID(5) {
		same("goals", deref(v.Goals(site)), keep(m.goals, func(g analytics.Goal) bool { return g.Site == site }))
		same("segments", deref(v.Segments(site)), keep(m.segments, func(g analytics.Segment) bool { return g.Site == site }))
		same("links", deref(v.SharedLinks(site)), keep(m.links, func(g SharedLink) bool { return g.Site == site }))
		same("guests", deref(v.Guests(site)), keep(m.guests, func(g Guest) bool { return g.Site == site }))
		same("annotations", deref(v.Annotations(site)), keep(m.notes, func(a Annotation) bool { return a.Site == site }))
		same("funnels", deref(v.Funnels(site)), keep(m.funnels, func(f Funnel) bool { return f.Site == site }))
		same("properties", v.Properties(site), m.props[site])
		same("tracker", v.Tracker(site), m.tracker[site])
	}
}

func deref[T any](list []*T) (out []T) {
	for _, x := range list {
		out = append(out, *x)
	}
	return out
}

func keep[T any](list []T, is func(T) bool) (out []T) {
	for _, x := range list {
		if is(x) {
			out = append(out, x)
		}
	}
	return out
}

func TestRefusalsOfContentsNameTheField(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site.ID
	event := func(f func(*GoalDef)) *PutGoal {
		d := GoalDef{Kind: analytics.GoalEvent, Event: "Other"}
		f(&d)
		return &PutGoal{Site: site, Goal: d}
	}
	page := func(f func(*GoalDef)) *PutGoal {
		d := GoalDef{Kind: analytics.GoalPage, Page: "/other"}
		f(&d)
		return &PutGoal{Site: site, Goal: d}
	}
	link := strings.Repeat("a", 22)
	must(t, s.Apply(Command{At: 3, Change: &PutGoal{Site: site, Goal: GoalDef{Kind: analytics.GoalEvent, Event: "Signup"}}}))
	must(t, s.Apply(Command{At: 3, Change: &PutGoal{Site: site, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/thanks"}}}))
	must(t, s.Apply(Command{At: 3, Change: &CreateSegment{Site: site, Name: "Germans", Data: someFilters}}))
	must(t, s.Apply(Command{At: 3, Change: &CreateSegment{Site: site, Name: "Mine", Personal: true, Owner: 1, Data: someFilters}}))
	must(t, s.Apply(Command{At: 3, Change: &PutSharedLink{Site: site, Name: "Wordpress", Slug: link}}))
	for _, c := range []struct {
		change Change
		code   analytics.Code
		text   string
	}{
		{&PutGoal{Site: site}, analytics.Invalid, "goal_type: "},
		{&PutGoal{Site: 99, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/x"}}, analytics.NotFound, "site: "},
		{event(func(d *GoalDef) { d.Event = " " }), analytics.Invalid, "event_name: "},
		{event(func(d *GoalDef) { d.Event = "engagement" }), analytics.Invalid, "event_name: engagement"},
		{event(func(d *GoalDef) { d.Event = "pageview" }), analytics.Invalid, "event_name: pageview"},
		{event(func(d *GoalDef) { d.Event = strings.Repeat("x", 121) }), analytics.Invalid, "event_name: longer"},
		{event(func(d *GoalDef) { d.Page = "/x" }), analytics.Invalid, "page_path: "},
		{event(func(d *GoalDef) { d.Scroll = 5 }), analytics.Invalid, "scroll: "},
		{event(func(d *GoalDef) { d.Currency = "eur" }), analytics.Invalid, "currency: "},
		{event(func(d *GoalDef) { d.Name = strings.Repeat("x", 256) }), analytics.Invalid, "display_name: "},
		{event(func(d *GoalDef) { d.Name = "\x00" }), analytics.Invalid, "display_name: "},
		{event(func(d *GoalDef) { d.Name = "Visit /thanks" }), analytics.Conflict, "display_name: "},
		{event(func(d *GoalDef) { d.Props = []Condition{{"", "x"}} }), analytics.Invalid, "custom_props: "},
		{event(func(d *GoalDef) { d.Props = []Condition{{"x", " "}} }), analytics.Invalid, "custom_props: "},
		{event(func(d *GoalDef) { d.Props = []Condition{{"x", "1"}, {"x", "2"}} }), analytics.Invalid, "custom_props: "},
		{event(func(d *GoalDef) { d.Props = make([]Condition, 4) }), analytics.Invalid, "custom_props: more than 3"},
		{event(func(d *GoalDef) { d.Props = []Condition{{"x", strings.Repeat("x", 2001)}} }), analytics.Invalid, "custom_props: "},
		{page(func(d *GoalDef) { d.Page = "x" }), analytics.Invalid, "page_path: must begin"},
		{page(func(d *GoalDef) { d.Page = strings.Repeat("/*", 21) }), analytics.Invalid, "page_path: more than 20"},
		{page(func(d *GoalDef) { d.Page = "/" + strings.Repeat("x", 2000) }), analytics.Invalid, "page_path: longer"},
		{page(func(d *GoalDef) { d.Page = "/" + strings.Repeat("x", 250) }), analytics.Invalid, "display_name: longer"},
		{page(func(d *GoalDef) { d.Event = "x" }), analytics.Invalid, "event_name: "},
		{page(func(d *GoalDef) { d.Currency = "EUR" }), analytics.Invalid, "currency: "},
		{page(func(d *GoalDef) { d.Scroll = 50 }), analytics.Invalid, "scroll: "},
		{page(func(d *GoalDef) { d.Kind = analytics.GoalScroll }), analytics.Invalid, "scroll: "},
		{page(func(d *GoalDef) { d.Kind, d.Scroll = analytics.GoalScroll, 101 }), analytics.Invalid, "scroll: "},
		{&UpdateGoal{Site: site, ID: 99, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/x"}}, analytics.NotFound, "goal: "},
		{&UpdateGoal{Site: 7, ID: 1, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/x"}}, analytics.NotFound, "goal: "},
		{&UpdateGoal{Site: site, ID: 1, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/thanks", Name: "Other"}}, analytics.Conflict, "goal: is the same as goal 2"},
		{&UpdateGoal{Site: site, ID: 1, Goal: GoalDef{Kind: analytics.GoalEvent, Event: "x", Name: "Visit /thanks"}}, analytics.Conflict, "display_name: "},
		{&DeleteGoal{Site: 7, ID: 1}, analytics.NotFound, "goal: "},
		{&CreateSegment{Site: site, Name: "Germans", Data: someFilters}, analytics.Conflict, "name: "},
		{&CreateSegment{Site: site, Name: "Mine", Personal: true, Owner: 1, Data: someFilters}, analytics.Conflict, "name: "},
		{&CreateSegment{Site: site, Name: "Mine", Personal: true, Data: someFilters}, analytics.Invalid, "type: "},
		{&CreateSegment{Site: site, Name: "x", Personal: true, Owner: 77, Data: someFilters}, analytics.NotFound, "user: "},
		{&CreateSegment{Site: site, Name: "", Data: someFilters}, analytics.Invalid, "name: "},
		{&CreateSegment{Site: site, Name: "x", Data: `{"filters":[]}`}, analytics.Invalid, "segment_data: "},
		{&CreateSegment{Site: site, Name: "x", Data: `{"filters":[["is"]],"more":1}`}, analytics.Invalid, "segment_data: "},
		{&CreateSegment{Site: site, Name: "x", Data: "{\"filters\":[[\"\xff\"]]}"}, analytics.Invalid, "segment_data: "},
		{&CreateSegment{Site: site, Name: "x", Data: `{"filters":["` + strings.Repeat("x", 5<<10) + `"]}`}, analytics.Invalid, "segment_data: longer"},
		{&CreateSegment{Site: site, Name: "x", Data: `[]`}, analytics.Invalid, "segment_data: "},
		{&CreateSegment{Site: 7, Name: "x", Data: someFilters}, analytics.NotFound, "site: "},
		{&UpdateSegment{Site: site, ID: 99}, analytics.NotFound, "segment: "},
		{&UpdateSegment{Site: site, ID: 1, Personal: new(true)}, analytics.Invalid, "type: "},
		{&UpdateSegment{Site: site, ID: 1, Personal: new(true), By: 1, Name: new("Mine")}, analytics.Conflict, "name: "},
		{&UpdateSegment{Site: site, ID: 1, Personal: new(true), By: 88}, analytics.NotFound, "user: "},
		{&DeleteSegment{Site: 7, ID: 1}, analytics.NotFound, "segment: "},
		{&ChangeProperties{Site: site, Add: []string{" "}}, analytics.Invalid, "property: "},
		{&ChangeProperties{Site: site, Add: []string{strings.Repeat("x", 301)}}, analytics.Invalid, "property: longer"},
		{&ChangeProperties{Site: 7, Add: []string{"x"}}, analytics.NotFound, "site: "},
		{&UpdateSite{ID: site, Tracker: &TrackerChange{Installation: new("fax")}}, analytics.Invalid, "installation_type: "},
		{&CreateSite{Domain: "x.y", Timezone: "UTC", Secret: Secret{1}, Tracker: &TrackerChange{Installation: new("fax")}}, analytics.Invalid, "installation_type: "},
		{&UpdateSite{ID: 7, Tracker: &TrackerChange{}}, analytics.NotFound, "site: "},
		{&PutSharedLink{Site: site, Name: " ", Slug: link}, analytics.Invalid, "name: "},
		{&PutSharedLink{Site: site, Name: "x", Slug: "short"}, analytics.Invalid, "slug: "},
		{&PutSharedLink{Site: site, Name: "x", Slug: strings.Repeat("+", 22)}, analytics.Invalid, "slug: "},
		{&PutSharedLink{Site: site, Name: "x", Slug: link}, analytics.Conflict, "slug: "},
		{&PutSharedLink{Site: 7, Name: "x", Slug: link}, analytics.NotFound, "site: "},
		{&DeleteSharedLink{Site: 7, ID: 1}, analytics.NotFound, "shared link: "},
		{&PutGuest{Site: site, Email: "nobody"}, analytics.Invalid, "email: "},
		{&PutGuest{Site: 7, Email: "a@b.c"}, analytics.NotFound, "site: "},
		{&RemoveGuest{Site: site, Email: "a@b.c"}, analytics.NotFound, "email: "},
	} {
		before, _ := s.View().Encode()
		wantErr(t, s.Apply(Command{At: 5, Change: c.change}), c.code, c.text)
		if after, _ := s.View().Encode(); !bytes.Equal(before, after) {
			t.Fatalf("%T changed the state", c.change)
		}
	}
}

func TestContentsAreBounded(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site.ID
	for _, c := range []struct {
		most int
		make func(i int) Change
		text string
	}{
		{analytics.GoalsMax, func(i int) Change {
			return &PutGoal{Site: site, Goal: GoalDef{Kind: analytics.GoalEvent, Event: fmt.Sprint("e", i)}}
		}, "goals: a site has at most 1000"},
		{analytics.SegmentsMax, func(i int) Change { return &CreateSegment{Site: site, Name: fmt.Sprint("s", i), Data: someFilters} }, "segments: a site has at most 500"},
		{analytics.SegmentsMax, func(i int) Change {
			return &CreateSegment{Site: site, Name: fmt.Sprint("s", i), Personal: true, Owner: 1, Data: someFilters}
		}, "segments: a site has at most 500"},
		{analytics.PropertiesMax, func(i int) Change { return &ChangeProperties{Site: site, Add: []string{fmt.Sprint("p", i)}} }, "properties: a site has at most 300"},
		{analytics.SharedLinksMax, func(i int) Change {
			return &PutSharedLink{Site: site, Name: fmt.Sprint("l", i), Slug: fmt.Sprintf("%022d", i)}
		}, "shared links: a site has at most 100"},
		{GuestsMax, func(i int) Change { return &PutGuest{Site: site, Email: fmt.Sprintf("g%d@x.y", i)} }, "guests: a site has at most 100"},
		{AnnotationsMax, func(int) Change { return &CreateAnnotation{Site: site, Date: "2026-11-02", Text: "t"} }, "annotations: a site has at most 1000"},
		{FunnelsMax, func(i int) Change {
			return &CreateFunnel{Site: site, Name: fmt.Sprint("f", i), Steps: []FunnelStep{{Page: "/"}, {Page: "/x"}}}
		}, "funnels: a site has at most 100"},
	} {
		for i := range c.most {
			must(t, s.Apply(Command{At: 3, Change: c.make(i)}))
		}
		wantErr(t, s.Apply(Command{At: 4, Change: c.make(c.most)}), analytics.TooLarge, c.text)
		switch c.make(0).(type) {
		case *CreateSegment, *CreateAnnotation, *CreateFunnel:
		default:
			must(t, s.Apply(Command{At: 4, Change: c.make(0)})) // what is there already is still found
		}
	}
	many := make([]string, analytics.PropertiesMax+1)
	for i := range many {
		many[i] = fmt.Sprint("q", i)
	}
	wantErr(t, s.Apply(Command{At: 4, Change: &ChangeProperties{Site: site, Set: &many}}), analytics.Invalid, "properties: more than 300")
}

func TestTheSameGoalIsOneGoal(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site.ID
	put := func(d GoalDef) Result { return must(t, s.Apply(Command{At: 3, Change: &PutGoal{Site: site, Goal: d}})) }
	first := put(GoalDef{Kind: analytics.GoalEvent, Event: " Purchase ", Currency: "EUR", Props: []Condition{{"plan", "pro"}, {"age", "9"}}})
	if g := first.Goal; g.Name != "Purchase" || g.Event != "Purchase" || first.Existed || g.ID != 1 {
		t.Fatalf("got %+v, %v", g, first.Existed)
	}
	again := put(GoalDef{Kind: analytics.GoalEvent, Name: "Another name", Event: "Purchase", Currency: "EUR", Props: []Condition{{"age", "9"}, {"plan", "pro"}}})
	if again.Goal != first.Goal || !again.Existed {
		t.Fatalf("got %+v, %v", again.Goal, again.Existed)
	}
	for _, d := range []GoalDef{
		{Kind: analytics.GoalEvent, Name: "n1", Event: "Purchase", Currency: "USD", Props: []Condition{{"plan", "pro"}, {"age", "9"}}},
		{Kind: analytics.GoalEvent, Name: "n2", Event: "Purchase", Currency: "EUR", Props: []Condition{{"plan", "pro"}}},
		{Kind: analytics.GoalPage, Page: "/blog/**"},
		{Kind: analytics.GoalScroll, Page: "/blog/**", Scroll: 50},
		{Kind: analytics.GoalScroll, Page: "/blog/**", Scroll: 90},
	} {
		if r := put(d); r.Existed {
			t.Errorf("%+v is %+v", d, r.Goal)
		}
	}
	var names []string
	for _, g := range s.View().Goals(site) {
		names = append(names, g.Name)
	}
	if want := []string{"Purchase", "n1", "n2", "Visit /blog/**", "Scroll 50% on /blog/**", "Scroll 90% on /blog/**"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestADeletedSiteLeavesNothingBehind(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	before, _ := s.View().Encode()
	extra := must(t, s.Apply(Command{At: 3, Change: &CreateSite{Domain: "b.example", Timezone: "UTC", Secret: Secret{1}}})).Site.ID
	for _, c := range []Change{
		&PutGoal{Site: extra, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/x"}},
		&CreateSegment{Site: extra, Name: "s", Data: someFilters},
		&CreateSegment{Site: extra, Name: "s", Personal: true, Owner: r.User.ID, Data: someFilters},
		&ChangeProperties{Site: extra, Add: []string{"plan"}},
		&UpdateSite{ID: extra, Tracker: &TrackerChange{TaggedEvents: new(true)}},
		&PutSharedLink{Site: extra, Name: "l", Slug: strings.Repeat("a", 43)},
		&CreateAnnotation{Site: extra, Date: "2026-11-02", Text: "t", Author: r.User.ID},
		&CreateFunnel{Site: extra, Name: "f", Steps: []FunnelStep{{Page: "/"}, {Page: "/x"}}},
		&PutGuest{Site: extra, Email: "guest@x.y"},
		&PutGuest{Site: extra, Email: "ada@example.com", Editor: true},
	} {
		must(t, s.Apply(Command{At: 4, Change: c}))
	}
	must(t, s.Apply(Command{At: 5, Change: &DeleteSite{ID: extra}}))
	after, _ := s.View().Encode()
	// Only the counters of the first record differ.
	tail := func(b []byte) []byte { return b[bytes.Index(b, []byte(`{"id":1,"name":"Organisation 1"`)):] }
	if !bytes.Equal(tail(before), tail(after)) {
		t.Fatalf("left behind:\n%q\nwant\n%q", after, before)
	}
	if n := len(s.View().GuestOf(r.User.ID)); n != 0 {
		t.Errorf("the owner is still a guest of %d sites", n)
	}
}

func TestGuestsReadOrEditOneSiteForAsLongAsTheyAreThere(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site
	theirs := must(t, s.Apply(Command{At: 3, Change: &CreateOrg{Name: "Theirs"}})).Org.ID
	other := must(t, s.Apply(Command{At: 3, Change: &CreateSite{Domain: "other.example", Timezone: "UTC", Secret: Secret{1}}})).Site
	must(t, s.Apply(Command{At: 4, Change: &PutGuest{Site: site.ID, Email: "Guest@X.y"}}))
	if g := s.View().Guests(site.ID); len(g) != 1 || g[0].Email != "guest@x.y" || g[0].User != 0 {
		t.Fatalf("invited: %+v", g)
	}
	user := must(t, s.Apply(Command{At: 5, Change: &CreateUser{Org: theirs, Email: "guest@x.y", Role: Viewer, PasswordHash: "h"}})).User
	who := func() Identity {
		return Identity{User: user.ID, Role: user.Role, Org: user.Org, Guest: s.View().GuestOf(user.ID)}
	}
	check := func(read, manage bool) {
		t.Helper()
		id := who()
		if id.MayRead(site) != read || id.MayManage(site) != manage || id.Belongs(site) != read || id.MayProvision(site.Org) || id.MayRead(other) || id.MayManage(other) || id.MayWriteEvents(site) {
			t.Fatalf("may read %v, manage %v, provision %v; of the other site %v %v", id.MayRead(site), id.MayManage(site), id.MayProvision(site.Org), id.MayRead(other), id.MayManage(other))
		}
	}
	check(true, false)
	must(t, s.Apply(Command{At: 6, Change: &PutGuest{Site: site.ID, Email: "guest@x.y", Editor: true}}))
	check(true, true)
	if id := (Identity{Key: 5, Org: theirs, Scopes: Scopes(), Guest: who().Guest}); id.MayRead(site) {
		t.Error("a key reads as a guest")
	}
	must(t, s.Apply(Command{At: 7, Change: &RemoveGuest{Site: site.ID, Email: "guest@x.y"}}))
	check(false, false)
	must(t, s.Apply(Command{At: 8, Change: &PutGuest{Site: site.ID, Email: "guest@x.y"}}))
	check(true, false)
	// Whoever gets the address after the user has gone is somebody else.
	must(t, s.Apply(Command{At: 9, Change: &DeleteUser{Org: theirs, ID: user.ID}}))
	user = must(t, s.Apply(Command{At: 10, Change: &CreateUser{Org: theirs, Email: "guest@x.y", Role: Viewer, PasswordHash: "h"}})).User
	check(false, false)
}

func TestAUserTakesPersonalSegmentsAlong(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	user := must(t, s.Apply(Command{At: 3, Change: &CreateUser{Email: "b@x.y", Role: Viewer, PasswordHash: "h"}})).User
	must(t, s.Apply(Command{At: 4, Change: &CreateSegment{Site: r.Site.ID, Name: "own", Personal: true, Owner: user.ID, Data: someFilters}}))
	must(t, s.Apply(Command{At: 4, Change: &CreateSegment{Site: r.Site.ID, Name: "own", Personal: true, Owner: r.User.ID, Data: someFilters}})) // names are free among one's own
	shared := must(t, s.Apply(Command{At: 4, Change: &CreateSegment{Site: r.Site.ID, Name: "shared", Owner: user.ID, Data: someFilters}})).Segment
	must(t, s.Apply(Command{At: 5, Change: &DeleteUser{Org: user.Org, ID: user.ID}}))
	if left := s.View().Segments(r.Site.ID); len(left) != 2 || left[0].Owner != r.User.ID || left[1] != shared {
		t.Fatalf("%+v are left", left)
	}
}

func TestBelongsIsNotWhatEverybodyMay(t *testing.T) {
	site := &analytics.Site{ID: 4, Org: 1, Public: true}
	for name, c := range map[string]struct {
		id   Identity
		want bool
	}{
		"anonymous":     {Identity{}, false},
		"operator":      {Identity{Operator: true}, true},
		"viewer":        {Identity{User: 1, Org: 1, Role: Viewer}, true},
		"stranger":      {Identity{User: 2, Org: 2, Role: Owner}, false},
		"reading key":   {Identity{Key: 1, Org: 1, Scopes: []Scope{StatsRead}}, true},
		"other's key":   {Identity{Key: 1, Org: 2, Scopes: Scopes()}, false},
		"key of site 5": {Identity{Key: 1, Org: 1, KeySite: 5, Scopes: Scopes()}, false},
		"writing key":   {Identity{Key: 1, Org: 1, Scopes: []Scope{EventsWrite}}, false},
	} {
		if got := c.id.Belongs(site); got != c.want || !c.id.MayRead(site) {
			t.Errorf("%s: belongs %v, want %v; may read %v", name, got, c.want, c.id.MayRead(site))
		}
	}
}

func TestSettingsOfCountingOutliveAChangeOfZone(t *testing.T) {
	s := NewState()
	site := setup(t, s).Site
	must(t, s.Apply(Command{At: 3, Change: &UpdateSite{ID: site.ID, Uniques: new(analytics.UniquesMonthly), RetentionDays: new(90)}}))
	must(t, s.Apply(Command{At: 4, Change: &UpdateSite{ID: site.ID, Timezone: new("Asia/Tokyo")}}))
	if got, _ := s.View().SiteByID(site.ID); got.Uniques != analytics.UniquesMonthly || got.RetentionDays != 90 || got.Timezone != "Asia/Tokyo" {
		t.Fatalf("got %+v", got)
	}
}

// TestAStateFromBeforeGoalsIsRead holds the release before goals to its word:
// every later one reads what it wrote, and nothing is written otherwise than it
// wrote it as long as nothing new is used.
func TestAStateFromBeforeGoalsIsRead(t *testing.T) {
	old, err := os.ReadFile("testdata/state-before-goals.bin")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Decode(old)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.View().Encode(); err != nil || !bytes.Equal(again, old) {
		t.Fatalf("written again it reads %q, %v", again, err)
	}
	site, ok := s.View().Site([]byte("example.com"))
	if !ok || site.Uniques != "" || site.RetentionDays != 0 || s.View().Goals(site.ID) != nil || s.View().Tracker(site.ID) != (Tracker{}) {
		t.Fatalf("the site is %+v", site)
	}
	if g := must(t, s.Apply(Command{At: 9, Change: &PutGoal{Site: site.ID, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/x"}}})).Goal; g.ID != 1 {
		t.Fatalf("the first goal is %d", g.ID)
	}
}

func TestASiteIsMadeWithItsTrackerConfiguration(t *testing.T) {
	s := NewState()
	site := must(t, s.Apply(Command{At: 3, Change: &CreateSite{Domain: "a.b", Timezone: "UTC", Secret: Secret{1}, Tracker: &TrackerChange{FileDownloads: new(true), Installation: new("npm")}}})).Site.ID
	must(t, s.Apply(Command{At: 4, Change: &UpdateSite{ID: site, Tracker: &TrackerChange{OutboundLinks: new(true)}}}))
	if got, want := s.View().Tracker(site), (Tracker{Installation: "npm", FileDownloads: true, OutboundLinks: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	must(t, s.Apply(Command{At: 5, Change: &UpdateSite{ID: site, Tracker: &TrackerChange{OutboundLinks: new(false), FileDownloads: new(false), Installation: new("")}}}))
	if b, err := s.View().Record(Ref{RefSettings, uint64(site)}); b != nil || err != nil {
		t.Errorf("a site without settings has the record %q, %v", b, err)
	}
}

func TestKnownCurrency(t *testing.T) {
	for code, want := range map[string]bool{"": true, "EUR": true, "ZWL": true, "eur": false, "EU": false, "UR ": false, "EURO": false, "XXX": false, "R U": false} {
		if err := KnownCurrency(code); (err == nil) != want || err != nil && analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestTheNameOfAScriptStaysAndTellsNothing(t *testing.T) {
	site := analytics.Site{ID: 1, Domain: "a.b", Secret: Secret{1, 2, 3}}
	id := TrackerID(&site)
	renamed := site
	renamed.Domain, renamed.Timezone = "c.d", "UTC"
	if len(id) != 23 || !strings.HasPrefix(id, "pa-") || TrackerID(&renamed) != id {
		t.Errorf("got %q and %q", id, TrackerID(&renamed))
	}
	renamed.Secret[0]++
	if TrackerID(&renamed) == id {
		t.Error("two sites have the same name")
	}
}

// FuzzSegmentData: whatever is taken is one object, short, and taken again as
// it is.
func FuzzSegmentData(f *testing.F) {
	for _, s := range []string{someFilters, `{"labels":{"a":"<b>"},"filters":[[1.50,"\ud800"]]}`, `{"filters":[{}],"filters":[1]}`, `{"FILTERS":[1]}`, `{}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := segmentData(in)
		if err != nil {
			return
		}
		if len(out) > analytics.SegmentBytesMax || !json.Valid([]byte(out)) {
			t.Fatalf("%q became %q", in, out)
		}
		if again, err := segmentData(out); err != nil || again != out {
			t.Fatalf("%q became %q, then %q, %v", in, out, again, err)
		}
	})
}

// FuzzGoal: a definition that is taken is taken again as it is.
func FuzzGoal(f *testing.F) {
	f.Add("event", "", "Signup", "", uint8(0), "plan", "pro", "EUR")
	f.Add("page", "", "", "/blog/**", uint8(0), "", "", "")
	f.Add("scroll", "Read it", "", "/a*b", uint8(90), "x", "y", "")
	f.Fuzz(func(t *testing.T, kind, name, event, page string, scroll uint8, key, value, currency string) {
		d := GoalDef{Kind: analytics.GoalKind(kind), Name: name, Event: event, Page: page, Scroll: scroll, Currency: currency}
		if key != "" {
			d.Props = []Condition{{key, value}}
		}
		if d.check() != nil {
			return
		}
		once := fmt.Sprintf("%+v", d)
		if err := d.check(); err != nil || fmt.Sprintf("%+v", d) != once || d.Name == "" {
			t.Fatalf("%s became %+v, %v", once, d, err)
		}
		if back := DefOf(d.goal(1, 1)); fmt.Sprintf("%+v", back) != once {
			t.Fatalf("%s came back as %+v", once, back)
		}
	})
}
