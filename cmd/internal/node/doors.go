package node

import (
	"context"
	"crypto/rand"
	"net"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster"
	"footfall/cluster/control"
	"footfall/cmd/internal/local"
	"footfall/dashboard"
	"footfall/demo"
	"footfall/http/beacon"
	"footfall/http/beacon/script"
	"footfall/http/door"
	"footfall/http/edge"
	"footfall/http/export"
	"footfall/http/inspect"
	"footfall/http/merchant"
	"footfall/http/operator"
	"footfall/http/partner"
	"footfall/http/provision"
	"footfall/http/readcache"
	"footfall/http/report"
	"footfall/tracker"
)

// openDoors makes the HTTP side.
func (n *Node) openDoors(extra func(*Node) []door.Route) error {
	token, err := local.EnsureToken(n.cfg.Data, rand.Reader)
	if err != nil {
		return err
	}
	n.answers = readcache.New(plant(n, readcache.Options{Source: asker{n}, Metrics: n.set}))
	name := n.name()
	n.watch = inspect.New(inspect.Options{Edge: name, Now: n.clock.Now})
	n.merchant = merchant.New(merchant.Options{
		Accounts:  n.control,
		Asker:     merchantAsker{n.answers},
		Live:      live{n},
		Drops:     drops{n},
		Eraser:    eraser{n},
		Seals:     seals{n},
		Signs:     signs{n},
		Watch:     n.watch,
		Peers:     n.peers(),
		Placer:    n.placer(),
		SendsMail: n.cfg.Mail.Enabled(),
		Clock:     n.clock.Now,
		Trusted:   n.cfg.TrustedProxies,
		PublicURL: n.cfg.PublicURL,
	})
	beacons := beacon.New(plant(n, beacon.Options{
		Recorder:   n.router,
		Directory:  n.control,
		Salts:      n.secrets(),
		Enricher:   n.enrich,
		Now:        n.clock.Now,
		Trusted:    n.cfg.TrustedProxies,
		Metrics:    n.set,
		Inspector:  n.watch,
		PerAddress: n.cfg.RateLimitAddress.WholePerSecond(),
	}))
	perHour := n.cfg.APIKeysPerHour
	if perHour == 0 {
		perHour = -1 // the door's word for no limit
	}
	partners := partner.New(partner.Config{
		Asker:           n.answers,
		Looker:          asker{n},
		Placer:          n.placer(),
		Directory:       directory{n.control},
		First:           asker{n},
		Clock:           n.clock.Now,
		ServedBy:        name,
		RequestsPerHour: perHour,
		Timeout:         askMax,
	})
	provisions := provision.New(provision.Config{
		Accounts:  n.control,
		Limited:   partners.Limited,
		Clock:     n.clock.Now,
		PublicURL: n.cfg.PublicURL,
		Trusted:   n.cfg.TrustedProxies,
		Check: func(ctx context.Context, site *analytics.Site, who accounts.Identity, filters any) error {
			_, err := partners.Filter(ctx, site, who, filters)
			return err
		},
	})
	reports := report.New(report.Config{
		Dialect:  partners,
		Looker:   asker{n},
		Goals:    directory{n.control},
		Clock:    n.clock.Now,
		ServedBy: name,
		Cache:    n.answers,
		Timeout:  askMax,
	})
	n.exports = export.New(export.Config{
		Dialect: partners,
		Looker:  export.Pictures(asker{n}),
		Clock:   n.clock.Now,
		Random:  rand.Reader,
		Logger:  n.logger,
		Metrics: n.set,
	})
	shop, err := merchant.Demo(demo.Files())
	if err != nil {
		return err
	}
	files, err := merchant.NewFiles(dashboard.Files())
	if err != nil {
		return err
	}
	var routes []door.Route
	for _, more := range [][]door.Route{beacons.Routes(), script.Routes(tracker.Files()), partners.Routes(), provisions.Routes(),
		reports.Routes(), n.exports.Routes(), n.merchant.Routes(), shop,
		operator.New(n, n.orders(), n.set).Routes(), extra(n)} {
		routes = append(routes, more...)
	}
	var dial func(context.Context, uint16) (net.Conn, error)
	if n.clustered() {
		dial = n.member.Wire().Dial
	}
	n.edge, err = edge.New(edge.Options{
		Routes:   routes,
		Dial:     dial,
		Fallback: files.Dashboard,
		Framed:   "/share/",
		Auth:     merchant.NewAuthenticator(n.control, accounts.HashOf([]byte(token)), n.clock.Now),
		Trusted:  n.cfg.TrustedProxies,
		Metrics:  n.set,
		Logger:   n.logger,
		CloseStreams: func() {
			n.merchant.CloseStreams()
			n.exports.CloseStreams()
		},
	})
	return err
}

// directory is what the statistics must know of sites.
type directory struct{ *control.Control }

// Goals gives the goals of a site.
func (d directory) Goals(site analytics.SiteID) []*analytics.Goal { return d.View().Goals(site) }

// Segment gives a saved filter of a site.
func (d directory) Segment(site analytics.SiteID, id uint64) (*analytics.Segment, bool) {
	return d.View().Segment(site, id)
}

// live tells open dashboards of changes.
type live struct{ n *Node }

func (l live) Subscribe(id analytics.SiteID) (changed <-chan struct{}, index func() uint64, cancel func(), err error) {
	if err := l.n.here(id, false); err != nil {
		return nil, nil, nil, err
	}
	changed, index, cancel = l.n.sites.Subscribe(id)
	return changed, index, cancel, nil
}

// drops gives the counts of dropped events of a site.
type drops struct{ n *Node }

func (d drops) Drops(ctx context.Context, id analytics.SiteID) (map[int32]map[analytics.Reason]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	if err := d.n.here(id, false); err != nil {
		return nil, err
	}
	return d.n.sites.Drops(ctx, cluster.ShardOf(id), id)
}

// signs tells whether anything comes in for a site.
type signs struct{ n *Node }

func (s signs) Signs(ctx context.Context, id analytics.SiteID) (first, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	if err := s.n.here(id, false); err != nil {
		return 0, 0, err
	}
	v, err := s.n.sites.View(ctx, cluster.ShardOf(id), id)
	if err != nil || v.First == 0 {
		return 0, 0, err
	}
	last = v.First
	for i := range v.Days {
		last = max(last, v.Days[i].Last)
	}
	return v.First, last, nil
}

// gauges tells the metrics what the parts are doing.
func (n *Node) gauges() {
	gauge := func(name string, f func() float64) { n.set.GetOrCreateGauge(name, f) }
	gauge("footfall_sites_resident", func() float64 { return float64(n.sites.Resident()) })
	gauge("footfall_sites_quarantined", func() float64 { return float64(n.sites.Quarantined()) })
	gauge("footfall_sites_known", func() float64 { return float64(n.control.View().SitesCount()) })
	gauge("footfall_block_cache_bytes", func() float64 { return float64(n.sites.CacheBytes()) })
	gauge("footfall_views_pending_bytes", func() float64 { return float64(n.router.Pending()) })
	gauge("footfall_log_unflushed_bytes", func() float64 { return float64(n.host.TotalLogBytes()) })
	gauge("footfall_inspected_sites", func() float64 { return float64(n.watch.Sites()) })
	gauge("footfall_inspected_bytes", func() float64 { return float64(n.watch.Bytes()) })
	gauge("footfall_log_syncs_total", func() float64 { return float64(n.host.Stats().Syncs) })
	gauge("footfall_log_entries_total", func() float64 { return float64(n.host.Stats().Entries) })
	gauge("footfall_log_sync_seconds_total", func() float64 { return n.host.Stats().SyncTime.Seconds() })
	if n.clustered() {
		n.clusterGauges()
	}
	gauge("footfall_disk_writable", func() float64 {
		if n.guard.Writable() {
			return 1
		}
		return 0
	})
}
