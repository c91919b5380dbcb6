// Package export is the door through which everything about a site can be taken
// away: the rows of any question and the raw events, as CSV, NDJSON or Parquet.
// An export is streamed and shows one state of the site from its first row to its
// last, however long it takes and whatever is counted meanwhile; one that broke
// off never looks like a whole one. It never shows the stored id of a visitor,
// never holds more than a few buffers of what it writes, and knows no other door.
// Start at New, then stream.go.
package export

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
	"footfall/http/door"
)

// State is one state of a site, which does not change while it is looked at.
type State interface {
	// Index is how far into the site's log the state goes.
	Index() uint64
	// Ask answers a question.
	Ask(ctx context.Context, q *query.Question) (*query.Answer, error)
	// Scan calls fn with every visit active in [from, to), Unix ms, for which the
	// filter holds, nil for all, and the rows of its matching events in that span,
	// engagements included, in order of time. It ends with the first error of fn.
	Scan(ctx context.Context, from, to int64, f *query.Filter, fn func(v query.Visit, events []int) error) error
}

// Looker lets f look at one state of a site, which includes everything up to
// after. f is called at most once, on any goroutine. It waits for its client, for
// as long as the client keeps taking something: a Looker must not let it hold
// what other questions wait for.
type Looker interface {
	Look(ctx context.Context, site analytics.SiteID, after analytics.Token, f func(context.Context, State) error) error
}

// Config is what the door needs. Dialect, Looker, Clock and Random must be set.
type Config struct {
	Dialect door.Dialect
	Looker  Looker
	Clock   func() time.Time
	Random  io.Reader    // keys the visitors of each export; safe for concurrent use
	Logger  *slog.Logger // hears of exports that broke off by our fault; nil: nobody
	Metrics *metrics.Set // nil: none
	// AtATime is how many exports run at a time; 0 means 2. One caller has at most
	// one less, but always one.
	AtATime int
	// Timeout ends an export, however its client reads; 0 means an hour.
	Timeout time.Duration
	// RowsMax bounds the rows of a question, which are held while they are written;
	// 0 means 1,000,000. Raw events have no bound.
	RowsMax int
}

const (
	atATime      = 2
	timeout      = time.Hour
	rowsMax      = 1_000_000
	bodyBytesMax = 256 << 10
)

// Door answers the routes. Its methods may be called concurrently.
type Door struct {
	cfg     Config
	slots   *slots
	count   counters
	base    context.Context // of all exports; ends with CloseStreams
	end     context.CancelFunc
	running sync.WaitGroup // one for each goroutine of an export
}

// New makes the door. Close ends it.
func New(cfg Config) *Door {
	if cfg.AtATime <= 0 {
		cfg.AtATime = atATime
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = timeout
	}
	if cfg.RowsMax <= 0 {
		cfg.RowsMax = rowsMax
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.NewSet()
	}
	d := &Door{cfg: cfg, slots: newSlots(cfg.AtATime)}
	d.base, d.end = context.WithCancel(context.Background())
	d.count.init(cfg.Metrics, d.slots)
	return d
}

// Routes lists the routes. They are Public because a site may be; the handlers
// ask who it is.
func (d *Door) Routes() []door.Route {
	route := func(method, path string, h door.Handler) door.Route {
		return door.Route{Method: method, Path: path, Need: door.Public, Handler: d.cfg.Dialect.Limited(h), BodyMax: bodyBytesMax}
	}
	return []door.Route{
		route(fasthttp.MethodGet, "/v1/sites/{site}/export/query", d.queryByParameters),
		route(fasthttp.MethodPost, "/v1/sites/{site}/export/query", d.queryByBody),
		route(fasthttp.MethodGet, "/v1/sites/{site}/export/events", d.events),
	}
}

// CloseStreams breaks off all exports and refuses new ones. It does not wait.
func (d *Door) CloseStreams() { d.end() }

// Close is CloseStreams, and waits until no export runs any more. A client that
// takes nothing can hold it up for as long as its connection stays open.
func (d *Door) Close() {
	d.end()
	d.slots.refuse()
	d.running.Wait()
}

func (d *Door) queryByParameters(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	r, err := d.open(ctx, who, "date_range", "metrics", "dimensions", "filters", "order_by", "include", "limit", "offset")
	if err != nil {
		return err
	}
	body, err := queryOf(ctx.QueryArgs())
	if err != nil {
		return err
	}
	return d.query(ctx, who, r, body)
}

func (d *Door) queryByBody(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	r, err := d.open(ctx, who)
	if err != nil {
		return err
	}
	body, err := decodeObject(ctx.PostBody())
	if err != nil {
		return err
	}
	return d.query(ctx, who, r, body)
}

// query writes the rows of a question.
func (d *Door) query(ctx *fasthttp.RequestCtx, who accounts.Identity, r *request, body map[string]any) error {
	if err := checkBody(body, r.site.Domain); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(d.base, parseMax)
	defer cancel()
	q, err := d.cfg.Dialect.Question(within, r.site, who, body, r.now)
	if err != nil {
		return err
	}
	if q.Zone == nil {
		q.Zone = r.site.Zone()
	}
	q.Now, q.RowsMax = r.now, d.cfg.RowsMax
	r.kind, r.from, r.to = "query", q.From, q.To
	return d.stream(ctx, who, r, func(ctx context.Context, s State, open opener) error {
		answer, err := s.Ask(ctx, q)
		if err != nil {
			return err
		}
		return writeAnswer(open, q, answer)
	})
}

// events writes the raw events of a range.
func (d *Door) events(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	r, err := d.open(ctx, who, "date_range", "filters")
	if err != nil {
		return err
	}
	// That anyone may read a site's numbers does not mean its single events.
	inner := *r.site
	inner.Public = false
	if !who.MayRead(&inner) {
		return analytics.Errorf(analytics.Forbidden, "site: raw events are for those who belong to the site")
	}
	filters, err := jsonOf(ctx.QueryArgs(), "filters")
	if err != nil {
		return err
	}
	rangeValue, ok := rangeOf(ctx.QueryArgs())
	if !ok {
		return analytics.Errorf(analytics.Invalid, "date_range: must be given, a name or two dates joined by a comma")
	}
	within, cancel := context.WithTimeout(d.base, parseMax)
	defer cancel()
	span, err := d.cfg.Dialect.Span(within, r.site, rangeValue, r.now)
	if err != nil {
		return err
	}
	filter, err := d.cfg.Dialect.Filter(within, r.site, who, filters)
	if err != nil {
		return err
	}
	var key [16]byte
	if _, err := io.ReadFull(d.cfg.Random, key[:]); err != nil {
		return analytics.Errorf(analytics.Internal, "key the visitors of an export: %w", err)
	}
	r.kind, r.from, r.to = "events", span.From, span.To
	return d.stream(ctx, who, r, func(ctx context.Context, s State, open opener) error {
		rows, err := newEventRows(open, key)
		if err != nil {
			return err
		}
		if err := s.Scan(ctx, span.From, span.To, filter, rows.visit); err != nil {
			return err
		}
		return rows.out.end()
	})
}
