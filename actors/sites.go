// Package actors holds the Proto.Actor shells around the pure state machines:
// one actor for each active site. A shell loads and stores records, hands log
// entries in, and gives immutable views out; it decides nothing that is
// counted. Events never wait for a question: evaluation runs on the asker's
// goroutine over a view, a bounded number at a time. Start at Sites.
package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sync/semaphore"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/site"
	"footfall/persistence"
)

// Log is what the flush cycle needs of the replicated log.
type Log interface {
	// Persisted adds to b that records hold the log up to index, and the
	// truncation that this allows.
	Persisted(b persistence.Batch, shard uint16, index uint64)
	// Truncated is called when such a batch has been committed.
	Truncated(shard uint16, index uint64)
}

// Config is what Sites needs. CacheBytes, BudgetRows, Lasting and Present may be
// missing.
type Config struct {
	Store  persistence.Store
	Log    Log
	Shards int
	Logger *slog.Logger
	// CacheBytes bounds what questions read and remember, in memory; 0 means 64 MiB.
	CacheBytes uint64
	// BudgetRows is how many events and visits one question may look at; 0 means no
	// limit.
	BudgetRows int64
	// Lasting tells whether visitors of a site keep their ids over days, so that ids
	// must be kept; nil: of all. It may be called from many goroutines.
	Lasting func(site analytics.SiteID) bool
	// Present tells which shards are kept here when New is called; nil: all. Those
	// that come later are told by Reset or Add.
	Present func(shard uint16) bool
	// Erased is told of each Erase that was applied, at a log index, again after a
	// restart that replays it: what it took away is still in older records and in
	// the log. It must not block; nil: nobody wants to know.
	Erased func(shard uint16, site analytics.SiteID, index uint64)
	Clock  func() time.Time
}

// unappliedBytesMax bounds the entries that wait in mailboxes: a replay reads
// the log faster than sites apply it.
const unappliedBytesMax = 4 << 20

// Sites owns the actors of all sites of a node. Safe for concurrent use, but
// Apply must be called in log order for each shard.
type Sites struct {
	cfg     Config
	system  *actor.ActorSystem
	shards  []shard
	blocks  *blockCache
	days    *dayCache
	turns   *turns
	squeeze *squeezer
	room    *semaphore.Weighted // bytes of entries handed to actors and not yet applied
	live    topics

	resident atomic.Int64
	failed   atomic.Int64
	stopped  atomic.Bool
}

// quiet lets only warnings and worse of the actor system through.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

// ref is a site in memory. Fields after pid are guarded by shard.mu.
type ref struct {
	pid     *actor.PID
	sent    uint64 // index of the last entry sent
	flushed uint64 // index up to which its records hold it
	used    time.Time
}

// New makes a Sites without any actor.
func New(cfg Config) *Sites {
	return newSites(cfg, newSystem(cfg.Logger))
}

func newSystem(logger *slog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(quiet{logger.Handler()}) }))
}

func newSites(cfg Config, system *actor.ActorSystem) *Sites {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	squeeze := newSqueezer()
	s := &Sites{cfg: cfg, system: system, shards: make([]shard, cfg.Shards), blocks: newBlockCache(cfg.Store, squeeze, cfg.CacheBytes/8),
		days: newDayCache(cfg.CacheBytes), squeeze: squeeze, turns: newTurns(runtime.GOMAXPROCS(0)), room: semaphore.NewWeighted(unappliedBytesMax)}
	for i := range s.shards {
		s.shards[i].sites = make(map[analytics.SiteID]*ref)
		s.shards[i].dirty = make(map[analytics.SiteID]*ref)
		s.shards[i].present = cfg.Present == nil || cfg.Present(uint16(i))
	}
	return s
}

// siteLocked finds the actor of a site, starting it if it is not in memory. The
// caller holds shard.mu.
func (s *Sites) siteLocked(sh *shard, n uint16, id analytics.SiteID) *ref {
	r := sh.sites[id]
	if r == nil {
		r = &ref{}
		a := &siteActor{sites: s, shard: n, id: id, life: sh.life.Load()}
		r.pid = s.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return a },
			actor.WithMailbox(actor.UnboundedLockfree())))
		sh.sites[id] = r
		s.resident.Add(1)
	}
	return r
}

// apply is one log entry's share of a site.
type apply struct {
	index uint64
	now   int64
	items []entry.Item
	at    []int32 // place of each item in the entry; nil: the same
	round *round
}

// round collects what became of the items of an entry.
type round struct {
	pending atomic.Int32
	reasons []analytics.Reason
	done    func(delivery.Outcome)
	items   []entry.Item
	room    *semaphore.Weighted
	weight  int64
}

func (r *round) finish() {
	if r.pending.Add(-1) > 0 {
		return
	}
	r.room.Release(r.weight)
	if r.done != nil {
		r.done(delivery.Outcome{Reasons: r.reasons})
	}
	clear(r.items)
	itemPool.Put(&r.items)
}

var itemPool = sync.Pool{New: func() any { return new([]entry.Item) }}

// Apply decides on an entry of a shard's log and, if it is to count, hands it to
// its sites. done, if not nil, is called once, on any goroutine, with what became
// of it: the decision, and for an entry that counts of each item, Undecided if
// its site is quarantined. data must not change any more. It waits while too
// much is handed over and not yet applied. An entry that the shard contains
// already is a duplicate. A shard of which an entry comes is kept here.
func (s *Sites) Apply(n uint16, index uint64, data []byte, done func(delivery.Outcome)) error {
	rd, err := entry.Open(data)
	if err != nil {
		return fmt.Errorf("shard %d entry %d: %w", n, index, err)
	}
	items := (*itemPool.Get().(*[]entry.Item))[:0]
	for {
		items = append(items, entry.Item{})
		more, err := rd.Next(&items[len(items)-1])
		if err != nil {
			return fmt.Errorf("shard %d entry %d: %w", n, index, err)
		}
		if !more {
			items = items[:len(items)-1]
			break
		}
	}
	r := &round{reasons: make([]analytics.Reason, len(items)), done: done, items: items,
		room: s.room, weight: min(int64(len(data)), unappliedBytesMax)}
	if err := s.room.Acquire(context.Background(), r.weight); err != nil {
		return err
	}
	r.pending.Store(1)
	decision, err := s.hand(n, r, delivery.Entry{Index: index, Edge: rd.Edge, Epoch: rd.Epoch, Sequence: rd.Sequence, Time: rd.Time})
	if err == nil && decision.Verdict != delivery.Apply {
		r.done = nil
		if done != nil {
			done(delivery.Outcome{Decision: decision})
		}
	}
	if err != nil {
		r.done = nil
	}
	r.finish()
	return err
}

// hand decides on an entry and hands its items to their sites, both at the same
// moment of the shard.
func (s *Sites) hand(n uint16, r *round, e delivery.Entry) (delivery.Decision, error) {
	sh := &s.shards[n]
	sh.mu.Lock()
	for sh.table == nil {
		sh.mu.Unlock()
		if err := s.loaded(n); err != nil {
			return delivery.Decision{}, err
		}
		sh.mu.Lock()
	}
	defer sh.mu.Unlock()
	if e.Index <= sh.applied { // the records hold it, or its sites have it
		return delivery.Decision{Verdict: delivery.Duplicate}, nil
	}
	sh.applied, sh.present = e.Index, true
	decision := sh.table.Decide(e)
	if decision.Verdict != delivery.Apply {
		return decision, nil
	}
	items, shardTime, now := r.items, sh.table.Time(), s.cfg.Clock()
	s.turns.counted(len(items))
	send := func(id analytics.SiteID, msg *apply) {
		ref := s.siteLocked(sh, n, id)
		ref.sent, ref.used = e.Index, now
		sh.dirty[id] = ref
		r.pending.Add(1)
		s.system.Root.Send(ref.pid, msg)
	}
	if same(items) {
		if len(items) > 0 {
			send(items[0].Site, &apply{index: e.Index, now: shardTime, items: items, round: r})
		}
		return decision, nil
	}
	for _, part := range split(items) {
		send(part.items[0].Site, &apply{index: e.Index, now: shardTime, items: part.items, at: part.at, round: r})
	}
	return decision, nil
}

func same(items []entry.Item) bool {
	for i := range items {
		if items[i].Site != items[0].Site {
			return false
		}
	}
	return true
}

type part struct {
	items []entry.Item
	at    []int32
}

// split sorts items by site, keeping their order within one.
func split(items []entry.Item) []part {
	where := make(map[analytics.SiteID]int)
	var parts []part
	for i := range items {
		p, ok := where[items[i].Site]
		if !ok {
			p = len(parts)
			where[items[i].Site] = p
			parts = append(parts, part{})
		}
		parts[p].items = append(parts[p].items, items[i])
		parts[p].at = append(parts[p].at, int32(i))
	}
	return parts
}

// errStopped is given to whoever asks a node that is going down.
var errStopped = &analytics.Error{Code: analytics.Unavailable, Text: "the node is shutting down"}

// View gives an immutable picture of a site that contains every entry handed to
// Apply before. Of a shard that is not kept here it gives ErrElsewhere.
func (s *Sites) View(ctx context.Context, n uint16, id analytics.SiteID) (*site.View, error) {
	reply := make(chan viewed, 1)
	if err := s.tell(n, id, &viewRequest{reply: reply}); err != nil {
		return nil, err
	}
	select {
	case v := <-reply:
		return v.view, v.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Sites) tell(n uint16, id analytics.SiteID, msg any) error {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case s.stopped.Load():
		return errStopped
	case !sh.present:
		return ErrElsewhere
	}
	r := s.siteLocked(sh, n, id)
	r.used = s.cfg.Clock()
	s.system.Root.Send(r.pid, msg)
	return nil
}

// Look lets f look at a view of a site taken now.
func (s *Sites) Look(ctx context.Context, n uint16, id analytics.SiteID, f func(context.Context, *query.Picture) error) error {
	blocks := s.blocksOf(n) // before the view: what is replaced in between is noticed
	v, err := s.View(ctx, n, id)
	if err != nil {
		return err
	}
	days, release := s.days.of(id, blocks, func(ctx context.Context) (*site.View, error) { return s.View(ctx, n, id) })
	defer release()
	err = f(ctx, &query.Picture{View: v, Days: days, Fan: s.turns.fan, Yield: runtime.Gosched, Budget: s.cfg.BudgetRows})
	if errors.Is(err, context.DeadlineExceeded) {
		return analytics.Errorf(analytics.Unavailable, "date_range: the question took too long, ask about less")
	}
	return err
}

// Ask answers a question about a site from a view taken now.
func (s *Sites) Ask(ctx context.Context, n uint16, id analytics.SiteID, q *query.Question) (a *query.Answer, err error) {
	for range askTries {
		err = s.Look(ctx, n, id, func(ctx context.Context, p *query.Picture) error {
			a, err = p.Ask(ctx, q)
			return err
		})
		if !errors.Is(err, persistence.ErrNotFound) {
			break
		}
	}
	return a, err
}

// askTries is how often a question is asked whose view is overtaken by late
// events while it is answered.
const askTries = 3

// Drops gives the counts of dropped events of a site by UTC day and reason.
func (s *Sites) Drops(ctx context.Context, n uint16, id analytics.SiteID) (map[int32]map[analytics.Reason]uint64, error) {
	reply := make(chan map[int32]map[analytics.Reason]uint64, 1)
	if err := s.tell(n, id, &dropsRequest{reply: reply}); err != nil {
		return nil, err
	}
	select {
	case d := <-reply:
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Resident is the number of sites in memory.
func (s *Sites) Resident() int { return int(s.resident.Load()) }

// Quarantined is the number of sites whose state could not be loaded or
// stepped; their log is kept and they answer with an error.
func (s *Sites) Quarantined() int { return int(s.failed.Load()) }

// CacheBytes is the size of the decoded blocks in memory.
func (s *Sites) CacheBytes() uint64 { return s.blocks.size() + s.days.bytes() }
