package node

import (
	"context"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// askMax bounds a question.
const askMax = 30 * time.Second

// asker answers the doors' questions.
type asker struct{ n *Node }

// Ask answers from a state that contains everything up to after.
func (a asker) Ask(ctx context.Context, id analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	shard := cluster.ShardOf(id)
	if after.Shard == shard && after.Index > a.n.host.Applied(rafthost.Group(shard)) {
		return nil, analytics.Errorf(analytics.Unavailable, "token: the state it names is not here yet")
	}
	return a.n.sites.Ask(ctx, shard, id, q)
}

// FirstEvent gives the time of a site's earliest event in Unix ms.
func (a asker) FirstEvent(id analytics.SiteID) (int64, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askMax)
	defer cancel()
	v, err := a.n.sites.View(ctx, cluster.ShardOf(id), id)
	if err != nil || v.First == 0 {
		return 0, false, err
	}
	return v.First, true, nil
}

// merchantAsker is the asker without tokens: a dashboard's own views are not
// waited for.
type merchantAsker struct{ asker }

func (a merchantAsker) Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error) {
	return a.asker.Ask(ctx, id, q, analytics.Token{})
}

// shardLog is the log as the flush cycle of sites sees it.
type shardLog struct{ n *Node }

func (l shardLog) Persisted(b persistence.Batch, shard uint16, index uint64) {
	l.n.host.Persisted(b, rafthost.Group(shard), index)
}

func (l shardLog) Truncated(shard uint16, index uint64) {
	l.n.host.Truncated(rafthost.Group(shard), index)
}
