// Package accounts is who may see and do what, and what a site has set up:
// organisations, users, sites with their goals, segments, shared links and
// guests, keys and sessions, as a pure state machine that the control group
// replicates. No I/O, no clock, no randomness: ids, secrets and times come in
// with the commands. Start at State.Apply.
package accounts

import "footfall/analytics"

// Role is what a user may do in an organisation. Higher includes lower.
type Role uint8

const (
	NoRole Role = iota
	Viewer      // reads every site of the organisation
	Admin       // also manages sites and their settings
	Owner       // also manages users and keys
)

// Scope is what a key may do.
type Scope string

const (
	StatsRead      Scope = "stats:read"
	EventsWrite    Scope = "events:write"
	SitesProvision Scope = "sites:provision"
)

// Identity is who is asking, as authentication found it. The zero value is
// anonymous. It is a value and never outlives the request.
type Identity struct {
	Operator bool   // holder of the node's token file: may do everything
	User     uint64 // 0: not a signed-in user
	Role     Role   // of User in Org
	Org      uint64 // of the user or the key
	Key      uint64 // 0: not a key
	Scopes   []Scope
	KeySite  analytics.SiteID // 0: every site of Org
	Session  string           // hash of the session id (32 bytes), for sign-out
	Guest    []*Guest         // where User is a guest, as View.GuestOf gives it
	Opened   []Opened         // shared links that the browser has opened; they make nobody known
	Refused  bool             // a bearer token was sent that nobody knows; everything else is zero
}

// Anonymous tells whether nobody was recognised.
func (id Identity) Anonymous() bool { return !id.Operator && id.User == 0 && id.Key == 0 }

func (id Identity) has(s Scope) bool {
	for _, x := range id.Scopes {
		if x == s {
			return true
		}
	}
	return false
}

func (id Identity) keyCovers(site *analytics.Site) bool {
	return id.Key != 0 && id.Org == site.Org && (id.KeySite == 0 || id.KeySite == site.ID)
}

// guest finds what the user was asked in to a site for.
func (id Identity) guest(site *analytics.Site) (editor, ok bool) {
	if id.User == 0 || len(id.Guest) == 0 {
		return false, false
	}
	at, ok := guestAt(id.Guest, site.ID)
	return ok && id.Guest[at].Editor, ok
}

// Belongs tells whether the caller has to do with site by a right of their own
// to read or manage it, not only because everybody may read it.
func (id Identity) Belongs(site *analytics.Site) bool {
	_, guest := id.guest(site)
	return id.Operator || guest ||
		id.User != 0 && id.Org == site.Org && id.Role >= Viewer ||
		id.keyCovers(site) && (id.has(StatsRead) || id.has(SitesProvision))
}

// MayRead tells whether the numbers of site may be shown.
func (id Identity) MayRead(site *analytics.Site) bool {
	_, guest := id.guest(site)
	return id.Operator || site.Public || guest || id.opened(site) ||
		id.User != 0 && id.Org == site.Org && id.Role >= Viewer ||
		id.keyCovers(site) && id.has(StatsRead)
}

// MayWriteEvents tells whether events may be sent with given times and fields.
func (id Identity) MayWriteEvents(site *analytics.Site) bool {
	return id.Operator || id.keyCovers(site) && id.has(EventsWrite)
}

// MayManage tells whether site's settings may be changed.
func (id Identity) MayManage(site *analytics.Site) bool {
	editor, _ := id.guest(site)
	return id.Operator || editor ||
		id.User != 0 && id.Org == site.Org && id.Role >= Admin ||
		id.keyCovers(site) && id.has(SitesProvision)
}

// MayAnnotate tells whether remarks may be put on site's days: by its members,
// who are the users of its organisation, and by whoever may manage it.
func (id Identity) MayAnnotate(site *analytics.Site) bool {
	return id.MayManage(site) || id.User != 0 && id.Org == site.Org && id.Role >= Viewer
}

// MayProvision tells whether sites may be made, listed for managing and removed
// in org, and guests asked in to them: what guests themselves may not.
func (id Identity) MayProvision(org uint64) bool {
	return id.Operator ||
		id.User != 0 && id.Org == org && id.Role >= Admin ||
		id.Key != 0 && id.Org == org && id.KeySite == 0 && id.has(SitesProvision)
}

// MayManageOrg tells whether users and keys of org may be managed.
func (id Identity) MayManageOrg(org uint64) bool {
	return id.Operator || id.User != 0 && id.Org == org && id.Role >= Owner
}
