package door

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
)

// Headers of questions and answers.
const (
	headerToken        = "X-Footfall-Token"         // of a view: the answer must include it
	headerMaxStaleness = "X-Footfall-Max-Staleness" // ms; the answer must not be older
	headerStaleness    = "X-Footfall-Staleness"     // ms; how long ago the answering replica was known to be up to date
	headerReadOnly     = "X-Footfall-Read-Only"     // "true" while the site's shard takes no views
)

// maxStalenessMS bounds what can be asked for.
const maxStalenessMS = 24 * 60 * 60 * 1000

// Place is how a node stands to the log of a site.
type Place struct {
	// Staleness is how long ago the node's replica was known to be up to date.
	Staleness time.Duration
	// ReadOnly says that the log takes no entries now: no leader is known.
	ReadOnly bool
}

// Placer tells whether this node can answer about a site.
type Placer interface {
	// Place waits, not for long, until this node has got as far as after, and
	// checks that its replica was up to date within the given time; 0 is no bound.
	// *Elsewhere names the node to ask instead; Unavailable means that there is
	// none just now.
	Place(ctx context.Context, site analytics.SiteID, after analytics.Token, within time.Duration) (Place, error)
}

// After reads the token that a request carries, in its header or as the query's
// token; the zero token if there is none.
func After(ctx *fasthttp.RequestCtx) (analytics.Token, error) {
	text := ctx.Request.Header.Peek(headerToken)
	if len(text) == 0 {
		text = ctx.QueryArgs().Peek("token")
	}
	return analytics.ParseToken(string(text))
}

// Find asks p whether this node can answer a request about a site, as the
// request's headers want it, and says in the answer's headers how fresh it is. p
// may be nil: on a node alone everything is here.
func Find(ctx *fasthttp.RequestCtx, p Placer, site analytics.SiteID) error {
	if p == nil {
		return nil
	}
	after, err := After(ctx)
	if err != nil {
		return err
	}
	within := time.Duration(0)
	if text := ctx.Request.Header.Peek(headerMaxStaleness); len(text) > 0 {
		ms, err := fasthttp.ParseUint(text)
		if err != nil || ms < 1 || ms > maxStalenessMS {
			return analytics.Errorf(analytics.Invalid, "%s: must be milliseconds from 1 to %d", headerMaxStaleness, maxStalenessMS)
		}
		within = time.Duration(ms) * time.Millisecond
	}
	place, err := p.Place(context.Background(), site, after, within)
	if err != nil {
		return err
	}
	place.mark(ctx)
	return nil
}

// FindAll says in the headers of an answer about many sites how fresh the least
// fresh of those parts is that this node answers itself. Other nodes see to the
// rest. p may be nil.
func FindAll(ctx *fasthttp.RequestCtx, p Placer, sites []*analytics.Site) {
	if p == nil {
		return
	}
	worst := Place{}
	for _, site := range sites {
		place, err := p.Place(context.Background(), site.ID, analytics.Token{}, 0)
		var other *Elsewhere
		if errors.As(err, &other) { // a replica that is far behind, or none
			place, err = p.Place(context.Background(), site.ID, analytics.Token{}, maxStalenessMS*time.Millisecond)
		}
		if err != nil {
			continue
		}
		worst.Staleness = max(worst.Staleness, place.Staleness)
		worst.ReadOnly = worst.ReadOnly || place.ReadOnly
	}
	worst.mark(ctx)
}

// mark writes the headers of an answer.
func (p Place) mark(ctx *fasthttp.RequestCtx) {
	if p.Staleness > 0 {
		ctx.Response.Header.Set(headerStaleness, strconv.FormatInt(p.Staleness.Milliseconds(), 10))
	}
	if p.ReadOnly {
		ctx.Response.Header.Set(headerReadOnly, "true")
	}
}
