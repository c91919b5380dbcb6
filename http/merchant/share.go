package merchant

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// A browser that has opened a shared link carries a cookie for it. Its name ends
// in the link's number; its value is
//
//	until(base 36, Unix s) "-" mac(base64url, 24 bytes)
//
// where the mac is over number and time with a key made of the link's slug and of
// the hash of its password. So every node can check it without keeping anything,
// and it is worth nothing once the link is gone or has another password. Whoever
// knows slug and hash could make one; that is whoever may open the link anyway.
const (
	secureSharePrefix = secureCookie + "-share-"
	plainSharePrefix  = plainCookie + "-share-"

	shareLife     = 12 * time.Hour
	shareMacBytes = 24
	openedMax     = 16 // cookies of shared links that are looked at
)

// openShared opens a shared link for the browser that asks.
func (h *Handler) openShared(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	var in struct {
		Slug     string `json:"slug"`
		Password string `json:"password"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	from, now := h.addressKey(ctx), h.now()
	if wait, ok := h.byAddr.take(from, now); !ok {
		return tooManyAttempts(ctx, "slug", wait)
	}
	link, ok := h.view().SharedLinkBySlug(in.Slug)
	if !ok {
		return analytics.Errorf(analytics.NotFound, "slug: there is no such shared link")
	}
	h.byAddr.giveBack(from, now)
	site, ok := h.view().SiteByID(link.Site)
	if !ok || !link.Alive(now) {
		return analytics.Errorf(analytics.NotFound, "slug: this shared link has expired")
	}
	if link.PasswordHash != "" {
		if in.Password == "" {
			return wantPassword(ctx, "password: this shared link needs one")
		}
		err := h.tryPassword(ctx, "shared link "+strconv.FormatUint(link.ID, 10), link.PasswordHash, in.Password)
		if analytics.CodeOf(err) == analytics.Unauthorized && err != nil {
			return wantPassword(ctx, "password: not right")
		}
		if err != nil {
			return err
		}
	}
	until := now + shareLife.Milliseconds()
	if link.Expires != 0 {
		until = min(until, link.Expires)
	}
	until -= until % 1000
	h.setShared(ctx, link, until, now)
	door.WriteJSON(ctx, fasthttp.StatusOK, struct {
		Domain  string `json:"domain"`
		Name    string `json:"name"`
		Expires string `json:"expires"`
	}{site.Domain, link.Name, instant(until)})
	return nil
}

// wantPassword says in the answer that a password would open the link.
func wantPassword(ctx *fasthttp.RequestCtx, text string) error {
	door.WriteJSON(ctx, fasthttp.StatusUnauthorized, map[string]any{"error": text, "password": true})
	return nil
}

// setShared hands the cookie of a link out. Pages of others may frame what a link
// opens, so over https it goes with their requests too, kept apart for each of
// them. It lets nobody change anything.
func (h *Handler) setShared(ctx *fasthttp.RequestCtx, link *accounts.SharedLink, until, now int64) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	secure := h.overTLS(ctx)
	id := strconv.FormatUint(link.ID, 10)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetMaxAge(max(1, int((until-now)/1000)))
	if secure {
		c.SetKey(secureSharePrefix + id)
		c.SetSecure(true)
		c.SetSameSite(fasthttp.CookieSameSiteNoneMode)
		c.SetPartitioned(true)
	} else {
		c.SetKey(plainSharePrefix + id)
		c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	}
	c.SetValue(strconv.FormatInt(until/1000, 36) + "-" + base64.RawURLEncoding.EncodeToString(shareMac(link, until)))
	ctx.Response.Header.SetCookie(c)
}

func shareMac(link *accounts.SharedLink, until int64) []byte {
	key := sha256.Sum256([]byte("shared link\x00" + link.Slug + "\x00" + link.PasswordHash))
	mac := hmac.New(sha256.New, key[:])
	mac.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, link.ID), uint64(until)))
	return mac.Sum(nil)[:shareMacBytes]
}

// openedBy gives the shared links that a request carries good cookies for. It
// allocates nothing where there is none.
func openedBy(ctx *fasthttp.RequestCtx, view *accounts.View, now int64) (out []accounts.Opened) {
	looked := 0
	for name, value := range ctx.Request.Header.Cookies() {
		number, ok := bytes.CutPrefix(name, []byte(secureSharePrefix))
		if !ok {
			if number, ok = bytes.CutPrefix(name, []byte(plainSharePrefix)); !ok {
				continue
			}
		}
		if looked++; looked > openedMax {
			break
		}
		id, err := strconv.ParseUint(string(number), 10, 64)
		if err != nil {
			continue
		}
		if link, ok := view.SharedLink(id); ok {
			if until, ok := readShared(link, string(value)); ok {
				out = append(out, accounts.Opened{Link: link, Until: until})
			}
		}
	}
	return view.StillOpen(out, now)
}

// readShared gives until when the value of a cookie opens a link, Unix ms.
func readShared(link *accounts.SharedLink, value string) (until int64, ok bool) {
	text, sum, _ := strings.Cut(value, "-")
	seconds, err := strconv.ParseInt(text, 36, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return 0, false
	}
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || !hmac.Equal(got, shareMac(link, seconds*1000)) {
		return 0, false
	}
	return seconds * 1000, true
}
