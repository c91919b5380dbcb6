package merchant

import (
	"slices"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

func errOperatorOnly() error {
	return analytics.Errorf(analytics.Forbidden, "authorization: this is for the operator of the node")
}

type orgBody struct {
	ID      uint64 `json:"id"`
	Name    string `json:"name"`
	Created string `json:"created"`
}

func (h *Handler) listOrgs(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.Operator {
		return errOperatorOnly()
	}
	out := []orgBody{}
	for o := range h.view().Orgs() {
		out = append(out, orgBody{o.ID, o.Name, instant(o.Created)})
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]orgBody{"orgs": out})
	return nil
}

func (h *Handler) createOrg(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.Operator {
		return errOperatorOnly()
	}
	var in struct {
		Name string `json:"name"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := h.do(&accounts.CreateOrg{Name: in.Name})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, orgBody{out.Org.ID, out.Org.Name, instant(out.Org.Created)})
	return nil
}

func (h *Handler) listUsers(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayManageOrg(who.Org) {
		return errOwnersOnly()
	}
	org, all, err := listOrg(ctx, who)
	if err != nil {
		return err
	}
	out := []userBody{}
	view := h.view()
	for o := range view.Orgs() {
		if !all && o.ID != org {
			continue
		}
		for u := range view.UsersOf(o.ID) {
			out = append(out, userOf(u))
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]userBody{"users": out})
	return nil
}

func (h *Handler) createUser(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayManageOrg(who.Org) {
		return errOwnersOnly()
	}
	var in struct {
		Email    string  `json:"email"`
		Name     string  `json:"name"`
		Password string  `json:"password"`
		Role     string  `json:"role"`
		Org      *uint64 `json:"org"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	org, err := orgOf(who, in.Org)
	if err != nil {
		return err
	}
	change, err := h.newUser(in.Email, in.Name, in.Password)
	if err != nil {
		return err
	}
	change.Org = org
	if change.Role, err = accounts.ParseRole(in.Role); err != nil {
		return err
	}
	if err := change.Check(); err != nil {
		return err
	}
	if _, taken := h.view().UserByEmail(change.Email); taken { // before a hash is spent on it
		return analytics.Errorf(analytics.Conflict, "email: %s has an account already", change.Email)
	}
	if change.PasswordHash, err = h.hashed(in.Password); err != nil {
		return err
	}
	out, err := h.do(&change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, sessionBody{userOf(out.User)})
	return nil
}

// managedUser finds the user that the path names for those who manage them.
func (h *Handler) managedUser(ctx *fasthttp.RequestCtx, who accounts.Identity) (*accounts.User, error) {
	if !who.MayManageOrg(who.Org) {
		return nil, errOwnersOnly()
	}
	id, err := idParam(ctx, "user")
	if err != nil {
		return nil, err
	}
	user, ok := h.view().User(id)
	if !ok || !who.MayManageOrg(user.Org) {
		return nil, analytics.Errorf(analytics.NotFound, "user: there is no user %d", id)
	}
	return user, nil
}

func (h *Handler) updateUser(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	user, err := h.managedUser(ctx, who)
	if err != nil {
		return err
	}
	var in struct {
		Role string `json:"role"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	change := accounts.UpdateUser{Org: user.Org, ID: user.ID}
	if change.Role, err = accounts.ParseRole(in.Role); err != nil {
		return err
	}
	out, err := h.do(&change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, sessionBody{userOf(out.User)})
	return nil
}

// listGuests is for those who may ask guests in: addresses are nobody else's
// business.
func (h *Handler) listGuests(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, provision)
	if err != nil {
		return err
	}
	type body struct {
		Email   string `json:"email"`
		Role    string `json:"role"`
		Status  string `json:"status"`
		Created string `json:"created"`
	}
	out := []body{}
	for _, g := range h.view().Guests(site.ID) {
		b := body{Email: g.Email, Role: "viewer", Status: "invited", Created: instant(g.Created)}
		if g.Editor {
			b.Role = "editor"
		}
		if g.User != 0 {
			b.Status = "accepted"
		}
		out = append(out, b)
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]body{"guests": out})
	return nil
}

func (h *Handler) deleteUser(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	user, err := h.managedUser(ctx, who)
	if err != nil {
		return err
	}
	if _, err := h.do(&accounts.DeleteUser{Org: user.Org, ID: user.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}

// keyPrefix begins every key, so that people and scanners recognise one.
const keyPrefix = "ff_"

// keyShown is how many characters of a key are kept to tell keys apart.
const keyShown = len(keyPrefix) + 6

type keyBody struct {
	ID       uint64           `json:"id"`
	Key      string           `json:"key,omitempty"` // in the answer that makes it, never again
	Name     string           `json:"name"`
	Scopes   []accounts.Scope `json:"scopes"`
	Site     *string          `json:"site"`
	Prefix   string           `json:"prefix"`
	Created  string           `json:"created"`
	LastUsed *string          `json:"last_used"`
}

func (h *Handler) keyOf(k *accounts.Key) keyBody {
	out := keyBody{ID: k.ID, Name: k.Name, Scopes: k.Scopes, Prefix: k.Prefix, Created: instant(k.Created)}
	if site, ok := h.view().SiteByID(k.Site); ok {
		out.Site = &site.Domain
	}
	if k.LastUsed != 0 {
		at := instant(k.LastUsed)
		out.LastUsed = &at
	}
	return out
}

func (h *Handler) listKeys(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayManageOrg(who.Org) {
		return errOwnersOnly()
	}
	org, all, err := listOrg(ctx, who)
	if err != nil {
		return err
	}
	out := []keyBody{}
	view := h.view()
	for o := range view.Orgs() {
		if !all && o.ID != org {
			continue
		}
		for k := range view.KeysOf(o.ID) {
			out = append(out, h.keyOf(k))
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]keyBody{"keys": out})
	return nil
}

func (h *Handler) createKey(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayManageOrg(who.Org) {
		return errOwnersOnly()
	}
	var in struct {
		Name   string           `json:"name"`
		Scope  accounts.Scope   `json:"scope"`
		Scopes []accounts.Scope `json:"scopes"`
		Site   *string          `json:"site"`
		Org    *uint64          `json:"org"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	org, err := orgOf(who, in.Org)
	if err != nil {
		return err
	}
	if in.Scope != "" {
		in.Scopes = append(in.Scopes, in.Scope)
	}
	if len(in.Scopes) > 10 {
		return analytics.Errorf(analytics.Invalid, "scopes: more than there are")
	}
	change := accounts.CreateKey{Org: org, Name: in.Name, Scopes: slices.Clone(in.Scopes)}
	if in.Site != nil && *in.Site != "" {
		site, ok := h.siteNamed(*in.Site)
		if !ok || !who.Operator && site.Org != org {
			return analytics.Errorf(analytics.NotFound, "site: there is no such site")
		}
		change.Site = site.ID
		if in.Org == nil {
			change.Org = site.Org // the operator may leave it to the site
		}
	}
	secret, err := h.opts.Accounts.NewSecret()
	if err != nil {
		return err
	}
	key := keyPrefix + secret
	change.Hash, change.Prefix = accounts.HashOf([]byte(key)), key[:keyShown]
	out, err := h.do(&change)
	if err != nil {
		return err
	}
	body := h.keyOf(out.Key)
	body.Key = key
	door.WriteJSON(ctx, fasthttp.StatusCreated, body)
	return nil
}

func (h *Handler) revokeKey(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayManageOrg(who.Org) {
		return errOwnersOnly()
	}
	id, err := idParam(ctx, "key")
	if err != nil {
		return err
	}
	key, ok := h.view().Key(id)
	if !ok || !who.MayManageOrg(key.Org) {
		return analytics.Errorf(analytics.NotFound, "key: there is no key %d", id)
	}
	if _, err := h.do(&accounts.RevokeKey{Org: key.Org, ID: id}); err != nil {
		return err
	}
	return noContent(ctx)
}
