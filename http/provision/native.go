package provision

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type propertiesBody struct {
	Properties []string `json:"properties"`
}

func (d *Door) writeProperties(ctx *fasthttp.RequestCtx, site *analytics.Site) error {
	door.WriteJSON(ctx, fasthttp.StatusOK, propertiesBody{append([]string{}, d.view().Properties(site.ID)...)})
	return nil
}

func (d *Door) properties(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, sees)
	if err != nil {
		return err
	}
	return d.writeProperties(ctx, site)
}

// setProperties replaces them all; it is also the way to remove one whose name
// does not fit into a path.
func (d *Door) setProperties(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	var in struct {
		Properties *[]string `json:"properties"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	if in.Properties == nil {
		return invalid("properties: must be a list")
	}
	if _, err := d.do(&accounts.ChangeProperties{Site: site.ID, Set: in.Properties}); err != nil {
		return err
	}
	return d.writeProperties(ctx, site)
}

func (d *Door) addProperty(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	property, _ := ctx.UserValue("property").(string)
	if _, err := d.do(&accounts.ChangeProperties{Site: site.ID, Add: []string{property}}); err != nil {
		return err
	}
	return d.writeProperties(ctx, site)
}

func (d *Door) removeProperty(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	property, _ := ctx.UserValue("property").(string)
	if _, err := d.do(&accounts.ChangeProperties{Site: site.ID, Remove: []string{property}}); err != nil {
		return err
	}
	return noContent(ctx)
}

type linkBody struct {
	ID      uint64 `json:"id"`
	Name    string `json:"name"`
	URL     string `json:"url"`
	Created string `json:"created"`

	Password bool    `json:"password"` // it has one
	Expires  *string `json:"expires"`
}

func (d *Door) linkOf(ctx *fasthttp.RequestCtx, site *analytics.Site, l *accounts.SharedLink) linkBody {
	out := linkBody{ID: l.ID, Name: l.Name, URL: d.linkURL(ctx, site, l), Created: instant(l.Created), Password: l.PasswordHash != ""}
	if l.Expires != 0 {
		out.Expires = new(instant(l.Expires))
	}
	return out
}

// sharedLinks shows what lets anybody read the site, so it is for those who
// manage it.
func (d *Door) sharedLinks(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	out := map[string][]linkBody{"shared_links": {}}
	for _, l := range d.view().SharedLinks(site.ID) {
		out["shared_links"] = append(out["shared_links"], d.linkOf(ctx, site, l))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// createSharedLink answers 201, or 200 with the link that has the name. Who asks
// for a password or an end does not get a link without.
func (d *Door) createSharedLink(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Expires  string `json:"expires"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	change := accounts.PutSharedLink{Site: site.ID, Name: in.Name}
	if in.Expires != "" {
		end, err := time.Parse(time.RFC3339, in.Expires)
		if err != nil || !end.After(d.cfg.Clock()) {
			return invalid("expires: must be a time to come, as 2026-01-02T15:04:05Z")
		}
		change.Expires = end.UnixMilli()
	}
	if in.Password != "" {
		if len(in.Password) > accounts.PasswordBytesMax {
			return invalid("password: longer than %d bytes", accounts.PasswordBytesMax)
		}
		limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
		defer cancel()
		if change.PasswordHash, err = d.cfg.Accounts.HashPassword(limit, in.Password); err != nil {
			return err
		}
	}
	out, err := d.newLink(change)
	if err != nil {
		return err
	}
	if out.Existed && (in.Password != "" || in.Expires != "") {
		return analytics.Errorf(analytics.Conflict, "name: the site has a shared link of this name")
	}
	door.WriteJSON(ctx, madeStatus(out), d.linkOf(ctx, site, out.Link))
	return nil
}

func (d *Door) removeSharedLink(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	id, ok := idOf(ctx)
	if !ok {
		return analytics.Errorf(analytics.NotFound, "shared link: there is no such shared link")
	}
	if _, err := d.do(&accounts.DeleteSharedLink{Site: site.ID, ID: id}); err != nil {
		return err
	}
	return noContent(ctx)
}
