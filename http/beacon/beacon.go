// Package beacon is the door by which views come in: POST /api/event in the
// Plausible dialect, POST /v1/events for trusted senders and GET /pixel.gif. It
// parses, enriches, decides what is not counted and why, and hands the rest to
// a Recorder. It must never keep an address beyond the request, answer 2xx for
// a view that is neither recorded nor dropped with a reason, or let one
// sender's input cost another's view.
//
// The hot path, one plain page view: the body is scanned in place (about
// 0.1 µs), URL and referrer are views into it, the user agent comes from a
// cache, and the event handed on points into the request; no goroutine, no lock
// but the rate limiter's stripe, no allocation. Start at New and Door.event.
package beacon

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"footfall/analytics"
	"footfall/enrich"
	"footfall/http/door"
)

// Recorder counts events. Calls are concurrent. It keeps neither the events nor
// their strings, which belong to a request, beyond the call.
type Recorder interface {
	// Record waits until ev is durable and decided on. Nothing is counted when
	// it returns an error; the codes are Overloaded and Unavailable.
	Record(site analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error)
	// RecordBatch does so for many, in order; out has the length of evs. All of
	// them are decided on, or there is an error and none is counted.
	RecordBatch(site analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error
	// Drop counts n events that are refused. It never waits. Site 0 is unknown.
	Drop(site analytics.SiteID, reason analytics.Reason, n int, nowMS int64)
}

// Directory knows the sites. Calls are concurrent and do not wait.
type Directory interface {
	// Site finds a site by its domain, lower case and without "www.". It does
	// not keep domain.
	Site(domain []byte) (*analytics.Site, bool)
}

// Salts gives the secrets that visitor ids are made with: of the day, of the week
// and of the month, for sites whose visitors keep their ids so long. Each gives
// the salt in force and the one before it, nil if there is none that a visit
// could have begun under. They must not be kept or changed. No salt in force
// means that this node has not been told it yet; events are refused meanwhile.
type Salts interface {
	At(nowMS int64) (current, previous *[16]byte)
	Weekly(nowMS int64) (current, previous *[16]byte)
	Monthly(nowMS int64) (current, previous *[16]byte)
}

// Enricher tells what an event's outer signs mean; *enrich.Enricher is one.
// Calls are concurrent and do not wait. It keeps none of its arguments, and what
// it returns may point into them.
type Enricher interface {
	// UserAgent gives a shared result that must not be changed.
	UserAgent(ua []byte, h enrich.Hints) *enrich.UserAgent
	// Acquisition reads a referrer and the query of the page at pageHost.
	Acquisition(referrer, pageHost, query string) (acq analytics.Acquisition, spam bool)
	// Channel is the channel of an acquisition whose fields were given.
	Channel(acq *analytics.Acquisition) string
	Place(addr netip.Addr) analytics.Place
	RegistrableDomain(host string) string
}

// Inspector remembers the events of the sites that somebody looks at. Calls are
// concurrent and do not wait.
type Inspector interface {
	// Watching tells whether it wants to be told of a site's events at now, Unix ms.
	Watching(site analytics.SiteID, now int64) bool
	// Note tells what was decided about an event, and which rule spoke against it,
	// "" for none. It keeps none of its arguments.
	Note(site analytics.SiteID, ev *analytics.Event, verdict analytics.Reason, rule string)
}

// Options are what a Door is made of. The first four are required.
type Options struct {
	Recorder  Recorder
	Directory Directory
	Salts     Salts
	Enricher  Enricher

	Now     func() time.Time // the clock that views are dated with; time.Now
	Random  func() uint64    // ids of events that have none; math/rand/v2.Uint64
	Trusted []netip.Prefix   // proxies whose forwarding headers are believed
	Metrics *metrics.Set
	// Inspector is told of events of known sites; nil for nobody.
	Inspector Inspector

	// Limits in events per second; 0 is unlimited. Bursts default to twice the
	// rate. They hold for /api/event and /pixel.gif, not for senders with a key.
	PerAddress, PerAddressBurst int
	PerSite, PerSiteBurst       int
}

// PerAddressDefault is a generous limit for one address, or one IPv6 network.
const PerAddressDefault = 1000

// Door takes views in. It is safe for concurrent use.
type Door struct {
	opts      Options
	addresses *limiter
	sites     *limiter
	rules     ruleBook
	requests  sync.Pool     // of *request
	batches   chan struct{} // a token per large request being worked on
	used      sync.Pool     // of *batch
	count     counters
}

// New makes a door.
func New(opts Options) *Door {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Random == nil {
		opts.Random = rand.Uint64
	}
	if opts.Metrics == nil {
		opts.Metrics = metrics.NewSet()
	}
	if opts.PerAddressBurst <= 0 {
		opts.PerAddressBurst = 2 * opts.PerAddress
	}
	if opts.PerSiteBurst <= 0 {
		opts.PerSiteBurst = 2 * opts.PerSite
	}
	d := &Door{
		opts:      opts,
		addresses: newLimiter(opts.PerAddress, opts.PerAddressBurst),
		sites:     newLimiter(opts.PerSite, opts.PerSiteBurst),
		batches:   make(chan struct{}, batchesMax),
	}
	if opts.Inspector == nil {
		d.opts.Inspector = nobody{}
	}
	d.requests.New = func() any { return new(request) }
	d.count.init(opts.Metrics)
	return d
}

// Routes gives the door's routes.
func (d *Door) Routes() []door.Route {
	return []door.Route{
		{Method: "POST", Path: "/api/event", CrossOrigin: true, Handler: d.event, BodyMax: analytics.BeaconBodyBytesMax},
		{Method: "OPTIONS", Path: "/api/event", CrossOrigin: true, Handler: d.preflight},
		{Method: "GET", Path: "/pixel.gif", CrossOrigin: true, Handler: d.pixel},
		{Method: "POST", Path: "/v1/events", Need: door.Known, Handler: d.events, BodyMax: analytics.BatchBodyBytesMax},
	}
}

// drop counts one refused event.
func (d *Door) drop(site analytics.SiteID, reason analytics.Reason, nowMS int64) {
	d.count.dropped(reason)
	d.opts.Recorder.Drop(site, reason, 1, nowMS)
}

// randomID numbers an event that has no id of its own.
func (d *Door) randomID() uint64 {
	for {
		if id := d.opts.Random(); id != 0 {
			return id
		}
	}
}
