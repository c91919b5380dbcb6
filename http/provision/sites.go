package provision

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type siteEntry struct {
	Domain   string `json:"domain"`
	Timezone string `json:"timezone"`
}

type trackerBody struct {
	ID              string  `json:"id"`
	Installation    *string `json:"installation_type"`
	NotFoundPages   bool    `json:"track_404_pages"`
	HashRouting     bool    `json:"hash_based_routing"`
	OutboundLinks   bool    `json:"outbound_links"`
	FileDownloads   bool    `json:"file_downloads"`
	Revenue         bool    `json:"revenue_tracking"`
	TaggedEvents    bool    `json:"tagged_events"`
	FormSubmissions bool    `json:"form_submissions"`
	PageProps       bool    `json:"pageview_props"`
}

type siteBody struct {
	siteEntry
	Properties []string    `json:"custom_properties"`
	Tracker    trackerBody `json:"tracker_script_configuration"`
}

func (d *Door) bodyOf(s *analytics.Site) siteBody {
	view := d.view()
	t := view.Tracker(s.ID)
	out := siteBody{
		siteEntry:  siteEntry{s.Domain, s.Timezone},
		Properties: append([]string{}, view.Properties(s.ID)...),
		Tracker: trackerBody{ID: accounts.TrackerID(s), NotFoundPages: t.NotFoundPages, HashRouting: t.HashRouting, OutboundLinks: t.OutboundLinks, FileDownloads: t.FileDownloads,
			Revenue: t.Revenue, TaggedEvents: t.TaggedEvents, FormSubmissions: t.FormSubmissions, PageProps: t.PageProps},
	}
	if t.Installation != "" {
		out.Tracker.Installation = &t.Installation
	}
	return out
}

// trackerChange reads tracker_script_configuration; nil if it is not there. The
// id may come back and changes nothing.
func (f fields) trackerChange() (*accounts.TrackerChange, error) {
	const name = "tracker_script_configuration"
	m, err := f.object(name)
	if m == nil || err != nil {
		return nil, err
	}
	var c accounts.TrackerChange
	flags := map[string]**bool{
		"track_404_pages": &c.NotFoundPages, "hash_based_routing": &c.HashRouting, "outbound_links": &c.OutboundLinks, "file_downloads": &c.FileDownloads,
		"revenue_tracking": &c.Revenue, "tagged_events": &c.TaggedEvents, "form_submissions": &c.FormSubmissions, "pageview_props": &c.PageProps,
	}
	for key, v := range m {
		text, plain := textOf(v)
		flag, known := flags[key]
		switch {
		case key == "id":
		case key == "installation_type":
			if !plain || text != "" && !slices.Contains(accounts.Installations(), text) {
				return nil, invalid("%s: installation_type must be manual, wordpress, gtm or npm", name)
			}
			c.Installation = &text
		case !known:
			return nil, invalid("%s: %.60q is not a setting", name, key)
		default:
			on, err := strconv.ParseBool(text)
			if !plain || err != nil {
				return nil, invalid("%s: %s must be true or false", name, key)
			}
			*flag = &on
		}
	}
	return &c, nil
}

// mayList tells whether who may list sites at all. A key that writes events
// only has no business to.
func mayList(who accounts.Identity) bool {
	return who.Operator || who.User != 0 || slices.Contains(who.Scopes, accounts.StatsRead) || slices.Contains(who.Scopes, accounts.SitesProvision)
}

// sitesOf lists the sites where who belongs, of one organisation if org is not
// 0. At most limit+1 of them are ever looked at, and what one person is a guest
// of.
func (d *Door) sitesOf(who accounts.Identity, org uint64, limit int) list[*analytics.Site] {
	view := d.view()
	var extra []*analytics.Site // from elsewhere than their own organisation, or all of a key of one site
	own := who.Org
	switch {
	case who.Operator:
		own = org
	case who.KeySite != 0:
		own = 0
		if s, ok := view.SiteByID(who.KeySite); ok && who.Belongs(s) && (org == 0 || org == s.Org) {
			extra = append(extra, s)
		}
	case org != 0 && org != own:
		own = 0
	}
	if !who.Operator {
		for _, g := range who.Guest {
			if s, ok := view.SiteByID(g.Site); ok && s.Org != who.Org && (org == 0 || org == s.Org) {
				extra = append(extra, s)
			}
		}
	}
	guest := listed(extra, siteID)
	all := who.Operator && org == 0
	return list[*analytics.Site]{id: siteID,
		below: func(x uint64) iter.Seq[*analytics.Site] {
			seq := view.SitesOfBefore(own, analytics.SiteID(x))
			if all {
				seq = view.SitesBefore(analytics.SiteID(x))
			}
			return joined(seq, guest.below(x), limit+1, -1)
		},
		above: func(x uint64) iter.Seq[*analytics.Site] {
			seq := view.SitesOf(own, analytics.SiteID(x))
			if all {
				seq = view.Sites(analytics.SiteID(x))
			}
			return joined(seq, guest.above(x), limit+1, 1)
		},
	}
}

func siteID(s *analytics.Site) uint64 { return uint64(s.ID) }

// joined gives the first n of both sequences together, by id times direction.
func joined(a, b iter.Seq[*analytics.Site], n, direction int) iter.Seq[*analytics.Site] {
	both, _ := take(a, n)
	more, _ := take(b, n)
	both = append(both, more...)
	slices.SortFunc(both, func(x, y *analytics.Site) int { return direction * cmp.Compare(x.ID, y.ID) })
	return slices.Values(both)
}

func (d *Door) listSites(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !mayList(who) {
		return analytics.Errorf(analytics.Forbidden, textMayNotList)
	}
	f, err := readFields(ctx, who)
	if err != nil {
		return err
	}
	p, err := f.page()
	if err != nil {
		return err
	}
	team, err := f.text("team_id")
	if err != nil {
		return err
	}
	out := struct {
		Sites []siteEntry `json:"sites"`
		Meta  meta        `json:"meta"`
	}{Sites: []siteEntry{}, Meta: meta{Limit: p.limit}}
	if org, ok := teamNumber(team); ok { // a team that cannot be has no sites
		var sites []*analytics.Site
		sites, out.Meta = cut(d.sitesOf(who, org, p.limit), p)
		for _, s := range sites {
			out.Sites = append(out.Sites, siteEntry{s.Domain, s.Timezone})
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// teamNumber reads a team_id; "" is 0.
func teamNumber(text string) (org uint64, ok bool) {
	if text == "" {
		return 0, true
	}
	org, err := strconv.ParseUint(text, 10, 64)
	return org, err == nil && org != 0
}

type teamBody struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Available bool   `json:"api_available"`
}

// listTeams lists organisations, which are the teams of the dialect.
func (d *Door) listTeams(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !mayList(who) {
		return analytics.Errorf(analytics.Forbidden, textMayNotList)
	}
	f, err := readFields(ctx, who)
	if err != nil {
		return err
	}
	p, err := f.page()
	if err != nil {
		return err
	}
	var orgs []*accounts.Org
	view := d.view()
	if who.Operator {
		orgs = slices.Collect(view.Orgs())
	} else if o, ok := view.Org(who.Org); ok {
		orgs = append(orgs, o)
	}
	out := struct {
		Teams []teamBody `json:"teams"`
		Meta  meta       `json:"meta"`
	}{Teams: []teamBody{}}
	orgs, out.Meta = cut(listed(orgs, func(o *accounts.Org) uint64 { return o.ID }), p)
	for _, o := range orgs {
		out.Teams = append(out.Teams, teamBody{strconv.FormatUint(o.ID, 10), o.Name, true})
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// teamOf gives the organisation that a new site is for.
func (d *Door) teamOf(who accounts.Identity, text string) (uint64, error) {
	org, ok := teamNumber(text)
	view := d.view()
	if who.Operator && org == 0 && ok {
		orgs, more := take(view.Orgs(), 1)
		switch {
		case more:
			return 0, invalid(textWhichTeam)
		case len(orgs) == 1:
			return orgs[0].ID, nil
		}
		return 0, nil // the change makes the first one
	}
	if org == 0 && ok {
		org = who.Org
	}
	if _, there := view.Org(org); !ok || !there || !who.MayProvision(org) {
		return 0, analytics.Errorf(analytics.Forbidden, textForeignTeam)
	}
	return org, nil
}

const statusPaymentRequired = 402

func (d *Door) createSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayProvision(who.Org) {
		return analytics.Errorf(analytics.Forbidden, textNoRights)
	}
	f, err := readFields(ctx, who)
	if err != nil {
		return err
	}
	team, err := f.text("team_id")
	if err != nil {
		return err
	}
	org, err := d.teamOf(who, team)
	if err != nil {
		return err
	}
	if d.cfg.SitesMax > 0 && d.view().SitesOfCount(org) >= d.cfg.SitesMax {
		door.WriteJSON(ctx, statusPaymentRequired, map[string]string{
			"error": fmt.Sprintf("Your account has reached the limit of %d sites. Please contact the operator of this server to add more.", d.cfg.SitesMax)})
		return nil
	}
	change, err := d.newSite(f)
	if err != nil {
		return err
	}
	change.Org = org
	out, err := d.do(change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, d.bodyOf(out.Site))
	return nil
}

// newSite fills a change that makes a site.
func (d *Door) newSite(f fields) (*accounts.CreateSite, error) {
	domain, err := f.text("domain")
	if err != nil {
		return nil, err
	}
	timezone, err := f.text("timezone")
	if err != nil {
		return nil, err
	}
	if domain, err = asciiDomain(domain); err != nil {
		return nil, err
	}
	if timezone == "" {
		timezone = "Etc/UTC"
	}
	if err := accounts.KnownTimezone(timezone); err != nil {
		return nil, err
	}
	tracker, err := f.trackerChange()
	if err != nil {
		return nil, err
	}
	secret, err := d.cfg.Accounts.SiteSecret()
	if err != nil {
		return nil, err
	}
	return &accounts.CreateSite{Domain: domain, Timezone: timezone, Secret: secret, Tracker: tracker}, nil
}

func (d *Door) getSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.siteInPath(ctx, who, belongs)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, d.bodyOf(site))
	return nil
}

func (d *Door) updateSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.siteInPath(ctx, who, manages)
	if err != nil {
		return err
	}
	f, err := readFields(ctx, who)
	if err != nil {
		return err
	}
	change := &accounts.UpdateSite{ID: site.ID}
	if _, ok := f["domain"]; ok {
		domain, err := f.text("domain")
		if err != nil {
			return err
		}
		if domain, err = asciiDomain(domain); err != nil {
			return err
		}
		change.Domain = &domain
	}
	if change.Tracker, err = f.trackerChange(); err != nil {
		return err
	}
	if change.Domain == nil && change.Tracker == nil {
		return invalid("Payload must contain at least one of the parameters 'domain', 'tracker_script_configuration'")
	}
	out, err := d.do(change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, d.bodyOf(out.Site))
	return nil
}

func (d *Door) deleteSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.siteInPath(ctx, who, provisions)
	if err != nil {
		return err
	}
	if _, err := d.do(&accounts.DeleteSite{ID: site.ID}); err != nil {
		return err
	}
	return deleted(ctx)
}
