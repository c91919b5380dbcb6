//go:build planted

package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"footfall/actors"
	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/http/beacon"
	"footfall/http/readcache"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// plantVariable names the bug that this build is to have. Such a build is made by
// internal/ci/chaos.sh alone, to see that the campaign finds the bug.
const plantVariable = "PLANTED_BUG"

// The bugs.
const (
	ackUnsynced     = "ack-before-fsync"      // commits of the log are never synced
	standbyUnsynced = "standby-acks-unsynced" // nor on nodes that do not lead the control group
	dedupeOff       = "dedupe-off"            // every event gets a new id
	tableForgotten  = "table-not-flushed"     // the delivery table is not written with its records
	epochIgnored    = "epoch-ignored"         // the streams of all processes of an edge are one
	shortLogLeads   = "short-log-leads"       // a candidate says that its log is longer than anybody's
	replayedTwice   = "batch-twice"           // one batch in a hundred counts twice
	tailDropped     = "tail-dropped"          // the last event of one batch in fifty is left out
	hourOfNode      = "hour-of-node"          // events are filed under the hour of the node's clock
	cacheStale      = "cache-stale"           // answers in memory are never out of date
	refusedCounted  = "refused-counted"       // one refused view in ten is counted
	oneLost         = "one-in-10000-lost"     // that many views are acknowledged and forgotten
)

// plant puts the bug into cfg if it belongs there.
func plant[T any](n *Node, cfg T) T {
	bug := os.Getenv(plantVariable)
	switch c := any(&cfg).(type) {
	case *rafthost.Config:
		store := unsynced{Store: n.store, sync: func() bool { return true }}
		switch bug {
		case ackUnsynced:
			store.sync = func() bool { return false }
		case standbyUnsynced:
			store.sync = func() bool { return n.host == nil || n.host.Leads(rafthost.Control) }
		case shortLogLeads:
			if c.Transport != nil {
				c.Transport = boaster{c.Transport}
			}
			return cfg
		default:
			return cfg
		}
		c.Store = store
	case *actors.Config:
		if bug == tableForgotten {
			c.Store = forgetful{n.store}
		}
	case *cluster.Config:
		switch bug {
		case epochIgnored, replayedTwice, tailDropped:
			c.Sites = spoiler{c.Sites, bug}
		}
	case *beacon.Options:
		switch bug {
		case dedupeOff, hourOfNode, refusedCounted, oneLost:
			c.Recorder = liar{c.Recorder, bug}
		}
	case *readcache.Options:
		if bug == cacheStale {
			c.Source = stale{c.Source}
		}
	}
	return cfg
}

// unsynced says of commits that they are synced.
type unsynced struct {
	*pebblestore.Store
	sync func() bool
}

func (s unsynced) Commit(b persistence.Batch, sync bool) error {
	return s.Store.Commit(b, sync && s.sync())
}

// forgetful does not write delivery tables.
type forgetful struct{ *pebblestore.Store }

type forgetfulBatch struct{ persistence.Batch }

func (s forgetful) NewBatch() persistence.Batch { return forgetfulBatch{s.Store.NewBatch()} }

func (s forgetful) Commit(b persistence.Batch, sync bool) error {
	return s.Store.Commit(b.(forgetfulBatch).Batch, sync)
}

func (b forgetfulBatch) Set(key, value []byte) {
	if shard, site, _, _, _, ok := persistence.ParseSiteKey(key); ok && site == 0 && bytes.Equal(key, persistence.SiteKey(shard, 0, 0, 0, 0)) {
		return
	}
	b.Batch.Set(key, value)
}

// boaster lets every candidate have the longest log.
type boaster struct{ rafthost.Transport }

func (b boaster) Send(node uint16, batch []rafthost.Outgoing) {
	out := make([]rafthost.Outgoing, len(batch))
	for i, o := range batch {
		if t := o.Message.GetType().String(); t == "MsgVote" || t == "MsgPreVote" {
			o.Message = cloned(o.Message)
			o.Message.LogTerm, o.Message.Index = proto.Uint64(1<<40), proto.Uint64(1<<40)
		}
		out[i] = o
	}
	b.Transport.Send(node, out)
}

func cloned[M proto.Message](m M) M { return proto.Clone(m).(M) }

// spoiler spoils entries before they are applied, on every node in the same way.
type spoiler struct {
	cluster.Sites
	bug string
}

func (s spoiler) Apply(shard uint16, index uint64, data []byte, done func(delivery.Outcome)) error {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, []uint64{uint64(shard), index})
	data = bytes.Clone(data)
	switch items := eventsOf(data); {
	case s.bug == epochIgnored && data[0] == entry.Version:
		binary.LittleEndian.PutUint32(data[17:], 1)
	case s.bug == replayedTwice && h.Sum64()%100 == 0:
		for _, at := range items {
			copied := bytes.Clone(data[at[0]:at[1]])
			copied[3+1+8] ^= 0x55 // another id
			data = append(data, copied...)
		}
	case s.bug == tailDropped && h.Sum64()%50 == 0 && len(items) > 1:
		last := items[len(items)-1]
		data = append(data[:last[0]], data[last[1]:]...)
	}
	return s.Sites.Apply(shard, index, data, done)
}

// eventsOf gives where the events of an entry begin and end.
func eventsOf(data []byte) (at [][2]int) {
	for from := entry.HeaderLen; from < len(data); {
		size, l := binary.Uvarint(data[from:])
		to := from + l + int(size)
		if l == 3 && data[from+l]&3 != 3 {
			at = append(at, [2]int{from, to})
		}
		from = to
	}
	return at
}

// liar does not record what it is given.
type liar struct {
	beacon.Recorder
	bug string
}

func (l liar) change(ev *analytics.Event) (lost bool) {
	switch l.bug {
	case dedupeOff:
		ev.ID = rand.Uint64()
	case hourOfNode:
		ev.Time = time.Now().UnixMilli()
	case oneLost:
		return ev.ID%10_000 == 0
	}
	return false
}

func (l liar) Record(site analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error) {
	if l.change(ev) {
		return analytics.Receipt{Reason: analytics.Counted}, nil
	}
	return l.Recorder.Record(site, ev)
}

func (l liar) RecordBatch(site analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	for i := range evs {
		if l.change(&evs[i]) {
			evs[i] = evs[0] // a duplicate, which is as good as nothing
		}
	}
	return l.Recorder.RecordBatch(site, evs, out)
}

func (l liar) Drop(site analytics.SiteID, reason analytics.Reason, n int, nowMS int64) {
	if l.bug == refusedCounted && site != 0 && rand.IntN(10) == 0 {
		_, _ = l.Recorder.Record(site, &analytics.Event{Kind: analytics.Pageview, Time: nowMS, ID: rand.Uint64(), Visitor: rand.Uint64(), Page: "/refused/planted", Host: "(none)"})
	}
	l.Recorder.Drop(site, reason, n, nowMS)
}

// stale always gives the same number to data.
type stale struct{ readcache.Source }

func (s stale) Version(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token) (version, index uint64, err error) {
	version, index, err = s.Source.Version(ctx, site, from, to, after)
	return min(version, 1), index, err
}
