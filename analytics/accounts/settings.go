package accounts

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"footfall/analytics"
)

// Tracker is what the script of a site is to do by itself.
type Tracker struct {
	Installation    string `json:"installation_type,omitempty"` // one of Installations; "" is not known
	NotFoundPages   bool   `json:"track_404_pages,omitempty"`
	HashRouting     bool   `json:"hash_based_routing,omitempty"`
	OutboundLinks   bool   `json:"outbound_links,omitempty"`
	FileDownloads   bool   `json:"file_downloads,omitempty"`
	Revenue         bool   `json:"revenue_tracking,omitempty"`
	TaggedEvents    bool   `json:"tagged_events,omitempty"`
	FormSubmissions bool   `json:"form_submissions,omitempty"`
	PageProps       bool   `json:"pageview_props,omitempty"`
}

// Installations lists the ways in which a script can be put on a page.
func Installations() []string { return []string{"manual", "wordpress", "gtm", "npm"} }

// settings are what a site has that counting does not need. Immutable.
type settings struct {
	Site       analytics.SiteID `json:"site"`
	Properties []string         `json:"properties,omitempty"` // in the order in which they were added
	Tracker    Tracker          `json:"tracker"`
}

// ChangeProperties changes which custom properties a site shows: Set replaces
// them, then Add and Remove act on what is there. What is there already, or not
// there, is no error.
type ChangeProperties struct {
	Site   analytics.SiteID `json:"site"`
	Set    *[]string        `json:"set,omitempty"`
	Add    []string         `json:"add,omitempty"`
	Remove []string         `json:"remove,omitempty"`
}

func (c *ChangeProperties) kind() kind { return kindChangeProperties }

func (c *ChangeProperties) Check() (err error) {
	if c.Set != nil {
		set, err := cleanProperties("properties", *c.Set)
		if err != nil {
			return err
		}
		c.Set = &set
	}
	if c.Add, err = cleanProperties("property", c.Add); err != nil {
		return err
	}
	c.Remove, err = cleanProperties("property", c.Remove)
	return err
}

func cleanProperties(field string, list []string) ([]string, error) {
	out := make([]string, 0, min(len(list), analytics.PropertiesMax))
	seen := map[string]bool{}
	for _, s := range list {
		key, err := propertyKey(field, s)
		if err != nil {
			return nil, err
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		if out = append(out, key); len(out) > analytics.PropertiesMax {
			return nil, invalid("%s: more than %d", field, analytics.PropertiesMax)
		}
	}
	return out, nil
}

// TrackerChange changes of a site's tracker configuration what is not nil. An
// empty Installation forgets it.
type TrackerChange struct {
	Installation    *string `json:"installation_type,omitempty"`
	NotFoundPages   *bool   `json:"track_404_pages,omitempty"`
	HashRouting     *bool   `json:"hash_based_routing,omitempty"`
	OutboundLinks   *bool   `json:"outbound_links,omitempty"`
	FileDownloads   *bool   `json:"file_downloads,omitempty"`
	Revenue         *bool   `json:"revenue_tracking,omitempty"`
	TaggedEvents    *bool   `json:"tagged_events,omitempty"`
	FormSubmissions *bool   `json:"form_submissions,omitempty"`
	PageProps       *bool   `json:"pageview_props,omitempty"`
}

func (c *TrackerChange) check() error {
	if c != nil && c.Installation != nil && *c.Installation != "" && !slices.Contains(Installations(), *c.Installation) {
		return invalid("installation_type: must be manual, wordpress, gtm or npm")
	}
	return nil
}

func (s *State) settingsOf(site analytics.SiteID) settings {
	if old, ok := s.view.settings.get(uint64(site)); ok {
		return *old
	}
	return settings{Site: site}
}

// putSettings publishes x; what says nothing is not kept.
func (s *State) putSettings(x settings) {
	if len(x.Properties) == 0 && x.Tracker == (Tracker{}) {
		s.view.settings = s.view.settings.delete(uint64(x.Site))
	} else {
		s.view.settings = s.view.settings.put(uint64(x.Site), &x)
	}
	s.mark(RefSettings, uint64(x.Site))
}

func (c *ChangeProperties) apply(s *State, _ int64) Result {
	site, ok := s.view.SiteByID(c.Site)
	if !ok {
		return refused(analytics.NotFound, "site: there is no such site")
	}
	x := s.settingsOf(c.Site)
	list := slices.Clone(x.Properties)
	if c.Set != nil {
		list = slices.Clone(*c.Set)
	}
	for _, p := range c.Add {
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	list = slices.DeleteFunc(list, func(p string) bool { return slices.Contains(c.Remove, p) })
	if len(list) > analytics.PropertiesMax {
		return refused(analytics.TooLarge, "properties: a site has at most %d", analytics.PropertiesMax)
	}
	if len(list) == 0 {
		list = nil
	}
	existed := slices.Equal(list, x.Properties)
	if !existed {
		x.Properties = list
		s.putSettings(x)
	}
	return Result{Site: site, Existed: existed}
}

// changeTracker applies c to a site that is there; nil changes nothing.
func (s *State) changeTracker(site analytics.SiteID, c *TrackerChange) {
	if c == nil {
		return
	}
	x := s.settingsOf(site)
	old := x.Tracker
	if c.Installation != nil {
		x.Tracker.Installation = *c.Installation
	}
	for _, f := range []struct {
		to   *bool
		from *bool
	}{
		{&x.Tracker.NotFoundPages, c.NotFoundPages}, {&x.Tracker.HashRouting, c.HashRouting}, {&x.Tracker.OutboundLinks, c.OutboundLinks},
		{&x.Tracker.FileDownloads, c.FileDownloads}, {&x.Tracker.Revenue, c.Revenue}, {&x.Tracker.TaggedEvents, c.TaggedEvents},
		{&x.Tracker.FormSubmissions, c.FormSubmissions}, {&x.Tracker.PageProps, c.PageProps},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if x.Tracker != old {
		s.putSettings(x)
	}
}

// Properties gives the custom properties that a site shows, in the order in
// which they were added. Empty means that none were chosen. The slice must not
// be written to.
func (v *View) Properties(site analytics.SiteID) []string {
	if x, ok := v.settings.get(uint64(site)); ok {
		return x.Properties
	}
	return nil
}

// Tracker gives what the script of a site is to do.
func (v *View) Tracker(site analytics.SiteID) Tracker {
	if x, ok := v.settings.get(uint64(site)); ok {
		return x.Tracker
	}
	return Tracker{}
}

// TrackerID names the script of a site: "pa-" and 20 characters of base64url.
// It stays the same whatever happens to the site, and tells nothing of its
// secret.
func TrackerID(site *analytics.Site) string {
	sum := sha256.Sum256(append([]byte("tracker script\x00"), site.Secret[:]...))
	return "pa-" + base64.RawURLEncoding.EncodeToString(sum[:15])
}
