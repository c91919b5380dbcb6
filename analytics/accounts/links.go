package accounts

import (
	"encoding/base64"

	"footfall/analytics"
)

// Bounds of a slug's text: at least 128 bits.
const (
	slugCharsMin = 22
	slugCharsMax = 64
)

// SharedLink lets everybody who has it read a site. Immutable.
type SharedLink struct {
	ID      uint64           `json:"id"`
	Site    analytics.SiteID `json:"site"`
	Name    string           `json:"name"` // unique within the site
	Slug    string           `json:"slug"` // random base64url: who knows it may read
	Created int64            `json:"created"`

	PasswordHash string `json:"password_hash,omitempty"` // "" for none
	Expires      int64  `json:"expires,omitempty"`       // Unix ms; 0 for never
}

// Alive tells whether the link still opens its site at now, Unix ms.
func (l *SharedLink) Alive(now int64) bool { return l.Expires == 0 || now < l.Expires }

// Opened is a shared link that a browser has opened, with its password if it has
// one.
type Opened struct {
	Link  *SharedLink
	Until int64 // Unix ms
}

func (id Identity) opened(site *analytics.Site) bool {
	for _, o := range id.Opened {
		if o.Link.Site == site.ID {
			return true
		}
	}
	return false
}

// StillOpen gives those of a browser's links that are as they were and alive at
// now, Unix ms.
func (v *View) StillOpen(opened []Opened, now int64) (out []Opened) {
	for _, o := range opened {
		if l, ok := v.links.get(o.Link.ID); ok && now < o.Until && l.Alive(now) && l.Slug == o.Link.Slug && l.PasswordHash == o.Link.PasswordHash {
			out = append(out, Opened{Link: l, Until: o.Until})
		}
	}
	return out
}

// SharedLink finds a shared link.
func (v *View) SharedLink(id uint64) (*SharedLink, bool) { return v.links.get(id) }

// PutSharedLink makes a shared link of a site, or finds the one of that name:
// then Existed is set, and Slug was made in vain.
type PutSharedLink struct {
	Site analytics.SiteID `json:"site"`
	Name string           `json:"name"`
	Slug string           `json:"slug"`

	PasswordHash string `json:"password_hash,omitempty"`
	Expires      int64  `json:"expires,omitempty"` // Unix ms
}

func (c *PutSharedLink) kind() kind { return kindPutSharedLink }

func (c *PutSharedLink) Check() (err error) {
	if c.Name, err = displayName("name", c.Name); err != nil {
		return err
	}
	if c.PasswordHash != "" {
		if err := checkPasswordHash(c.PasswordHash); err != nil {
			return err
		}
	}
	if c.Expires < 0 {
		return invalid("expires: must be after 1970")
	}
	_, err = base64.RawURLEncoding.DecodeString(c.Slug)
	if err != nil || len(c.Slug) < slugCharsMin || len(c.Slug) > slugCharsMax {
		return invalid("slug: must be 128 random bits or more in base64url")
	}
	return nil
}

// DeleteSharedLink removes a shared link of a site.
type DeleteSharedLink struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
}

func (c *DeleteSharedLink) kind() kind   { return kindDeleteSharedLink }
func (c *DeleteSharedLink) Check() error { return nil }

func (c *PutSharedLink) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	of, _ := s.view.linksOf.get(uint64(c.Site))
	for _, l := range of.from(0) {
		if l.Name == c.Name {
			return Result{Link: l, Existed: true}
		}
	}
	if of.size >= analytics.SharedLinksMax {
		return refused(analytics.TooLarge, "shared links: a site has at most %d", analytics.SharedLinksMax)
	}
	if _, taken := s.view.SharedLinkBySlug(c.Slug); taken {
		return refused(analytics.Conflict, "slug: exists already")
	}
	s.view.next.Link++
	l := &SharedLink{ID: s.view.next.Link, Site: c.Site, Name: c.Name, Slug: c.Slug, Created: at, PasswordHash: c.PasswordHash, Expires: c.Expires}
	s.view.setLink(l)
	s.mark(RefSharedLink, l.ID)
	return Result{Link: l}
}

func (c *DeleteSharedLink) apply(s *State, _ int64) Result {
	l, ok := s.view.links.get(c.ID)
	if !ok || l.Site != c.Site {
		return refused(analytics.NotFound, "shared link: there is no shared link %d", c.ID)
	}
	s.dropLink(l)
	return Result{Link: l}
}

func (s *State) dropLink(l *SharedLink) {
	s.view.links = s.view.links.delete(l.ID)
	s.view.linksOf = within(s.view.linksOf, uint64(l.Site), l.ID, l, false)
	s.view.bySlug = s.view.bySlug.delete(l.Slug)
	s.mark(RefSharedLink, l.ID)
}

func (v *View) setLink(l *SharedLink) {
	v.links = v.links.put(l.ID, l)
	v.linksOf = within(v.linksOf, uint64(l.Site), l.ID, l, true)
	v.bySlug = v.bySlug.put(l.Slug, l)
}

// SharedLinks gives the shared links of a site in order of ids. The slice is
// the caller's, what it points to is not.
func (v *View) SharedLinks(site analytics.SiteID) []*SharedLink {
	of, _ := v.linksOf.get(uint64(site))
	return of.list()
}

// SharedLinkBySlug finds a shared link of any site; false for an unknown slug.
func (v *View) SharedLinkBySlug(slug string) (*SharedLink, bool) {
	if len(slug) < slugCharsMin || len(slug) > slugCharsMax {
		return nil, false
	}
	return v.bySlug.get([]byte(slug))
}
