// Package keeper does what time asks of sites: days beyond a site's retention
// setting go, and months that have ended are closed with their figures. It only
// proposes commands; what becomes of them is decided by the site's log. It must
// never wake a site up that has nothing to do: it reads headers, a bounded number
// a second, and those only when a month has turned somewhere or a retention
// setting asks for it. Start at Keeper.Run.
package keeper

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
)

// Sites is what the keeper needs of sites. Calls are never concurrent.
type Sites interface {
	// All walks all sites.
	All() iter.Seq[*analytics.Site]
	// Leads tells whether this node may propose commands for a site now.
	Leads(id analytics.SiteID) bool
	// Summary reads what was last written of a site without waking it up.
	Summary(id analytics.SiteID) (sum site.Summary, ok bool, err error)
	Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error)
	// Command applies an item made by package entry.
	Command(ctx context.Context, id analytics.SiteID, item []byte) error
}

// Config is what a Keeper needs; all fields but PerSecond are required.
type Config struct {
	Sites  Sites
	Clock  func() time.Time
	Logger *slog.Logger
	// PerSecond bounds how many headers are read a second; 0 means no bound.
	PerSecond int
}

const (
	// Grace is how long after its end a month is closed: late events still come in.
	Grace = 72 * time.Hour

	lookEvery   = time.Minute // how often it is seen whether an hour has begun
	paceEvery   = 100 * time.Millisecond
	againMax    = 4096 // sites remembered to be tried again
	monthsMax   = 240  // of one site closed in a pass; the others follow in the next
	commandWait = 30 * time.Second
)

// Keeper looks after the sites of a node. Not safe for concurrent use.
type Keeper struct {
	cfg    Config
	due    map[string]int32                    // by time zone: month up to which its sites were looked at
	again  map[analytics.SiteID]bool           // sites of which that failed or was not finished
	kept   map[analytics.SiteID]int32          // first day that was asked for, of sites with a retention setting
	looked int                                 // headers read since the last pause
	wait   func(ctx context.Context) error     // a pause
	counts struct{ sealed, retained, bad int } // of a pass
}

// New makes a Keeper.
func New(cfg Config) *Keeper {
	return &Keeper{cfg: cfg, due: map[string]int32{}, again: map[analytics.SiteID]bool{}, kept: map[analytics.SiteID]int32{}}
}

// Run makes a pass once in every hour of the clock, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	pause := time.NewTicker(paceEvery)
	defer pause.Stop()
	k.wait = func(ctx context.Context) error {
		select {
		case <-pause.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		hour := k.cfg.Clock().Truncate(time.Hour)
		if hour.Equal(last) {
			continue
		}
		last = hour
		if k.Pass(ctx) != nil {
			return nil // ctx ended
		}
	}
}

// Pass looks after every site once. The error is that of ctx; what fails for a
// site is logged and tried again in the next pass.
func (k *Keeper) Pass(ctx context.Context) error {
	now := k.cfg.Clock()
	kept := make(map[analytics.SiteID]int32, len(k.kept))
	turned := map[string]int32{} // zones whose sites are looked at in this pass
	again := k.again
	k.again = map[analytics.SiteID]bool{}
	k.counts.sealed, k.counts.retained, k.counts.bad = 0, 0, 0
	for s := range k.cfg.Sites.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !k.cfg.Sites.Leads(s.ID) {
			continue
		}
		month := monthDue(now, s.Zone())
		if k.due[s.Timezone] < month || again[s.ID] {
			turned[s.Timezone] = max(month, k.due[s.Timezone])
			if err := k.tried(ctx, s, k.seal(ctx, s, month)); err != nil {
				return err
			}
		}
		if s.RetentionDays <= 0 {
			continue
		}
		day := firstKept(now, s)
		if k.kept[s.ID] < day {
			err := k.retain(ctx, s, day)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				k.failed(s, err)
				continue
			}
		}
		kept[s.ID] = max(day, k.kept[s.ID])
	}
	k.kept = kept
	for zone, month := range turned {
		k.due[zone] = month
	}
	if c := k.counts; c.sealed+c.retained+c.bad > 0 {
		k.cfg.Logger.Info("sites looked after", "months_closed", c.sealed, "sites_shortened", c.retained, "failed", c.bad)
	}
	return nil
}

// tried remembers whether a site has to be looked at again although its month
// was.
func (k *Keeper) tried(ctx context.Context, s *analytics.Site, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	if err != errUnfinished {
		k.failed(s, err)
	}
	if len(k.again) < againMax {
		k.again[s.ID] = true
	}
	return nil
}

func (k *Keeper) failed(s *analytics.Site, err error) {
	k.counts.bad++
	k.cfg.Logger.Error("look after a site", "site", uint64(s.ID), "error", err)
}

// summary reads a header at the pace that is allowed.
func (k *Keeper) summary(ctx context.Context, id analytics.SiteID) (site.Summary, bool, error) {
	if k.cfg.PerSecond > 0 && k.wait != nil {
		if k.looked++; k.looked >= max(1, k.cfg.PerSecond*int(paceEvery)/int(time.Second)) {
			k.looked = 0
			if err := k.wait(ctx); err != nil {
				return site.Summary{}, false, err
			}
		}
	}
	return k.cfg.Sites.Summary(id)
}

func (k *Keeper) command(ctx context.Context, id analytics.SiteID, item []byte) error {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	return k.cfg.Sites.Command(ctx, id, item)
}

// firstKept gives the first UTC day of which something belongs to the days that
// a site keeps: today in its zone and as many before as its setting says.
func firstKept(now time.Time, s *analytics.Site) int32 {
	d := calendar.DateOf(now.UnixMilli(), s.Zone()).AddDays(-s.RetentionDays)
	return column.DayOf(calendar.DayStart(d.Year, d.Month, d.Day, s.Zone(), false))
}

func (k *Keeper) retain(ctx context.Context, s *analytics.Site, day int32) error {
	sum, ok, err := k.summary(ctx, s.ID)
	if err != nil || !ok || sum.Oldest == 0 || sum.Oldest >= day || sum.Kept >= day {
		return err
	}
	if err := k.command(ctx, s.ID, entry.AppendRetain(nil, s.ID, day)); err != nil {
		return fmt.Errorf("drop days before %d: %w", day, err)
	}
	k.counts.retained++
	return nil
}
