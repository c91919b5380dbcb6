package merchant

import (
	"fmt"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type preferencesBody struct {
	Pinned    []string    `json:"pinned"` // domains
	Groups    []groupBody `json:"groups"`
	Theme     string      `json:"theme"`
	Language  string      `json:"language"`
	WeekStart string      `json:"week_start"`
}

type groupBody struct {
	Name  string   `json:"name"`
	Sites []string `json:"sites"` // domains
}

const themeSystem = "system"

// preferencesOf shows preferences with the sites that who may see.
func (h *Handler) preferencesOf(p *accounts.Preferences, who accounts.Identity) preferencesBody {
	out := preferencesBody{Pinned: h.domainsOf(p.Pinned, who), Groups: []groupBody{}, Theme: p.Theme, Language: p.Language, WeekStart: p.WeekStart}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, groupBody{Name: g.Name, Sites: h.domainsOf(g.Sites, who)})
	}
	if out.Theme == "" {
		out.Theme = themeSystem
	}
	return out
}

func (h *Handler) domainsOf(list []analytics.SiteID, who accounts.Identity) []string {
	out := []string{}
	view := h.view()
	for _, id := range list {
		if site, ok := view.SiteByID(id); ok && see(who, site) {
			out = append(out, site.Domain)
		}
	}
	return out
}

// sitesNamed finds sites by their domains. Those that who may not see, or that
// are gone, are left out, so that a site that somebody else removes does not
// keep everybody from saving preferences.
func (h *Handler) sitesNamed(field string, domains []string, most int, who accounts.Identity) ([]analytics.SiteID, error) {
	if len(domains) > most {
		return nil, analytics.Errorf(analytics.Invalid, "%s: more than %d", field, most)
	}
	var out []analytics.SiteID
	for i, text := range domains {
		ascii, err := asciiDomain(text)
		if err == nil {
			_, err = accounts.NormalizeDomain(ascii)
		}
		if err != nil {
			return nil, analytics.Errorf(analytics.Invalid, "%s[%d]: %w", field, i, err)
		}
		if site, ok := h.siteNamed(text); ok && see(who, site) {
			out = append(out, site.ID)
		}
	}
	return out, nil
}

func (h *Handler) preferences(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	door.WriteJSON(ctx, fasthttp.StatusOK, h.preferencesOf(h.view().Preferences(who.User), who))
	return nil
}

// putPreferences replaces all of them and answers what is kept.
func (h *Handler) putPreferences(ctx *fasthttp.RequestCtx, who accounts.Identity) (err error) {
	var in preferencesBody
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	p := accounts.Preferences{User: who.User, Theme: in.Theme, Language: in.Language, WeekStart: in.WeekStart}
	if p.Pinned, err = h.sitesNamed("pinned", in.Pinned, accounts.PinnedMax, who); err != nil {
		return err
	}
	if len(in.Groups) > accounts.GroupsMax {
		return analytics.Errorf(analytics.Invalid, "groups: more than %d", accounts.GroupsMax)
	}
	for i, g := range in.Groups {
		sites, err := h.sitesNamed(fmt.Sprintf("groups[%d].sites", i), g.Sites, accounts.GroupSitesMax, who)
		if err != nil {
			return err
		}
		p.Groups = append(p.Groups, accounts.SiteGroup{Name: g.Name, Sites: sites})
	}
	out, err := h.do(&accounts.PutPreferences{Preferences: p})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.preferencesOf(out.Preferences, who))
	return nil
}
