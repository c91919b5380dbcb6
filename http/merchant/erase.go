package merchant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Eraser removes what is known of one visitor.
type Eraser interface {
	// EraseVisitor removes all visits of the visitor to whom the merchant gave the
	// name, for ever, and tells how many visits and events (page views and custom
	// ones) went; both are 0 where there is no such visitor. by says in the node's
	// log who asked; name is not written anywhere. After an error some of it may
	// have gone: asking again goes on.
	EraseVisitor(ctx context.Context, site *analytics.Site, name, by string) (visits, events uint64, err error)
}

// eraseTimeout bounds the removal of one visitor.
const eraseTimeout = 50 * time.Second

// mayErase is for people who run the site, not for programs: nothing brings back
// what was erased.
func mayErase(who accounts.Identity, site *analytics.Site) bool {
	return who.Operator || who.User != 0 && who.MayProvision(site.Org)
}

// erase removes a visitor by the name that POST /v1/events knows them by.
func (h *Handler) erase(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, mayErase)
	if err != nil {
		return err
	}
	var in struct {
		Visitor string `json:"visitor"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	name := strings.TrimSpace(in.Visitor) // as events do
	switch {
	case name == "":
		return analytics.Errorf(analytics.Invalid, "visitor: is required")
	case len(name) > analytics.VisitorBytesMax:
		return analytics.Errorf(analytics.Invalid, "visitor: is longer than %d bytes", analytics.VisitorBytesMax)
	}
	by := "operator"
	if who.User != 0 {
		by = fmt.Sprintf("user %d", who.User)
	}
	limit, cancel := context.WithTimeout(context.Background(), eraseTimeout)
	defer cancel()
	var out struct {
		Visits uint64 `json:"visits"`
		Events uint64 `json:"events"`
	}
	out.Visits, out.Events, err = h.opts.Eraser.EraseVisitor(limit, site, name, by)
	if errors.Is(err, context.DeadlineExceeded) {
		return analytics.Errorf(analytics.Unavailable, "visitor: not all is erased yet, ask again")
	}
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}
