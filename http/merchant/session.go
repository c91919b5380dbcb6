package merchant

import (
	"context"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// sessionLife is the longest a session lasts, however much it is used.
const sessionLife = 14 * 24 * time.Hour

type userBody struct {
	ID    uint64 `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  string `json:"role"`
	Org   uint64 `json:"org"`
}

func userOf(u *accounts.User) userBody {
	return userBody{ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role.String(), Org: u.Org}
}

type sessionBody struct {
	User userBody `json:"user"`
}

func errWrongLink() error {
	return analytics.Errorf(analytics.NotFound, "token: this link was used already or is out of date")
}

// checkSetup tells whether the one-time link is good.
func (h *Handler) checkSetup(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	token, _ := ctx.UserValue("token").(string)
	hash := accounts.HashOf([]byte(token))
	if !h.view().SetupOffered(&hash) {
		return errWrongLink()
	}
	return noContent(ctx)
}

// setup makes the first account and signs it in.
func (h *Handler) setup(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	var in struct {
		Token    string `json:"token"`
		Email    string `json:"email"`
		Name     string `json:"name"`
		Password string `json:"password"`
		Domain   string `json:"domain"`
		Timezone string `json:"timezone"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	change := accounts.CompleteSetup{Token: accounts.HashOf([]byte(in.Token))}
	if !h.view().SetupOffered(&change.Token) { // before a hash is spent on it
		return errWrongLink()
	}
	cookie, err := h.cookieName(ctx)
	if err != nil {
		return err
	}
	if change.User, err = h.newUser(in.Email, in.Name, in.Password); err != nil {
		return err
	}
	change.User.Role = accounts.Owner
	if in.Domain != "" {
		if in.Timezone == "" {
			in.Timezone = "UTC"
		}
		if change.Site, err = h.newSite(in.Domain, in.Timezone); err != nil {
			return err
		}
	}
	id, err := h.newSession(ctx, &change.Session)
	if err != nil {
		return err
	}
	if err := change.Check(); err != nil {
		return err
	}
	if change.User.PasswordHash, err = h.hashed(in.Password); err != nil {
		return err
	}
	out, err := h.do(&change)
	if err != nil {
		return err
	}
	setCookie(ctx, cookie, id)
	door.WriteJSON(ctx, fasthttp.StatusCreated, sessionBody{userOf(out.User)})
	return nil
}

// newUser checks what a new user brings. The password is hashed later, when
// everything else is known to be right: hashing is dear.
func (h *Handler) newUser(email, name, password string) (accounts.CreateUser, error) {
	normal, err := accounts.NormalizeEmail(email)
	if err != nil {
		return accounts.CreateUser{}, err
	}
	if err := accounts.CheckPassword(password, normal); err != nil {
		return accounts.CreateUser{}, err
	}
	return accounts.CreateUser{Email: normal, Name: name, PasswordHash: "pending"}, nil
}

func (h *Handler) hashed(password string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	return h.opts.Accounts.HashPassword(ctx, password)
}

// newSession fills a change that opens a session for the browser of ctx and
// gives the session's id, for the cookie alone.
func (h *Handler) newSession(ctx *fasthttp.RequestCtx, open *accounts.OpenSession) (id string, err error) {
	if id, err = h.opts.Accounts.NewSecret(); err != nil {
		return "", err
	}
	open.Hash = accounts.HashOf([]byte(id))
	open.Expires = h.now() + sessionLife.Milliseconds()
	open.Agent = string(ctx.Request.Header.UserAgent())
	if _, old, ok := cookie(ctx); ok {
		open.Replaces = &old
	}
	return id, open.Check()
}

// signIn checks e-mail address and password, and then the second factor of who
// has one. For an unknown address it takes the same time and answers the same
// text.
func (h *Handler) signIn(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	var in struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		shown
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	name, err := h.cookieName(ctx)
	if err != nil {
		return err
	}
	email, err := accounts.NormalizeEmail(in.Email)
	if err != nil {
		return err
	}
	if in.Password == "" {
		return analytics.Errorf(analytics.Invalid, "password: must not be empty")
	}
	var hash string
	user, known := h.view().UserByEmail(email)
	if known {
		hash = user.PasswordHash
	}
	if err := h.tryPassword(ctx, email, hash, in.Password); err != nil {
		return err
	}
	if !known {
		return errWrongPassword()
	}
	var proof *accounts.Proof
	if factor, has := h.view().SecondFactor(user.ID); has {
		if proof, err = h.prove(ctx, email, factor, in.shown); err != nil {
			return refuseFactor(ctx, err)
		}
	}
	open := accounts.OpenSession{User: user.ID}
	id, err := h.newSession(ctx, &open)
	if err != nil {
		return err
	}
	out, err := h.do(openWith(&open, proof))
	if err != nil && analytics.CodeOf(err) == analytics.NotFound { // removed a moment ago
		return errWrongPassword()
	}
	if err != nil { // Unauthorized: somebody was faster with the code, or enabled a second factor
		return refuseFactor(ctx, err)
	}
	setCookie(ctx, name, id)
	door.WriteJSON(ctx, fasthttp.StatusOK, sessionBody{userOf(out.User)})
	return nil
}

func errWrongPassword() error {
	return analytics.Errorf(analytics.Unauthorized, "email or password: not right")
}

// tryPassword compares a password with a hash, within the limits per account
// and per address. Attempts that succeed do not count against them.
func (h *Handler) tryPassword(ctx *fasthttp.RequestCtx, email, hash, password string) error {
	if len(password) > accounts.PasswordBytesMax {
		return errWrongPassword()
	}
	from := h.addressKey(ctx)
	now := h.now()
	if wait, ok := h.byAddr.take(from, now); !ok {
		return tooManyAttempts(ctx, "password", wait)
	}
	if wait, ok := h.byEmail.take(email, now); !ok {
		return tooManyAttempts(ctx, "password", wait)
	}
	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	match, err := h.opts.Accounts.CheckPassword(limit, hash, password)
	if err != nil {
		return err
	}
	if !match {
		return errWrongPassword()
	}
	h.byAddr.giveBack(from, now)
	h.byEmail.giveBack(email, now)
	return nil
}

func tooManyAttempts(ctx *fasthttp.RequestCtx, field string, wait time.Duration) error {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	ctx.Response.Header.Set("Retry-After", strconv.Itoa(seconds))
	return analytics.Errorf(analytics.TooMany, "%s: too many attempts, try again in %d seconds", field, seconds)
}

// addressKey is what attempts of one origin are counted under: an IPv4 address
// or an IPv6 network of one customer. It stays in memory.
func (h *Handler) addressKey(ctx *fasthttp.RequestCtx) string {
	addr, ok := door.ClientIP(ctx, h.opts.Trusted)
	if !ok {
		return ""
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return netip.PrefixFrom(addr, addr.BitLen()).String()
}

func (h *Handler) whoAmI(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	user, ok := h.view().User(who.User)
	if who.User == 0 || !ok {
		return analytics.Errorf(analytics.Unauthorized, "session: nobody is signed in")
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, sessionBody{userOf(user)})
	return nil
}

// signOut ends the session of the cookie, whether it still is one or not.
func (h *Handler) signOut(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	name, hash, ok := cookie(ctx)
	if ok && who.Session != "" {
		if _, err := h.do(&accounts.CloseSession{Hash: hash}); err != nil {
			return err
		}
	}
	if ok {
		setCookie(ctx, name, "")
	}
	return noContent(ctx)
}

func (h *Handler) listSessions(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	type body struct {
		ID       uint64 `json:"id"`
		Agent    string `json:"agent"`
		Created  string `json:"created"`
		LastSeen string `json:"last_seen"`
		Expires  string `json:"expires"`
		Current  bool   `json:"current"`
	}
	out := []body{}
	now := h.now()
	for n := range h.view().SessionsOf(who.User) {
		current := n.Hash == who.Session
		if current || n.Alive(now, n.LastSeen) {
			out = append(out, body{n.ID, n.Agent, instant(n.Created), instant(n.LastSeen), instant(n.Expires), current})
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]body{"sessions": out})
	return nil
}

// endSession ends one of the user's sessions, the one that asks too.
func (h *Handler) endSession(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	id, err := idParam(ctx, "session")
	if err != nil {
		return err
	}
	for n := range h.view().SessionsOf(who.User) {
		if n.ID != id {
			continue
		}
		if _, err := h.do(&accounts.CloseSession{Hash: accounts.Hash([]byte(n.Hash))}); err != nil {
			return err
		}
		if name, _, ok := cookie(ctx); ok && n.Hash == who.Session {
			setCookie(ctx, name, "")
		}
		return noContent(ctx)
	}
	return analytics.Errorf(analytics.NotFound, "session: there is no session %d", id)
}

func (h *Handler) signOutEverywhere(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if _, err := h.do(&accounts.CloseSessions{User: who.User}); err != nil {
		return err
	}
	if name, _, ok := cookie(ctx); ok {
		setCookie(ctx, name, "")
	}
	return noContent(ctx)
}

// changePassword asks for the old password again, ends every session of the
// user and opens a new one for the browser that asked.
func (h *Handler) changePassword(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	var in struct {
		Current  string `json:"current"`
		Password string `json:"password"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	user, ok := h.view().User(who.User)
	if !ok {
		return errWrongPassword()
	}
	name, err := h.cookieName(ctx)
	if err != nil {
		return err
	}
	if err := accounts.CheckPassword(in.Password, user.Email); err != nil {
		return err
	}
	if err := h.askAgain(ctx, "current", user, in.Current); err != nil {
		return err
	}
	hash, err := h.hashed(in.Password)
	if err != nil {
		return err
	}
	if _, err := h.do(&accounts.SetPassword{User: user.ID, PasswordHash: hash}); err != nil {
		return err
	}
	open := accounts.OpenSession{User: user.ID}
	id, err := h.newSession(ctx, &open)
	if err != nil {
		return err
	}
	var change accounts.Change = &open
	if _, has := h.view().SecondFactor(user.ID); has { // it was shown when the session began
		change = &accounts.OpenProvenSession{Session: open}
	}
	if _, err := h.do(change); err != nil {
		return err
	}
	setCookie(ctx, name, id)
	return noContent(ctx)
}
