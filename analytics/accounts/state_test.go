package accounts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"footfall/analytics"
)

const hour = 60 * 60 * 1000

func hashNo(n int) Hash { return HashOf(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func must(t testing.TB, r Result) Result {
	t.Helper()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r
}

func wantErr(t testing.TB, r Result, code analytics.Code, text string) {
	t.Helper()
	if r.Err == nil || analytics.CodeOf(r.Err) != code || !strings.Contains(r.Err.Error(), text) {
		t.Fatalf("got %v (code %d), want code %d and %q", r.Err, analytics.CodeOf(r.Err), code, text)
	}
}

func setup(t testing.TB, s *State) Result {
	t.Helper()
	must(t, s.Apply(Command{At: 1, Change: &OfferSetup{Hash: hashNo(1)}}))
	return must(t, s.Apply(Command{At: 2, Change: &CompleteSetup{Token: hashNo(1),
		User:    CreateUser{Email: "Ada@Example.com", Name: "Ada", PasswordHash: "x"},
		Site:    &CreateSite{Domain: "www.example.com", Timezone: "Europe/Berlin", Secret: Secret{1}},
		Session: OpenSession{Hash: hashNo(2), Expires: 14 * 24 * hour}}}))
}

func TestFirstAccountIsSetUpOnceWithTheOfferedToken(t *testing.T) {
	s := NewState()
	must(t, s.Apply(Command{At: 1, Change: &OfferSetup{Hash: hashNo(9)}}))
	r := setup(t, s)
	v := s.View()
	if u, ok := v.UserByEmail("ada@example.com"); !ok || u.Role != Owner || u.Org != r.Org.ID {
		t.Fatalf("the owner is %+v", u)
	}
	if site, ok := v.Site([]byte("example.com")); !ok || site.Org != r.Org.ID || site.Zone().String() != "Europe/Berlin" {
		t.Fatalf("the site is %+v", site)
	}
	h := hashNo(2)
	if n, ok := v.SessionByHash(&h); !ok || n.User != r.User.ID {
		t.Fatalf("the session is %+v", n)
	}
	again := &CompleteSetup{Token: hashNo(1), User: CreateUser{Email: "eve@example.com", PasswordHash: "x"}, Session: OpenSession{Hash: hashNo(3), Expires: hour}}
	wantErr(t, s.Apply(Command{At: 3, Change: again}), analytics.NotFound, "token: ")
	wantErr(t, s.Apply(Command{At: 3, Change: &OfferSetup{Hash: hashNo(4)}}), analytics.Conflict, "token: ")
}

func TestAnOlderSetupTokenIsWorthNothing(t *testing.T) {
	s := NewState()
	must(t, s.Apply(Command{At: 1, Change: &OfferSetup{Hash: hashNo(1)}}))
	must(t, s.Apply(Command{At: 2, Change: &OfferSetup{Hash: hashNo(2)}}))
	old := &CompleteSetup{Token: hashNo(1), User: CreateUser{Email: "eve@example.com", PasswordHash: "x"}, Session: OpenSession{Hash: hashNo(3), Expires: hour}}
	wantErr(t, s.Apply(Command{At: 3, Change: old}), analytics.NotFound, "token: ")
	h := hashNo(2)
	if !s.View().SetupOffered(&h) {
		t.Fatal("the newer token is not on offer")
	}
}

func TestSetupThatFailsChangesNothing(t *testing.T) {
	s := NewState()
	must(t, s.Apply(Command{At: 1, Change: &CreateSite{Domain: "taken.example", Timezone: "UTC", Secret: Secret{1}}}))
	must(t, s.Apply(Command{At: 1, Change: &OfferSetup{Hash: hashNo(1)}}))
	before, _ := s.View().Encode()
	c := &CompleteSetup{Token: hashNo(1), User: CreateUser{Email: "a@b.c", PasswordHash: "x"},
		Site: &CreateSite{Domain: "taken.example", Timezone: "UTC", Secret: Secret{1}}, Session: OpenSession{Hash: hashNo(3), Expires: hour}}
	wantErr(t, s.Apply(Command{At: 3, Change: c}), analytics.Conflict, "domain: ")
	after, _ := s.View().Encode()
	if !bytes.Equal(before, after) {
		t.Fatal("the state changed")
	}
}

func TestSetupJoinsTheOrganisationThatTheOperatorBegan(t *testing.T) {
	s := NewState()
	site := must(t, s.Apply(Command{At: 1, Change: &CreateSite{Domain: "shop.example", Timezone: "UTC", Secret: Secret{1}}})).Site
	r := setup(t, s)
	if r.User.Org != site.Org {
		t.Fatalf("owner in organisation %d, site in %d", r.User.Org, site.Org)
	}
}

func TestRefusalsNameTheField(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	org := r.Org.ID
	other := must(t, s.Apply(Command{At: 3, Change: &CreateOrg{Name: "Other"}})).Org.ID
	for _, c := range []struct {
		change Change
		code   analytics.Code
		text   string
	}{
		{&CreateOrg{Name: " "}, analytics.Invalid, "name: "},
		{&CreateUser{Email: "x", PasswordHash: "h", Role: Viewer}, analytics.Invalid, "email: "},
		{&CreateUser{Email: "x@y.z", PasswordHash: "", Role: Viewer}, analytics.Invalid, "password: "},
		{&CreateUser{Email: "x@y.z", PasswordHash: "h", Role: 9}, analytics.Invalid, "role: "},
		{&CreateUser{Email: "ADA@example.com", PasswordHash: "h", Role: Viewer}, analytics.Conflict, "email: "},
		{&CreateUser{Org: 99, Email: "x@y.z", PasswordHash: "h", Role: Viewer}, analytics.NotFound, "org: "},
		{&CreateUser{Email: "x@y.z", Name: strings.Repeat("n", 101), PasswordHash: "h", Role: Viewer}, analytics.Invalid, "name: "},
		{&DeleteUser{Org: org, ID: r.User.ID}, analytics.Conflict, "only owner"},
		{&DeleteUser{Org: other, ID: r.User.ID}, analytics.NotFound, "user: "},
		{&CreateSite{Domain: "EXAMPLE.com", Timezone: "UTC", Secret: Secret{1}}, analytics.Conflict, "domain: "},
		{&CreateSite{Domain: "a.b", Timezone: "", Secret: Secret{1}}, analytics.Invalid, "timezone: "},
		{&CreateSite{Domain: "a.b", Timezone: "UTC"}, analytics.Invalid, "secret: "},
		{&CreateSite{Org: 77, Domain: "a.b", Timezone: "UTC", Secret: Secret{1}}, analytics.NotFound, "org: "},
		{&UpdateSite{ID: 44}, analytics.NotFound, "site: "},
		{&DeleteSite{ID: 44}, analytics.NotFound, "site: "},
		{&CreateKey{Name: "", Scopes: []Scope{StatsRead}, Hash: hashNo(5)}, analytics.Invalid, "name: "},
		{&CreateKey{Name: "k", Hash: hashNo(5)}, analytics.Invalid, "scope: "},
		{&CreateKey{Name: "k", Scopes: []Scope{"root"}, Hash: hashNo(5)}, analytics.Invalid, "scope: "},
		{&CreateKey{Name: "k", Scopes: []Scope{SitesProvision}, Site: r.Site.ID, Hash: hashNo(5)}, analytics.Invalid, "site: "},
		{&CreateKey{Org: other, Name: "k", Scopes: []Scope{StatsRead}, Site: r.Site.ID, Hash: hashNo(5)}, analytics.NotFound, "site: "},
		{&RevokeKey{Org: org, ID: 5}, analytics.NotFound, "key: "},
		{&OpenSession{User: 55, Hash: hashNo(6), Expires: hour}, analytics.NotFound, "user: "},
		{&OpenSession{User: r.User.ID, Hash: hashNo(2), Expires: hour}, analytics.Conflict, "session: "},
		{&SetPassword{User: 55, PasswordHash: "x"}, analytics.NotFound, "user: "},
		{&UpdateSite{ID: r.Site.ID, Uniques: new(analytics.Uniques("yearly"))}, analytics.Invalid, "visitor_id: "},
		{&UpdateSite{ID: r.Site.ID, RetentionDays: new(-1)}, analytics.Invalid, "retention_days: "},
		{&UpdateSite{ID: r.Site.ID, RetentionDays: new(36_501)}, analytics.Invalid, "retention_days: "},
	} {
		before, _ := s.View().Encode()
		wantErr(t, s.Apply(Command{At: 5, Change: c.change}), c.code, c.text)
		if after, _ := s.View().Encode(); !bytes.Equal(before, after) {
			t.Fatalf("%T changed the state", c.change)
		}
	}
}

func TestAViewNeverChanges(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	v := s.View()
	must(t, s.Apply(Command{At: 3, Change: &UpdateSite{ID: r.Site.ID, Domain: new("new.example"), Timezone: new("Asia/Tokyo"), Hostnames: &[]string{"x.y"}}}))
	must(t, s.Apply(Command{At: 4, Change: &CreateSite{Domain: "second.example", Timezone: "UTC", Secret: Secret{1}}}))
	if site, ok := v.Site([]byte("example.com")); !ok || site.Timezone != "Europe/Berlin" || len(site.Hostnames) != 0 {
		t.Fatalf("the old view has %+v", site)
	}
	if _, ok := v.Site([]byte("second.example")); ok {
		t.Fatal("the old view has the new site")
	}
	now := s.View()
	site, ok := now.Site([]byte("new.example"))
	if !ok || site.ID != r.Site.ID || site.Zone().String() != "Asia/Tokyo" || site.Secret != r.Site.Secret || site.Created != r.Site.Created {
		t.Fatalf("the new view has %+v", site)
	}
	if _, ok := now.Site([]byte("example.com")); ok {
		t.Fatal("the old domain still finds the site")
	}
	if got := len(slices.Collect(now.SitesOf(r.Org.ID, 0))); got != 2 {
		t.Fatalf("%d sites listed", got)
	}
}

func TestIdsAreNeverReused(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	must(t, s.Apply(Command{At: 3, Change: &DeleteSite{ID: r.Site.ID}}))
	again := must(t, s.Apply(Command{At: 4, Change: &CreateSite{Domain: "example.com", Timezone: "UTC", Secret: Secret{1}}})).Site
	if again.ID <= r.Site.ID {
		t.Fatalf("site %d after %d", again.ID, r.Site.ID)
	}
	b, err := s.View().Encode()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	must(t, loaded.Apply(Command{At: 5, Change: &DeleteSite{ID: again.ID}}))
	if third := must(t, loaded.Apply(Command{At: 6, Change: &CreateSite{Domain: "example.com", Timezone: "UTC", Secret: Secret{1}}})).Site; third.ID <= again.ID {
		t.Fatalf("site %d after %d", third.ID, again.ID)
	}
}

func TestDeletingASiteTakesItsKeysAlong(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	must(t, s.Apply(Command{At: 3, Change: &CreateKey{Name: "bound", Site: r.Site.ID, Scopes: []Scope{StatsRead}, Hash: hashNo(5)}}))
	must(t, s.Apply(Command{At: 3, Change: &CreateKey{Name: "free", Scopes: []Scope{StatsRead, EventsWrite, StatsRead}, Hash: hashNo(6)}}))
	must(t, s.Apply(Command{At: 4, Change: &DeleteSite{ID: r.Site.ID}}))
	v := s.View()
	bound, free := hashNo(5), hashNo(6)
	if _, ok := v.KeyByHash(&bound); ok {
		t.Error("the site's key is still there")
	}
	if k, ok := v.KeyByHash(&free); !ok || !slices.Equal(k.Scopes, []Scope{EventsWrite, StatsRead}) {
		t.Errorf("the other key is %+v", k)
	}
}

func TestSessionsRotateExpireAndAreBounded(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	user := r.User.ID
	first := hashNo(2)
	must(t, s.Apply(Command{At: 10, Change: &OpenSession{User: user, Hash: hashNo(100), Expires: 14 * 24 * hour, Replaces: &first, Agent: "Mozilla/5.0\n"}}))
	if _, ok := s.View().SessionByHash(&first); ok {
		t.Fatal("the session from before the sign-in still works")
	}
	for i := range SessionsMax + 5 {
		must(t, s.Apply(Command{At: int64(20 + i), Change: &OpenSession{User: user, Hash: hashNo(200 + i), Expires: 14 * 24 * hour}}))
	}
	all := slices.Collect(s.View().SessionsOf(user))
	if len(all) != SessionsMax || all[len(all)-1].Hash != string(hashBytes(200+SessionsMax+4)) {
		t.Fatalf("%d sessions", len(all))
	}
	// One was used later than the others, so it alone outlives the idle time.
	must(t, s.Apply(Command{At: 100, Change: &Touch{Sessions: []Seen{{all[3].ID, 5 * hour}, {999999, 1}}}}))
	if !s.View().DeadSessions(26 * hour) {
		t.Fatal("no session is dead after a day")
	}
	must(t, s.Apply(Command{At: 26 * hour, Change: &Expire{}}))
	left := slices.Collect(s.View().SessionsOf(user))
	if len(left) != 1 || left[0].ID != all[3].ID {
		t.Fatalf("%d sessions left", len(left))
	}
	must(t, s.Apply(Command{At: 27 * hour, Change: &SetPassword{User: user, PasswordHash: "new"}}))
	if n := len(slices.Collect(s.View().SessionsOf(user))); n != 0 {
		t.Fatalf("%d sessions after a change of password", n)
	}
}

func hashBytes(n int) []byte { h := hashNo(n); return h[:] }

func TestSessionAlive(t *testing.T) {
	n := Session{Created: 0, LastSeen: 0, Expires: 14 * 24 * hour}
	for _, c := range []struct {
		now, seen int64
		want      bool
	}{{24*hour - 1, 0, true}, {24 * hour, 0, false}, {14*24*hour - 1, 14*24*hour - 5, true}, {14 * 24 * hour, 14*24*hour - 5, false}} {
		if got := n.Alive(c.now, c.seen); got != c.want {
			t.Errorf("at %d seen %d: %v", c.now, c.seen, got)
		}
	}
}

// TestRandomCommands compares two states, one of which is written and read back
// again and again, record by record, as the store does it.
func TestReplicasAgreeAndRecordsHoldTheWholeState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := NewState(), NewState()
		disk := map[Ref][]byte{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			cmd := Command{At: int64(step) * hour, Change: drawChange(t)}
			wire, err := cmd.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := DecodeCommand(wire)
			if err != nil {
				t.Fatal(err)
			}
			ra, rb := a.Apply(cmd), b.Apply(read)
			if fmt.Sprint(ra.Err) != fmt.Sprint(rb.Err) {
				t.Fatalf("%T: %v and %v", cmd.Change, ra.Err, rb.Err)
			}
			if rapid.IntRange(0, 4).Draw(t, "flush") == 0 {
				flush(t, b, disk)
				b = load(t, disk)
			}
		}
		flush(t, b, disk)
		want, err := a.View().Encode()
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*State{"replica": b, "records": load(t, disk), "decoded": decode(t, want)} {
			got, err := s.View().Encode()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s differs: %v\n%q\n%q", name, err, got, want)
			}
			checkIndexes(t, s.View())
		}
	})
}

func flush(t *rapid.T, s *State, disk map[Ref][]byte) {
	v := s.View()
	for _, r := range s.TakeDirty() {
		b, err := v.Record(r)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			delete(disk, r)
		} else {
			disk[r] = b
		}
	}
}

func load(t *rapid.T, disk map[Ref][]byte) *State {
	s := NewState()
	for r, b := range disk { // in any order
		if err := s.Restore(r, b); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func decode(t *rapid.T, b []byte) *State {
	s, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkIndexes compares every way to find something with a plain walk.
func checkIndexes(t *rapid.T, v *View) {
	owners := 0
	for o := range v.Orgs() {
		sites, users, keys := 0, 0, 0
		for s := range v.SitesOf(o.ID, 0) {
			sites++
			if x, ok := v.Site([]byte(s.Domain)); !ok || x != s {
				t.Fatalf("site %s is not found by its domain", s.Domain)
			}
		}
		for u := range v.UsersOf(o.ID) {
			users++
			if x, ok := v.UserByEmail(u.Email); !ok || x != u {
				t.Fatalf("user %s is not found by address", u.Email)
			}
			if u.Role == Owner {
				owners++
			}
			for n := range v.SessionsOf(u.ID) {
				h := Hash([]byte(n.Hash))
				if x, ok := v.SessionByHash(&h); !ok || x != n {
					t.Fatalf("session %d is not found by hash", n.ID)
				}
			}
		}
		for k := range v.KeysOf(o.ID) {
			keys++
			if x, ok := v.KeyByHash(&k.Hash); !ok || x != k {
				t.Fatalf("key %d is not found by hash", k.ID)
			}
		}
		for s := range v.Sites(0) {
			if s.Org == o.ID {
				sites--
			}
		}
		if sites != 0 {
			t.Fatalf("organisation %d lists %d sites more than there are", o.ID, sites)
		}
	}
	if owners != v.owners || v.byDomain.table.size > v.sites.size {
		t.Fatalf("%d owners counted, %d there", v.owners, owners)
	}
	checkContents(t, v)
	for n := range v.Sessions() {
		if _, ok := v.User(n.User); !ok {
			t.Fatalf("session %d of nobody", n.ID)
		}
	}
	for k := range v.keys.from(0) {
		key, _ := v.Key(k)
		if _, ok := v.SiteByID(key.Site); key.Site != 0 && !ok {
			t.Fatalf("key %d of no site", k)
		}
	}
}

func drawChange(t *rapid.T) Change {
	id := rapid.Uint64Range(0, 5)
	n := func(label string) uint64 { return id.Draw(t, label) }
	word := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "word")
	hash := hashNo(rapid.IntRange(0, 6).Draw(t, "hash"))
	if rapid.Bool().Draw(t, "contents") {
		return drawContents(t, analytics.SiteID(n("site")), n("id"), word)
	}
	switch rapid.IntRange(0, 21).Draw(t, "kind") {
	case 0:
		return &CreateOrg{Name: word}
	case 1, 2:
		return &CreateUser{Org: n("org"), Email: word + "@x.y", Role: Role(rapid.IntRange(1, 3).Draw(t, "role")), PasswordHash: "h"}
	case 3:
		return &DeleteUser{Org: n("org"), ID: n("user")}
	case 4:
		return &SetPassword{User: n("user"), PasswordHash: word}
	case 5, 6:
		return &CreateSite{Org: n("org"), Domain: word + ".x", Timezone: "Europe/Paris", Secret: Secret{1, 2}}
	case 7:
		return &UpdateSite{ID: analytics.SiteID(n("site")), Domain: new(word + ".x"), Timezone: new("Nowhere/" + word), Countries: &[]string{"de"},
			Uniques: new(analytics.UniquesWeekly), RetentionDays: new(int(n("days")))}
	case 8:
		return &DeleteSite{ID: analytics.SiteID(n("site"))}
	case 9:
		return &CreateKey{Org: n("org"), Site: analytics.SiteID(n("site")), Name: word, Scopes: []Scope{StatsRead, EventsWrite}, Hash: hash, Prefix: "ff_a"}
	case 10:
		return &RevokeKey{Org: n("org"), ID: n("key")}
	case 11:
		return &OpenSession{User: n("user"), Hash: hash, Expires: int64(rapid.IntRange(1, 100).Draw(t, "expires")) * hour, Replaces: &Hash{1}}
	case 12:
		return &CloseSession{Hash: hash}
	case 13:
		return &Touch{Sessions: []Seen{{n("session"), 30 * hour}}, Keys: []Seen{{n("key"), 40 * hour}}}
	case 14:
		return &OfferSetup{Hash: hash}
	case 15:
		return &UpdateUser{Org: n("org"), ID: n("user"), Role: Role(rapid.IntRange(1, 3).Draw(t, "role"))}
	case 16:
		return &PutPreferences{Preferences{User: n("user"), Theme: rapid.SampledFrom([]string{"", "dark"}).Draw(t, "theme"),
			Pinned: rapid.SampledFrom([][]analytics.SiteID{nil, {3, 1}}).Draw(t, "pinned")}}
	case 17:
		return &OfferSecondFactor{User: n("user"), Secret: TOTPSecret{1}}
	case 18, 19:
		secret := TOTPSecret{1}
		return &ConfirmSecondFactor{User: n("user"), Offer: HashOf(secret[:]), Step: n("step"), Recovery: []Hash{hash}, Keep: &hash}
	case 20:
		c := &OpenProvenSession{Session: OpenSession{User: n("user"), Hash: hash, Expires: 100 * hour}}
		if rapid.Bool().Draw(t, "proof") {
			c.Proof = &Proof{Step: n("step")}
		}
		return c
	case 21:
		return &RemoveSecondFactor{User: n("user"), Proof: &Proof{Recovery: &hash}}
	}
	if rapid.Bool().Draw(t, "expire") {
		return &Expire{}
	}
	return &CompleteSetup{Token: hash, User: CreateUser{Email: word + "@x.y", PasswordHash: "h"},
		Site: &CreateSite{Domain: word + ".x", Timezone: "UTC", Secret: Secret{1}}, Session: OpenSession{Hash: Hash{9, byte(n("session"))}, Expires: 1000 * hour}}
}

func TestUnknownFormatsAreRefused(t *testing.T) {
	s := NewState()
	setup(t, s)
	good, err := s.View().Encode()
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(good)
	newer[0]++
	cmd, err := Command{At: 1, Change: &Expire{}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(at int, to byte) []byte { c := slices.Clone(cmd); c[at] = to; return c }
	for name, err := range map[string]error{
		"state":         second(Decode(newer)),
		"empty state":   second(Decode(nil)),
		"cut state":     second(Decode(good[:len(good)-1])),
		"record":        NewState().Restore(Ref{RefOrg, 1}, []byte(`2{"id":1}`)),
		"empty record":  NewState().Restore(Ref{RefOrg, 1}, nil),
		"record kind":   NewState().Restore(Ref{77, 1}, []byte("\x01{}")),
		"record id":     NewState().Restore(Ref{RefOrg, 2}, []byte("\x01"+`{"id":1}`)),
		"record field":  NewState().Restore(Ref{RefOrg, 1}, []byte("\x01"+`{"id":1,"colour":"red"}`)),
		"command":       second(DecodeCommand(edit(0, 2))),
		"command kind":  second(DecodeCommand(edit(1, 200))),
		"command tail":  second(DecodeCommand(append(slices.Clone(cmd), '{'))),
		"short command": second(DecodeCommand(cmd[:5])),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range []Change{&Expire{}, &CreateSite{Domain: "a.b", Timezone: "UTC"}, &Touch{Keys: []Seen{{1, 2}}}, &CompleteSetup{},
		&PutGoal{Site: 1, Goal: GoalDef{Kind: analytics.GoalScroll, Page: "/blog/**", Scroll: 50, Props: []Condition{{"plan", "pro"}}}}, &UpdateGoal{Site: 1, ID: 1}, &DeleteGoal{Site: 1, ID: 1},
		&CreateSegment{Site: 1, Name: "s", Data: `{"filters":[["is","visit:country",["DE"]]],"labels":{"DE":"Germany"}}`}, &UpdateSegment{Site: 1, ID: 1, Name: new("x")}, &DeleteSegment{Site: 1, ID: 1},
		&ChangeProperties{Site: 1, Add: []string{"plan"}}, &UpdateSite{ID: 1, Tracker: &TrackerChange{OutboundLinks: new(true)}},
		&PutSharedLink{Site: 1, Name: "l", Slug: strings.Repeat("a", 43)}, &DeleteSharedLink{Site: 1, ID: 1}, &PutGuest{Site: 1, Email: "g@x.y"}, &RemoveGuest{Site: 1, Email: "g@x.y"},
		&PutPreferences{Preferences{User: 1, Pinned: []analytics.SiteID{1}, Groups: []SiteGroup{{Name: "g", Sites: []analytics.SiteID{1}}}, Theme: "dark", Language: "pt-BR", WeekStart: "sunday"}},
		&CreateAnnotation{Site: 1, Date: "2026-11-02", Text: "t", Author: 1}, &UpdateAnnotation{Site: 1, ID: 1, Text: new("x")}, &DeleteAnnotation{Site: 1, ID: 1},
		&CreateFunnel{Site: 1, Name: "f", Steps: []FunnelStep{{Page: "/"}, {Event: "e", Props: map[string]string{"a": "b"}}}, Window: "7d"}, &UpdateFunnel{Site: 1, ID: 1, Window: new("1h")}, &DeleteFunnel{Site: 1, ID: 1},
		&OfferSecondFactor{User: 1, Secret: TOTPSecret{1}}, &ConfirmSecondFactor{User: 1, Step: 1, Recovery: []Hash{{1}}, Keep: &Hash{2}},
		&OpenProvenSession{Session: OpenSession{User: 1, Hash: Hash{1}, Expires: 9}, Proof: &Proof{Step: 1}}, &RemoveSecondFactor{User: 1, Proof: &Proof{Recovery: &Hash{1}}}, &UpdateUser{Org: 1, ID: 1, Role: Admin}} {
		b, err := Command{At: 5, Change: c}.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := DecodeCommand(b)
		if err != nil {
			return
		}
		s := NewState()
		setup(t, s)
		r := s.Apply(cmd)
		if r.Err != nil && analytics.CodeOf(r.Err) == analytics.Internal {
			t.Fatalf("internal error %v", r.Err)
		}
		if _, err := s.View().Encode(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	s := NewState()
	setup(f, s)
	b, err := s.View().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		if _, err := s.View().Encode(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLookupsOnTheHotPathAllocateNothing(t *testing.T) {
	s := NewState()
	fill(t, s, 3000)
	setup(t, s)
	must(t, s.Apply(Command{At: 3, Change: &CreateKey{Name: "k", Scopes: []Scope{StatsRead}, Hash: hashNo(5)}}))
	v := s.View()
	domain, unknown := []byte("shop1234.example"), []byte("nobody.example")
	secret, id := binary.BigEndian.AppendUint64(nil, 5), binary.BigEndian.AppendUint64(nil, 2)
	allocs := testing.AllocsPerRun(100, func() {
		key, session := HashOf(secret), HashOf(id) // as the authenticator has them: on its stack
		if _, ok := v.Site(domain); !ok {
			t.Fatal("site")
		}
		if _, ok := v.Site(unknown); ok {
			t.Fatal("unknown site")
		}
		if _, ok := v.KeyByHash(&key); !ok {
			t.Fatal("key")
		}
		if _, ok := v.SessionByHash(&session); !ok {
			t.Fatal("session")
		}
	})
	if allocs != 0 {
		t.Fatalf("%v allocations", allocs)
	}
}

func fill(t testing.TB, s *State, n int) {
	for i := range n {
		must(t, s.Apply(Command{At: int64(i), Change: &CreateSite{Domain: fmt.Sprintf("shop%d.example", i), Timezone: "Europe/Rome", Secret: Secret{1}}}))
		s.View() // as the control group does after every command
	}
}

func BenchmarkAddSites(b *testing.B) {
	for b.Loop() {
		fill(b, NewState(), 100_000)
	}
}

func BenchmarkSite(b *testing.B) {
	s := NewState()
	fill(b, s, 100_000)
	v := s.View()
	domain := []byte("shop77777.example")
	b.ReportAllocs()
	for b.Loop() {
		v.Site(domain)
	}
}
