// Package reporter sends the weekly and monthly reports of sites by e-mail and
// webhook. Of a cluster, the node that leads a site's shard sends them; the log of
// accounts says who is at it and who has it, so that each goes out once, also over
// restarts and changes of leader. Only a process that ends between an answer and
// the note of it makes one come twice, with the same id. It must never let a
// receiver that is slow or lies hold up others, reach into private networks unless
// told to, or write an address into a log. Start at Reporter.Pass.
package reporter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

// Sites is what a Reporter needs of sites. Calls are concurrent.
type Sites interface {
	// Plans walks the plans of all sites.
	Plans() iter.Seq[*accounts.Reports]
	Site(id analytics.SiteID) (*analytics.Site, bool)
	// Leads tells whether this node sends for a site.
	Leads(id analytics.SiteID) bool
	Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error)
	// Do makes a change of accounts.
	Do(ctx context.Context, change accounts.Change) (accounts.Result, error)
}

// Config is what a Reporter is made of. All but Mail are required.
type Config struct {
	Sites  Sites
	Clock  func() time.Time
	Random func() uint64
	Logger *slog.Logger
	Mail   *Mailer // nil: e-mail is not sent
	Hooks  *Hooks
	// URL gives the address of the dashboard, without a slash at its end.
	URL func() string
}

const (
	lookEvery = time.Minute
	// ripe is how long after its end, in the site's time, a period is reported: late
	// events come in, and it is read in the morning.
	ripe = 5 * time.Hour

	leaseFor  = 15 * time.Minute // a try that has not settled by then is given up
	sendMax   = 10 * time.Minute // a try ends by itself
	parallel  = 8                // tries at a time
	triesMax  = 8
	pauseMin  = 5 * time.Minute // after the first try; it doubles
	pauseMax  = 6 * time.Hour
	settleMax = 30 * time.Second
)

// Reporter sends reports. Run and Pass are for one goroutine.
type Reporter struct{ cfg Config }

// New makes a Reporter.
func New(cfg Config) *Reporter { return &Reporter{cfg} }

// Run makes a pass every minute until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if r.Pass(ctx) != nil {
			return nil // ctx ended
		}
	}
}

// Pass sends every report that is due. The error is that of ctx; what fails is
// logged and tried again.
func (r *Reporter) Pass(ctx context.Context) error {
	var tries errgroup.Group
	tries.SetLimit(parallel)
	for plans := range r.cfg.Sites.Plans() {
		if ctx.Err() != nil {
			break
		}
		site, ok := r.cfg.Sites.Site(plans.Site)
		if !ok || !r.cfg.Sites.Leads(site.ID) {
			continue
		}
		for _, cadence := range accounts.Cadences() {
			if t, due := r.due(site, plans, cadence); due {
				tries.Go(func() error {
					if err := t.run(ctx); err != nil && ctx.Err() == nil {
						r.cfg.Logger.Error("send a report", "site", uint64(t.site.ID), "cadence", string(t.cadence), "period", t.name(), "error", err)
					}
					return nil
				})
			}
		}
	}
	err := tries.Wait()
	return errors.Join(err, ctx.Err())
}

// try is one attempt to send the report of one period.
type try struct {
	*Reporter
	site    *analytics.Site
	plans   *accounts.Reports
	cadence accounts.Cadence
	period  period
	by      uint64
}

func (t *try) name() string { return t.period.First.String() }

// due tells whether the report of a site's last period is to be sent now.
func (r *Reporter) due(site *analytics.Site, plans *accounts.Reports, cadence accounts.Cadence) (*try, bool) {
	plan, progress := plans.Of(cadence)
	now := r.cfg.Clock()
	t := &try{Reporter: r, site: site, plans: plans, cadence: cadence, period: last(cadence, now.Add(-ripe), site.Zone()), by: r.cfg.Random() | 1}
	switch {
	case len(r.open(plan, nil)) == 0:
		return nil, false
	case t.period.To <= progress.Since:
		return nil, false
	case progress.Period > t.name() || progress.Period == t.name() && (progress.Over || progress.Until > now.UnixMilli()):
		return nil, false
	}
	return t, true
}

// open lists where a report is still to go. Without a mail server that is to
// webhooks only, so a plan of nothing but e-mail waits.
func (r *Reporter) open(plan accounts.ReportPlan, sent []string) (to []string) {
	all := slices.Clone(plan.Webhooks)
	if r.cfg.Mail != nil {
		all = append(all, plan.Emails...)
	}
	for _, x := range all {
		if !slices.Contains(sent, x) {
			to = append(to, x)
		}
	}
	return to
}

// run claims the report, sends it and says what became of it.
func (t *try) run(ctx context.Context) error {
	claimed, err := t.cfg.Sites.Do(ctx, &accounts.ClaimReport{Site: t.site.ID, Cadence: t.cadence, Period: t.name(), By: t.by,
		Until: t.cfg.Clock().Add(leaseFor).UnixMilli()})
	if code := analytics.CodeOf(err); err != nil && (code == analytics.Conflict || code == analytics.NotFound) {
		return nil // somebody else was faster, or it was removed
	}
	if err != nil {
		return fmt.Errorf("claim it: %w", err)
	}
	t.plans = claimed.Reports
	plan, progress := t.plans.Of(t.cadence)
	open := t.open(plan, progress.Sent)
	settle := &accounts.SettleReport{Site: t.site.ID, Cadence: t.cadence, Period: t.name(), By: t.by}

	limit, cancel := context.WithTimeout(ctx, sendMax)
	defer cancel()
	report, failure := t.write(limit)
	if failure == nil {
		settle.Sent, failure = t.send(limit, report, plan, open)
	}
	settle.Over = len(settle.Sent) == len(open) || progress.Tries >= triesMax
	settle.Until = t.cfg.Clock().Add(pause(progress.Tries)).UnixMilli()
	if failure != nil && progress.Tries >= triesMax {
		failure = fmt.Errorf("given up after %d tries: %w", progress.Tries, failure)
	}
	// What was sent is noted also when the process is about to end.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleMax)
	defer cancel()
	if _, err := t.cfg.Sites.Do(note, settle); err != nil {
		return errors.Join(failure, fmt.Errorf("note what was sent: %w", err))
	}
	return failure
}

// pause is how long after a try the next one follows.
func pause(tries int) time.Duration {
	return min(pauseMin<<min(max(tries-1, 0), 16), pauseMax)
}

// send gives the addresses that are done with, and the first failure.
func (t *try) send(ctx context.Context, report *Report, plan accounts.ReportPlan, open []string) (done []string, failure error) {
	for _, to := range open {
		if !slices.Contains(plan.Webhooks, to) {
			continue
		}
		if err := t.cfg.Hooks.post(ctx, to, t.plans.Secret, report); err != nil {
			failure = errors.Join(failure, fmt.Errorf("webhook: %w", err))
			continue
		}
		done = append(done, to)
	}
	mails := slices.DeleteFunc(slices.Clone(open), func(to string) bool { return !slices.Contains(plan.Emails, to) })
	if len(mails) > 0 {
		sent, err := t.cfg.Mail.send(ctx, mails, report)
		done = append(done, sent...)
		if err != nil {
			failure = errors.Join(failure, fmt.Errorf("e-mail: %w", err))
		}
	}
	return done, failure
}
