package merchant

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
)

// Authenticator recognises callers: by a bearer token, which is an API key or
// the operator's token, else by the session cookie. Safe for concurrent use.
type Authenticator struct {
	accounts Accounts
	operator accounts.Hash
	clock    func() time.Time
}

// NewAuthenticator makes an Authenticator. operator is the hash of the node's
// token; the zero Hash means that nobody is the operator.
func NewAuthenticator(a Accounts, operator accounts.Hash, clock func() time.Time) *Authenticator {
	if clock == nil {
		clock = time.Now
	}
	return &Authenticator{accounts: a, operator: operator, clock: clock}
}

// Authenticate gives the caller's identity. A bearer token that nobody knows
// gives an anonymous identity with Refused set; a cookie that is not good any
// more gives a plainly anonymous one. Shared links that the browser has opened come
// with either. The error is always nil: nothing here can
// fail. For keys, tokens and the cookie of https it allocates nothing.
func (a *Authenticator) Authenticate(ctx *fasthttp.RequestCtx) (accounts.Identity, error) {
	if header := ctx.Request.Header.Peek(fasthttp.HeaderAuthorization); len(header) > 0 {
		return a.bearer(header), nil
	}
	var who accounts.Identity
	if _, hash, ok := cookie(ctx); ok {
		who = a.session(&hash)
	}
	who.Opened = openedBy(ctx, a.accounts.View(), a.clock().UnixMilli())
	return who, nil
}

func (a *Authenticator) bearer(header []byte) accounts.Identity {
	const scheme = "bearer "
	if len(header) < len(scheme) || !bytes.EqualFold(header[:len(scheme)], []byte(scheme)) {
		return accounts.Identity{Refused: true}
	}
	hash := accounts.HashOf(bytes.TrimSpace(header[len(scheme):]))
	if a.operator != (accounts.Hash{}) && subtle.ConstantTimeCompare(hash[:], a.operator[:]) == 1 {
		return accounts.Identity{Operator: true}
	}
	key, ok := a.accounts.View().KeyByHash(&hash)
	if !ok || subtle.ConstantTimeCompare(hash[:], key.Hash[:]) != 1 {
		return accounts.Identity{Refused: true}
	}
	a.accounts.KeyUsed(key, a.clock().UnixMilli())
	return accounts.Identity{Key: key.ID, Org: key.Org, Scopes: key.Scopes, KeySite: key.Site}
}

func (a *Authenticator) session(hash *accounts.Hash) accounts.Identity {
	view := a.accounts.View()
	session, ok := view.SessionByHash(hash)
	if !ok || !a.accounts.SessionUsed(session, a.clock().UnixMilli()) {
		return accounts.Identity{}
	}
	user, ok := view.User(session.User)
	if !ok {
		return accounts.Identity{}
	}
	return accounts.Identity{User: user.ID, Role: user.Role, Org: user.Org, Guest: view.GuestOf(user.ID), Session: session.Hash}
}

// secretChars is the length of a session id's and a setup token's text.
const secretChars = 43

// cookie finds the session cookie and hashes its value. The one without the
// __Host- prefix counts on this machine's own names only: elsewhere a
// neighbouring subdomain could have set it.
func cookie(ctx *fasthttp.RequestCtx) (name string, hash accounts.Hash, ok bool) {
	name, value := secureCookie, ctx.Request.Header.Cookie(secureCookie)
	if len(value) == 0 && loopbackHost(ctx) {
		name, value = plainCookie, ctx.Request.Header.Cookie(plainCookie)
	}
	if len(value) != secretChars || !base64url(value) {
		return "", accounts.Hash{}, false
	}
	return name, accounts.HashOf(value), true
}

func base64url(b []byte) bool {
	var raw [base64Bytes]byte
	_, err := base64.RawURLEncoding.Decode(raw[:], b)
	return err == nil
}

const base64Bytes = 33 // room for 43 characters
