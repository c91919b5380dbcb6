// Package enrich turns what a browser sends with a view into what is counted of
// it: user agent, bot or not, source and channel, place, language, screen. It
// joins the packages below it (agent, bots, source, place) behind caches, so that
// a view of the usual kind costs some hundred nanoseconds and no allocation. It
// must never keep, write or log an address, nor ask anyone on the network. Start
// at Enricher; Explain shows all of it at once. Visitor ids are in visitor.
//
// Measured on 2 cores: user agent from memory 57 ns (8 µs the first time), source
// 80 to 100 ns without tags and 470 ns with three, place 130 ns, language 110 ns.
package enrich

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"footfall/analytics"
	"footfall/enrich/agent"
	"footfall/enrich/bots"
	"footfall/enrich/place"
	"footfall/enrich/recent"
	"footfall/enrich/source"
	"footfall/enrich/visitor"
)

// Options of an Enricher. The zero value works, without places.
type Options struct {
	GeoPath  string        // MaxMind DB file; empty leaves every place unknown
	GeoEvery time.Duration // how often the file is looked at; 10 s if zero
	Logger   *slog.Logger  // for the change of the place database; nil discards
	// CacheSize is how many user agents, and as many referrers, are remembered;
	// 8,192 if zero. Each costs at most about 1.2 KB, half a kilobyte usually.
	CacheSize int
}

// Enricher answers all questions about a view. Safe for concurrent use.
type Enricher struct {
	bots    *bots.List
	sources *source.Table
	places  *place.Finder // nil without a database

	agents    *recent.Table[UserAgent]
	referrals *recent.Table[source.Referral]
	domains   *visitor.Domains
}

// New reads the built-in facts and the place database. A database that cannot be
// used gives an error with code Invalid that names the file.
func New(o Options) (*Enricher, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 8192
	}
	crawlers, err := bots.New()
	if err != nil {
		return nil, err
	}
	sources, err := source.New()
	if err != nil {
		return nil, fmt.Errorf("built-in sources: %w", err)
	}
	e := &Enricher{
		bots: crawlers, sources: sources,
		agents:    recent.New[UserAgent](o.CacheSize),
		referrals: recent.New[source.Referral](o.CacheSize),
		domains:   visitor.NewDomains(o.CacheSize),
	}
	if o.GeoPath != "" {
		e.places, err = place.Open(place.Options{Path: o.GeoPath, Every: o.GeoEvery, Logger: o.Logger})
		if err != nil {
			return nil, analytics.Errorf(analytics.Invalid, "geoip-db: %w", err)
		}
	}
	return e, nil
}

// Close stops watching the place database. Call it once.
func (e *Enricher) Close() error {
	if e.places == nil {
		return nil
	}
	return e.places.Close()
}

// UserAgent is what a user agent tells. It is shared and must not be changed.
type UserAgent struct {
	analytics.Agent
	Bot     bool
	BotRule string // which rule found the bot: a mark, a crawler's pattern, "empty"; "" for people
}

// Hints are the client hints of a request, as they stand in the headers
// Sec-CH-UA-Platform and Sec-CH-UA-Mobile. Both may be missing.
type Hints struct{ Platform, Mobile []byte }

// UserAgent reads a user agent. ua is not kept; of a very long one only the
// first agent.BytesMax bytes are read. No allocation when it was seen before.
func (e *Enricher) UserAgent(ua []byte, h Hints) *UserAgent {
	if len(ua) > agent.BytesMax {
		ua = ua[:agent.BytesMax]
	}
	hint := agent.ReadHint(h.Platform, h.Mobile)
	if known, ok := e.agents.Get(ua, uint64(hint)); ok {
		return known
	}
	text := string(ua)
	rule, bot := e.bots.Match(text)
	return e.agents.Put(text, uint64(hint), UserAgent{Agent: agent.Parse(text, hint), Bot: bot, BotRule: rule})
}

// referrerBytesCached is the longest referrer that is remembered.
const referrerBytesCached = 512

// Acquisition says how a visit came about, and whether its referrer is spam.
// pageHost is the host of the page, query its query without '?'. A referrer from
// pageHost itself is none. The strings may share memory with query, never with
// referrer or pageHost. No allocation without a referrer or with one that was
// seen before, unless query holds tags that need decoding.
func (e *Enricher) Acquisition(referrer, pageHost, query string) (acq analytics.Acquisition, spam bool) {
	r := e.referral(referrer)
	return e.sources.Acquire(r, strings.TrimPrefix(pageHost, "www."), query), r.Spam
}

func (e *Enricher) referral(referrer string) *source.Referral {
	if known, ok := e.referrals.GetString(referrer, 0); ok {
		return known
	}
	own := strings.Clone(referrer)
	r := e.sources.Read(own)
	if len(own) > referrerBytesCached {
		return &r
	}
	return e.referrals.Put(own, 0, r)
}

// Channel is the channel of a visit whose fields a trusted client gave.
func (e *Enricher) Channel(a *analytics.Acquisition) string {
	return e.sources.Channel(a.Source, a.Medium, a.Campaign, a.ClickID)
}

// Place says where addr is; the zero Place without a database or when it is not
// known there. addr is not kept.
func (e *Enricher) Place(addr netip.Addr) analytics.Place {
	if e.places == nil {
		return analytics.Place{}
	}
	return e.places.Find(addr)
}

// RegistrableDomain is visitor.RegistrableDomain from memory: no allocation for
// a host that was asked for before. host is not kept.
func (e *Enricher) RegistrableDomain(host string) string { return e.domains.Registrable(host) }

// ErrNoDatabase says that no place database was given.
var ErrNoDatabase = errors.New("no place database")

// Database tells which place database is in use and when it was built, or
// ErrNoDatabase.
func (e *Enricher) Database() (kind string, built time.Time, err error) {
	if e.places == nil {
		return "", time.Time{}, ErrNoDatabase
	}
	built, kind = e.places.Built()
	return kind, built, nil
}
