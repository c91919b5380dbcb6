package node

import (
	"context"
	"errors"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/cluster/rafthost"
	"footfall/http/door"
	"footfall/http/readcache"
	"footfall/persistence"
)

// askMax bounds a question.
const askMax = 30 * time.Second

// asker answers the doors' questions.
type asker struct{ n *Node }

// lasting tells whether visitors of a site without a name keep their ids over
// days. Of a site that is not known it says so, because nothing must be forgotten.
func (n *Node) lasting(id analytics.SiteID) bool {
	site, ok := n.control.View().SiteByID(id)
	return !ok || site.Uniques == analytics.UniquesWeekly || site.Uniques == analytics.UniquesMonthly
}

// reach finds the shard of a site and tells whether it has got as far as after.
func (a asker) reach(ctx context.Context, id analytics.SiteID, after analytics.Token) (shard uint16, err error) {
	if shard, err = a.shardOf(id); err != nil {
		return 0, err
	}
	if after.Shard == shard && !a.n.reached(ctx, rafthost.Group(shard), after.Index) {
		return 0, analytics.Errorf(analytics.Unavailable, "token: the state it names is not here yet")
	}
	return shard, nil
}

// Ask answers from a state that contains everything up to after.
func (a asker) Ask(ctx context.Context, id analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	shard, err := a.reach(ctx, id, after)
	if elsewhere(err) {
		return a.remoteAsk(ctx, err, id, q, after)
	}
	if err != nil {
		return nil, err
	}
	return a.n.sites.Ask(ctx, shard, id, q)
}

// Look lets f look at a state that contains everything up to after.
func (a asker) Look(ctx context.Context, id analytics.SiteID, after analytics.Token, f func(context.Context, *query.Picture) error) error {
	shard, err := a.reach(ctx, id, after)
	if err != nil {
		return err
	}
	return a.n.sites.Look(ctx, shard, id, f)
}

// Version numbers the data of [from, to) in a state that contains everything up
// to after.
func (a asker) Version(ctx context.Context, id analytics.SiteID, from, to int64, after analytics.Token) (version, index uint64, err error) {
	shard, err := a.reach(ctx, id, after)
	if elsewhere(err) {
		return a.remoteVersion(ctx, err, id, from, to, after)
	}
	if err != nil {
		return 0, 0, err
	}
	v, err := a.n.sites.View(ctx, shard, id)
	if err != nil {
		return 0, 0, err
	}
	return v.Version(from, to), v.Index, nil
}

// FirstEvent gives the time of a site's earliest event in Unix ms.
func (a asker) FirstEvent(id analytics.SiteID) (int64, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askMax)
	defer cancel()
	shard, err := a.shardOf(id)
	if err != nil {
		return 0, false, err
	}
	v, err := a.n.sites.View(ctx, shard, id)
	if err != nil || v.First == 0 {
		return 0, false, err
	}
	return v.First, true, nil
}

// elsewhere tells whether an error says that another node is to be asked.
func elsewhere(err error) bool {
	var e *door.Elsewhere
	return errors.As(err, &e)
}

// merchantAsker asks without tokens: a dashboard's own views are not waited for.
type merchantAsker struct{ *readcache.Cache }

func (a merchantAsker) Ask(ctx context.Context, id analytics.SiteID, q *query.Question) (*query.Answer, error) {
	return a.Cache.Ask(ctx, id, q, analytics.Token{})
}

// shardLog is the log as the flush cycle of sites sees it.
type shardLog struct{ n *Node }

func (l shardLog) Persisted(b persistence.Batch, shard uint16, index uint64) {
	l.n.host.Persisted(b, rafthost.Group(shard), index)
}

func (l shardLog) Truncated(shard uint16, index uint64) {
	l.n.host.Truncated(rafthost.Group(shard), index)
}
