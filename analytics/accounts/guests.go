package accounts

import (
	"cmp"
	"slices"

	"footfall/analytics"
)

// GuestsMax is how many guests a site may have, invited ones included.
const GuestsMax = 100

// Guest is somebody who was asked in to one site. An invitation is accepted as
// soon as there is a user with its address, and ends with that user. Immutable.
type Guest struct {
	ID      uint64           `json:"id"`
	Site    analytics.SiteID `json:"site"`
	Email   string           `json:"email"`            // as NormalizeEmail gives it; unique within the site
	Editor  bool             `json:"editor,omitempty"` // may change the site's settings, not only read
	User    uint64           `json:"user,omitempty"`   // 0: invited only
	Created int64            `json:"created"`
}

// PutGuest invites somebody to a site, or changes what a guest may do. Existed
// is set when both were so already.
type PutGuest struct {
	Site   analytics.SiteID `json:"site"`
	Email  string           `json:"email"`
	Editor bool             `json:"editor,omitempty"`
}

func (c *PutGuest) kind() kind { return kindPutGuest }

func (c *PutGuest) Check() (err error) {
	c.Email, err = NormalizeEmail(c.Email)
	return err
}

// RemoveGuest takes back an invitation, or what a guest may do on a site.
type RemoveGuest struct {
	Site  analytics.SiteID `json:"site"`
	Email string           `json:"email"`
}

func (c *RemoveGuest) kind() kind { return kindRemoveGuest }

func (c *RemoveGuest) Check() (err error) {
	c.Email, err = NormalizeEmail(c.Email)
	return err
}

func (s *State) guestNamed(site analytics.SiteID, email string) (g *Guest, size int) {
	of, _ := s.view.guestsOf.get(uint64(site))
	for _, x := range of.from(0) {
		if x.Email == email {
			g = x
		}
	}
	return g, of.size
}

func (c *PutGuest) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	old, size := s.guestNamed(c.Site, c.Email)
	if old != nil {
		if old.Editor == c.Editor {
			return Result{Guest: old, Existed: true}
		}
		g := *old
		g.Editor = c.Editor
		s.setGuest(&g)
		return Result{Guest: &g}
	}
	if size >= GuestsMax {
		return refused(analytics.TooLarge, "guests: a site has at most %d", GuestsMax)
	}
	s.view.next.Guest++
	g := &Guest{ID: s.view.next.Guest, Site: c.Site, Email: c.Email, Editor: c.Editor, Created: at}
	if u, ok := s.view.UserByEmail(c.Email); ok {
		g.User = u.ID
	}
	s.setGuest(g)
	return Result{Guest: g}
}

func (c *RemoveGuest) apply(s *State, _ int64) Result {
	g, _ := s.guestNamed(c.Site, c.Email)
	if g == nil {
		return refused(analytics.NotFound, "email: %s is no guest of this site", c.Email)
	}
	s.dropGuest(g)
	return Result{Guest: g}
}

// acceptInvitations makes a new user the guest that they were invited to be.
func (s *State) acceptInvitations(u *User) {
	invited, _ := s.view.invited.get([]byte(u.Email))
	for _, old := range invited.from(0) {
		g := *old
		g.User = u.ID
		s.setGuest(&g)
	}
}

// endVisits removes what a user has as a guest and as an owner of segments.
func (s *State) endVisits(user uint64) {
	for _, g := range s.view.GuestOf(user) {
		s.dropGuest(g)
	}
	own, _ := s.view.personalOf.get(user)
	for _, x := range own.from(0) {
		s.dropSegment(x)
	}
}

func (s *State) setGuest(g *Guest) {
	s.view.setGuest(g)
	s.mark(RefGuest, g.ID)
}

func (s *State) dropGuest(g *Guest) {
	s.view.dropGuest(g)
	s.mark(RefGuest, g.ID)
}

func (v *View) setGuest(g *Guest) {
	if old, ok := v.guests.get(g.ID); ok {
		v.dropGuest(old)
	}
	v.guests = v.guests.put(g.ID, g)
	v.guestsOf = within(v.guestsOf, uint64(g.Site), g.ID, g, true)
	if g.User == 0 {
		invited, _ := v.invited.get([]byte(g.Email))
		v.invited = v.invited.put(g.Email, invited.put(g.ID, g))
		return
	}
	old, _ := v.guestOf.get(g.User)
	at, _ := guestAt(old, g.Site)
	v.guestOf = v.guestOf.put(g.User, slices.Insert(slices.Clone(old), at, g))
}

func (v *View) dropGuest(g *Guest) {
	v.guests = v.guests.delete(g.ID)
	v.guestsOf = within(v.guestsOf, uint64(g.Site), g.ID, g, false)
	if g.User == 0 {
		invited, _ := v.invited.get([]byte(g.Email))
		if invited = invited.delete(g.ID); invited.size == 0 {
			v.invited = v.invited.delete(g.Email)
		} else {
			v.invited = v.invited.put(g.Email, invited)
		}
		return
	}
	old, _ := v.guestOf.get(g.User)
	at, found := guestAt(old, g.Site)
	switch {
	case !found:
	case len(old) == 1:
		v.guestOf = v.guestOf.delete(g.User)
	default:
		v.guestOf = v.guestOf.put(g.User, slices.Delete(slices.Clone(old), at, at+1))
	}
}

// guestAt finds the guest of a site in a list in order of sites.
func guestAt(list []*Guest, site analytics.SiteID) (at int, found bool) {
	return slices.BinarySearchFunc(list, site, func(g *Guest, id analytics.SiteID) int { return cmp.Compare(g.Site, id) })
}

// Guests gives the guests of a site, invited ones included, in order of ids.
// The slice is the caller's, what it points to is not.
func (v *View) Guests(site analytics.SiteID) []*Guest {
	of, _ := v.guestsOf.get(uint64(site))
	return of.list()
}

// GuestOf gives where a user is a guest, in order of sites, for Identity.Guest.
// It allocates nothing; the slice must not be written to.
func (v *View) GuestOf(user uint64) []*Guest {
	list, _ := v.guestOf.get(user)
	return list
}
