package accounts

import (
	"hash/maphash"
	"iter"

	"footfall/analytics"
)

// View is a state as of one command: immutable, safe for concurrent use, and
// cheap to keep, since it shares what did not change with the views before and
// after it. What its methods give must not be written to. Lists are in order of
// ids, which is the order of creation.
type View struct {
	next  counters
	setup Hash // of the token on offer; zero: none

	orgs     trie[*Org]
	users    trie[*User]
	sites    trie[*analytics.Site]
	keys     trie[*Key]
	sessions trie[*Session]
	goals    trie[*analytics.Goal]
	segments trie[*analytics.Segment]
	settings trie[*settings] // by site
	links    trie[*SharedLink]
	guests   trie[*Guest]

	preferences trie[*Preferences] // by user
	annotations trie[*Annotation]
	funnels     trie[*Funnel]
	factors     trie[*SecondFactor] // by user
	reports     trie[*Reports]      // by site

	byDomain index[*analytics.Site]
	byEmail  index[*User]
	byKey    index[*Key]
	byCookie index[*Session]
	bySlug   index[*SharedLink]
	invited  index[trie[*Guest]] // guests who are not users yet, by e-mail address

	sitesOf    trie[trie[*analytics.Site]] // by organisation
	usersOf    trie[trie[*User]]
	keysOf     trie[trie[*Key]]
	sessionsOf trie[trie[*Session]]        // by user
	goalsOf    trie[trie[*analytics.Goal]] // by site
	segmentsOf trie[trie[*analytics.Segment]]
	personalOf trie[trie[*analytics.Segment]] // personal ones, by owner
	linksOf    trie[trie[*SharedLink]]        // by site
	guestsOf   trie[trie[*Guest]]             // by site
	guestOf    trie[[]*Guest]                 // by user, in order of sites

	annotationsOf trie[trie[*Annotation]] // by site
	funnelsOf     trie[trie[*Funnel]]     // by site

	owners int // users with the role Owner, of all organisations
}

// counters hold the last id given out of each kind; ids are never reused.
type counters struct {
	Org     uint64 `json:"org"`
	User    uint64 `json:"user"`
	Site    uint64 `json:"site"`
	Key     uint64 `json:"key"`
	Session uint64 `json:"session"`
	Goal    uint64 `json:"goal,omitempty"`
	Segment uint64 `json:"segment,omitempty"`
	Link    uint64 `json:"link,omitempty"`
	Guest   uint64 `json:"guest,omitempty"`

	Annotation uint64 `json:"annotation,omitempty"`
	Funnel     uint64 `json:"funnel,omitempty"`
}

func newView() View {
	seed := maphash.MakeSeed()
	return View{
		byDomain: newIndex[*analytics.Site](seed),
		byEmail:  newIndex[*User](seed),
		byKey:    newDigestIndex[*Key](),
		byCookie: newDigestIndex[*Session](),
		bySlug:   newIndex[*SharedLink](seed),
		invited:  newIndex[trie[*Guest]](seed),
	}
}

// Site finds a site by its normalised domain. It allocates nothing.
func (v *View) Site(domain []byte) (*analytics.Site, bool) { return v.byDomain.get(domain) }

// SiteByID finds a site by its number.
func (v *View) SiteByID(id analytics.SiteID) (*analytics.Site, bool) { return v.sites.get(uint64(id)) }

// KeyByHash finds an API key by its hash. It allocates nothing.
func (v *View) KeyByHash(h *Hash) (*Key, bool) { return v.byKey.get(h[:]) }

// SessionByHash finds a session by the hash of its id, alive or not. It
// allocates nothing.
func (v *View) SessionByHash(h *Hash) (*Session, bool) { return v.byCookie.get(h[:]) }

// Org finds an organisation.
func (v *View) Org(id uint64) (*Org, bool) { return v.orgs.get(id) }

// User finds a user.
func (v *View) User(id uint64) (*User, bool) { return v.users.get(id) }

// UserByEmail finds a user by the normalised e-mail address.
func (v *View) UserByEmail(email string) (*User, bool) { return v.byEmail.get([]byte(email)) }

// Key finds an API key.
func (v *View) Key(id uint64) (*Key, bool) { return v.keys.get(id) }

// Orgs walks all organisations.
func (v *View) Orgs() iter.Seq[*Org] { return values(v.orgs, 0) }

// Sites walks the sites of all organisations with an id above after.
func (v *View) Sites(after analytics.SiteID) iter.Seq[*analytics.Site] {
	return values(v.sites, uint64(after)+1)
}

// SitesOf walks the sites of an organisation with an id above after.
func (v *View) SitesOf(org uint64, after analytics.SiteID) iter.Seq[*analytics.Site] {
	of, _ := v.sitesOf.get(org)
	return values(of, uint64(after)+1)
}

// SitesBefore walks the sites of all organisations with an id below before,
// newest first.
func (v *View) SitesBefore(before analytics.SiteID) iter.Seq[*analytics.Site] {
	return valuesDown(v.sites, uint64(before))
}

// SitesOfBefore walks the sites of an organisation with an id below before,
// newest first.
func (v *View) SitesOfBefore(org uint64, before analytics.SiteID) iter.Seq[*analytics.Site] {
	of, _ := v.sitesOf.get(org)
	return valuesDown(of, uint64(before))
}

// SitesOfCount is how many sites an organisation has.
func (v *View) SitesOfCount(org uint64) int {
	of, _ := v.sitesOf.get(org)
	return of.size
}

// UsersOf walks the users of an organisation.
func (v *View) UsersOf(org uint64) iter.Seq[*User] {
	of, _ := v.usersOf.get(org)
	return values(of, 0)
}

// KeysOf walks the keys of an organisation.
func (v *View) KeysOf(org uint64) iter.Seq[*Key] {
	of, _ := v.keysOf.get(org)
	return values(of, 0)
}

// SessionsOf walks the sessions of a user, dead ones that were not cleared away
// yet included.
func (v *View) SessionsOf(user uint64) iter.Seq[*Session] {
	of, _ := v.sessionsOf.get(user)
	return values(of, 0)
}

// Sessions walks all sessions.
func (v *View) Sessions() iter.Seq[*Session] { return values(v.sessions, 0) }

// SitesCount is how many sites there are.
func (v *View) SitesCount() int { return v.sites.size }

// HasOwner tells whether the first account was set up.
func (v *View) HasOwner() bool { return v.owners > 0 }

// SetupOffered tells whether h is the hash of the setup token on offer.
func (v *View) SetupOffered(h *Hash) bool {
	return v.setup != Hash{} && v.setup == *h && !v.HasOwner()
}

// FirstOrg is the organisation that a change without one means; 0 if there is
// none yet.
func (v *View) FirstOrg() uint64 {
	for id := range v.orgs.from(0) {
		return id
	}
	return 0
}

func values[V any](t trie[V], low uint64) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range t.from(low) {
			if !yield(v) {
				return
			}
		}
	}
}

// valuesDown walks the values with a key below before in reverse order.
func valuesDown[V any](t trie[V], before uint64) iter.Seq[V] {
	return func(yield func(V) bool) {
		if before == 0 {
			return
		}
		for _, v := range t.down(before - 1) {
			if !yield(v) {
				return
			}
		}
	}
}

// within adds, replaces or, with keep false, removes a member of one group.
func within[V any](t trie[trie[V]], group, id uint64, v V, keep bool) trie[trie[V]] {
	of, _ := t.get(group)
	if keep {
		return t.put(group, of.put(id, v))
	}
	if of = of.delete(id); of.size == 0 {
		return t.delete(group)
	}
	return t.put(group, of)
}

// The setters below keep a table and its indexes together. Each expects that
// the entity before, if there was one, was removed by its drop function when a
// key of an index changes.

func (v *View) setOrg(o *Org) { v.orgs = v.orgs.put(o.ID, o) }

func (v *View) setUser(u *User) {
	if old, ok := v.users.get(u.ID); ok {
		v.dropUser(old)
	}
	v.users = v.users.put(u.ID, u)
	v.byEmail = v.byEmail.put(u.Email, u)
	v.usersOf = within(v.usersOf, u.Org, u.ID, u, true)
	if u.Role == Owner {
		v.owners++
	}
}

func (v *View) dropUser(u *User) {
	v.users = v.users.delete(u.ID)
	v.byEmail = v.byEmail.delete(u.Email)
	v.usersOf = within(v.usersOf, u.Org, u.ID, u, false)
	if u.Role == Owner {
		v.owners--
	}
}

func (v *View) setSite(s *analytics.Site) {
	id := uint64(s.ID)
	if old, ok := v.sites.get(id); ok && (old.Domain != s.Domain || old.Org != s.Org) {
		v.dropSite(old)
	}
	v.sites = v.sites.put(id, s)
	v.byDomain = v.byDomain.put(s.Domain, s)
	v.sitesOf = within(v.sitesOf, s.Org, id, s, true)
}

func (v *View) dropSite(s *analytics.Site) {
	v.sites = v.sites.delete(uint64(s.ID))
	v.byDomain = v.byDomain.delete(s.Domain)
	v.sitesOf = within(v.sitesOf, s.Org, uint64(s.ID), s, false)
}

func (v *View) setKey(k *Key) {
	v.keys = v.keys.put(k.ID, k)
	v.byKey = v.byKey.put(string(k.Hash[:]), k)
	v.keysOf = within(v.keysOf, k.Org, k.ID, k, true)
}

func (v *View) dropKey(k *Key) {
	v.keys = v.keys.delete(k.ID)
	v.byKey = v.byKey.delete(string(k.Hash[:]))
	v.keysOf = within(v.keysOf, k.Org, k.ID, k, false)
}

func (v *View) setSession(s *Session) {
	v.sessions = v.sessions.put(s.ID, s)
	v.byCookie = v.byCookie.put(s.Hash, s)
	v.sessionsOf = within(v.sessionsOf, s.User, s.ID, s, true)
}

func (v *View) dropSession(s *Session) {
	v.sessions = v.sessions.delete(s.ID)
	v.byCookie = v.byCookie.delete(s.Hash)
	v.sessionsOf = within(v.sessionsOf, s.User, s.ID, s, false)
}
