package node

import (
	"context"
	"iter"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/analytics/site"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/cmd/internal/keeper"
)

// headersPerSecond is how many headers the keeper may read a second: a million
// sites take half an hour when a month has turned.
const headersPerSecond = 500

// keep runs the keeper until ctx ends.
func (n *Node) keep(ctx context.Context) error {
	return keeper.New(keeper.Config{Sites: kept{n}, Clock: n.clock.Now, Logger: n.logger, PerSecond: headersPerSecond}).Run(ctx)
}

// kept is the sites as the keeper sees them.
type kept struct{ n *Node }

func (k kept) All() iter.Seq[*analytics.Site] { return k.n.control.View().Sites(0) }

func (k kept) Leads(id analytics.SiteID) bool {
	return k.n.host.Leads(rafthost.Group(cluster.ShardOf(id)))
}

func (k kept) Summary(id analytics.SiteID) (site.Summary, bool, error) {
	return k.n.sites.Summary(cluster.ShardOf(id), id)
}

func (k kept) Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error) {
	return asker{k.n}.Ask(ctx, id, q, analytics.Token{})
}

func (k kept) Command(ctx context.Context, id analytics.SiteID, item []byte) error {
	_, err := k.n.router.Command(ctx, id, item)
	return err
}
