package node

import (
	"context"
	"iter"
	"math/rand/v2"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cmd/internal/reporter"
)

// sendReports sends the reports of sites until ctx ends.
func (n *Node) sendReports(ctx context.Context) error {
	var mailer *reporter.Mailer
	if m := n.cfg.Mail; m.Enabled() {
		mailer = reporter.NewMailer(reporter.MailConfig{Address: m.Address, TLS: m.TLS, User: m.User, Password: m.Password, From: m.From})
	}
	return reporter.New(reporter.Config{
		Sites:  reported{kept{n}},
		Clock:  n.clock.Now,
		Random: rand.Uint64,
		Logger: n.logger,
		Mail:   mailer,
		Hooks:  reporter.NewHooks(reporter.HooksConfig{Clock: n.clock.Now, Private: n.cfg.WebhookPrivate}),
		URL:    n.URL,
	}).Run(ctx)
}

// reported is the sites as the reporter sees them.
type reported struct{ kept }

func (r reported) Plans() iter.Seq[*accounts.Reports] { return r.n.control.View().AllReports }

func (r reported) Site(id analytics.SiteID) (*analytics.Site, bool) {
	return r.n.control.View().SiteByID(id)
}

func (r reported) Do(ctx context.Context, change accounts.Change) (accounts.Result, error) {
	return r.n.control.Do(ctx, change)
}
