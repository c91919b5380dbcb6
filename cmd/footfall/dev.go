//go:build dev

package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cmd/internal/node"
	"footfall/http/door"
)

// moreRoutes turn the node's clock and salts, for tests of relative periods,
// write the records at once and take profiles. They exist in development builds only.
func moreRoutes(n *node.Node) []door.Route {
	return []door.Route{
		{Method: "POST", Path: "/dev/clock", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			var body struct {
				Now *string `json:"now"`
			}
			if err := json.Unmarshal(ctx.PostBody(), &body); err != nil {
				return analytics.Errorf(analytics.Invalid, "now: must be a time as RFC 3339, or null")
			}
			var now time.Time
			if body.Now != nil {
				var err error
				if now, err = time.Parse(time.RFC3339Nano, *body.Now); err != nil {
					return analytics.Errorf(analytics.Invalid, "now: %q is not a time as RFC 3339", *body.Now)
				}
			}
			n.Clock().Set(now)
			door.WriteJSON(ctx, fasthttp.StatusOK, map[string]string{"now": n.Clock().Now().UTC().Format(time.RFC3339Nano)})
			return nil
		}},
		{Method: "POST", Path: "/dev/flush", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			if err := n.Flush(context.Background()); err != nil {
				return err
			}
			door.WriteJSON(ctx, fasthttp.StatusOK, map[string]bool{"flushed": true})
			return nil
		}},
		{Method: "GET", Path: "/dev/profile", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			seconds, err := ctx.QueryArgs().GetUint("seconds")
			if err != nil || seconds > 60 {
				return analytics.Errorf(analytics.Invalid, "seconds: must be a number from 1 to 60")
			}
			b, err := takeProfile(string(ctx.QueryArgs().Peek("kind")), time.Duration(seconds)*time.Second)
			if err != nil {
				return err
			}
			ctx.SetBody(b)
			return nil
		}},
		{Method: "POST", Path: "/dev/rotate-salts", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			if err := n.RotateSalts(); err != nil {
				return err
			}
			door.WriteJSON(ctx, fasthttp.StatusOK, map[string]bool{"rotated": true})
			return nil
		}},
	}
}
