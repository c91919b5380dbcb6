// Package cluster joins edges and shards: the router collects views into one
// batch per shard, hands the batches to the replicated log and tells each
// waiting edge what became of its view once the entry is on disk and applied.
// It knows nothing of HTTP and of how things are counted. Start at Router.
//
// Cost of a view: one lock of its shard, one append to the shard's buffer, one
// park and wake on the channel that a whole batch shares. The next batch of a
// shard leaves when a window of earlier ones has room, so an idle system
// answers at once and a busy one writes large entries.
package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
)

// Shards is how many shards a cluster has; fixed for ever, because the shard of
// a site is part of its keys.
const Shards = 256

// ShardOf gives the shard of a site.
func ShardOf(id analytics.SiteID) uint16 {
	var b [8]byte
	for i := range b {
		b[i] = byte(uint64(id) >> (8 * i))
	}
	return uint16(xxhash.Sum64(b[:]) % Shards)
}

// Bounds of what waits in memory.
const (
	entryBytesMax   = 1 << 20   // one log entry
	pendingBytesMax = 128 << 20 // all batches that wait or are under way
	windowRounds    = 2         // batches of a shard under way at once
	waitMax         = 15 * time.Second
	dropsEvery      = time.Second // how often counts of dropped events are written
)

// Sites applies entries; actors.Sites implements it.
type Sites interface {
	Apply(shard uint16, index uint64, data []byte, done func([]analytics.Reason)) error
}

// Config is what a Router needs; all fields are required.
type Config struct {
	Sites    Sites
	Notify   func(shard uint16) // tells the log that Next has something
	Writable func() bool        // false while the disk is nearly full
	Clock    func() time.Time
	Edge     uint64 // random, of this process
	Logger   *slog.Logger
	Fatal    func(error) // a damaged log entry: the process must not go on
}

// Router is the way of a view. Safe for concurrent use.
type Router struct {
	cfg     Config
	shards  [Shards]shard
	pending atomic.Int64 // bytes
	closed  atomic.Bool
}

type shard struct {
	mu       sync.Mutex // guards all below
	queue    []*round   // the last one is open; those before are full
	flying   map[uint64]*round
	sequence uint64
	drops    map[dropKey]uint64
}

type dropKey struct {
	site   analytics.SiteID
	reason int
	day    int32
}

// round is one batch of a shard, from its first view to its answer.
type round struct {
	buf     []byte
	events  int
	since   time.Time // of its first view, on the process's own clock
	weight  int64     // bytes counted as pending
	done    chan struct{}
	reasons []analytics.Reason
	index   uint64
	err     error
	alone   bool // holds a command: nothing is added to it
	settled atomic.Bool
}

func (r *round) settle(reasons []analytics.Reason, index uint64, err error) bool {
	if !r.settled.CompareAndSwap(false, true) {
		return false
	}
	r.reasons, r.index, r.err = reasons, index, err
	close(r.done)
	return true
}

// NewRouter makes a Router. Run must be running for answers to be bounded in
// time and for drops to be written.
func NewRouter(cfg Config) *Router {
	r := &Router{cfg: cfg}
	for i := range r.shards {
		r.shards[i].flying = make(map[uint64]*round)
	}
	return r
}

var (
	errFull       = &analytics.Error{Code: analytics.Unavailable, Text: "the disk is nearly full: views are refused until there is room"}
	errOverload   = &analytics.Error{Code: analytics.Overloaded, Text: "too many views are waiting"}
	errClosed     = &analytics.Error{Code: analytics.Unavailable, Text: "the node is shutting down"}
	errQuarantine = &analytics.Error{Code: analytics.Unavailable, Text: "the site is quarantined: its state cannot be read"}
	errLate       = &analytics.Error{Code: analytics.Unavailable, Text: "the log did not answer in time; the view may or may not be counted"}
)

func (r *Router) admit() error {
	switch {
	case r.closed.Load():
		return errClosed
	case !r.cfg.Writable():
		return errFull
	case r.pending.Load() > pendingBytesMax:
		return errOverload
	}
	return nil
}

// addLocked puts an event into the open batch of its shard. The caller holds sh.mu.
func (r *Router) addLocked(sh *shard, id analytics.SiteID, ev *analytics.Event) (rd *round, place int) {
	if n := len(sh.queue); n > 0 && !sh.queue[n-1].alone && len(sh.queue[n-1].buf) < entryBytesMax {
		rd = sh.queue[n-1]
	} else {
		rd = &round{done: make(chan struct{}), since: time.Now(), buf: make([]byte, entry.HeaderLen, 1024)}
		sh.queue = append(sh.queue, rd)
	}
	before := len(rd.buf)
	rd.buf = entry.AppendEvent(rd.buf, id, ev)
	rd.weight += int64(len(rd.buf) - before)
	r.pending.Add(int64(len(rd.buf) - before))
	place = rd.events
	rd.events++
	return rd, place
}

// Record counts one event. It returns when the event is on disk and applied,
// with what became of it, or with an error: then it is not known to be counted
// and may be sent again with the same id. ev is not kept.
func (r *Router) Record(id analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error) {
	if err := r.admit(); err != nil {
		return analytics.Receipt{}, err
	}
	n := ShardOf(id)
	sh := &r.shards[n]
	sh.mu.Lock()
	rd, place := r.addLocked(sh, id, ev)
	first := place == 0
	sh.mu.Unlock()
	if first {
		r.cfg.Notify(n)
	}
	<-rd.done
	return rd.receipt(n, place)
}

// receipt gives what became of the event at a place, once done is closed.
func (r *round) receipt(shard uint16, place int) (analytics.Receipt, error) {
	if r.err != nil {
		return analytics.Receipt{}, r.err
	}
	if r.reasons[place] == analytics.Undecided {
		return analytics.Receipt{}, errQuarantine
	}
	return analytics.Receipt{Reason: r.reasons[place], Token: analytics.Token{Shard: shard, Index: r.index}}, nil
}

// RecordBatch counts events of one site in order. out has the length of evs. An
// error says that at least one of them is not known to be counted; all may be
// sent again with the same ids.
func (r *Router) RecordBatch(id analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	if err := r.admit(); err != nil {
		return err
	}
	n := ShardOf(id)
	sh := &r.shards[n]
	rounds := make([]*round, len(evs))
	places := make([]int, len(evs))
	sh.mu.Lock()
	for i := range evs {
		rounds[i], places[i] = r.addLocked(sh, id, &evs[i])
	}
	sh.mu.Unlock()
	r.cfg.Notify(n)
	for i, rd := range rounds {
		<-rd.done
		var err error
		if out[i], err = rd.receipt(n, places[i]); err != nil {
			return err
		}
	}
	return nil
}

// Command applies a command of a site, an item made by package entry. It is the
// only item of its entry but for counts of dropped events, and comes after every
// view recorded before. It returns when the command is on disk and applied;
// one that was in force before is no error, one that cannot be gives Conflict.
// When ctx ends first it may or may not be applied. item is not kept.
func (r *Router) Command(ctx context.Context, id analytics.SiteID, item []byte) (analytics.Token, error) {
	if err := r.admit(); err != nil {
		return analytics.Token{}, err
	}
	rd := &round{done: make(chan struct{}), since: time.Now(), alone: true, events: 1, weight: int64(len(item)),
		buf: append(make([]byte, entry.HeaderLen, entry.HeaderLen+len(item)), item...)}
	n := ShardOf(id)
	sh := &r.shards[n]
	r.pending.Add(rd.weight)
	sh.mu.Lock()
	sh.queue = append(sh.queue, rd)
	sh.mu.Unlock()
	r.cfg.Notify(n)
	select {
	case <-rd.done:
	case <-ctx.Done():
		return analytics.Token{}, ctx.Err()
	}
	receipt, err := rd.receipt(n, 0)
	switch {
	case err != nil:
		return analytics.Token{}, err
	case receipt.Reason != analytics.Counted && receipt.Reason != analytics.DropDuplicate:
		return analytics.Token{}, analytics.Errorf(analytics.Conflict, "site: what was asked for does not fit its state")
	}
	return receipt.Token, nil
}

// Drop counts events that were not accepted. It never waits: the counts are
// written within a second or with the next batch of the shard.
func (r *Router) Drop(id analytics.SiteID, reason analytics.Reason, n int, nowMS int64) {
	if id == 0 {
		return // counted in the metrics of the door; there is no site to tell
	}
	k := dropKey{site: id, reason: reason.Number(), day: column.DayOf(nowMS)}
	sh := &r.shards[ShardOf(id)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.drops == nil {
		sh.drops = make(map[dropKey]uint64)
	}
	sh.drops[k] += uint64(n)
}

// Next gives the next entry of a shard, or nil; the log calls it.
func (r *Router) Next(n uint16) []byte {
	sh := &r.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.flying) >= windowRounds {
		return nil
	}
	var rd *round
	switch {
	case len(sh.queue) > 0:
		rd = sh.queue[0]
		sh.queue = sh.queue[1:]
		if len(sh.queue) == 0 {
			sh.queue = nil
		}
	case len(sh.drops) > 0:
		rd = &round{done: make(chan struct{}), since: time.Now(), buf: make([]byte, entry.HeaderLen, 256)}
	default:
		return nil
	}
	for k, count := range sh.drops {
		rd.buf = entry.AppendDrop(rd.buf, k.site, k.reason, count, k.day)
	}
	clear(sh.drops)
	sh.sequence++
	entry.PutHeader(rd.buf, r.cfg.Clock().UnixMilli(), r.cfg.Edge, sh.sequence)
	sh.flying[sh.sequence] = rd
	return rd.buf
}

// Apply takes a committed entry, in log order for each shard.
func (r *Router) Apply(n uint16, index uint64, data []byte) {
	hd, err := entry.Open(data)
	if err != nil {
		r.cfg.Fatal(err)
		return
	}
	var rd *round
	if hd.Edge == r.cfg.Edge {
		sh := &r.shards[n]
		sh.mu.Lock()
		rd = sh.flying[hd.Sequence]
		sh.mu.Unlock()
	}
	var done func([]analytics.Reason)
	if rd != nil {
		done = func(reasons []analytics.Reason) { r.landed(n, hd.Sequence, rd, reasons, index) }
	}
	if err := r.cfg.Sites.Apply(n, index, data, done); err != nil {
		r.cfg.Fatal(err)
	}
}

func (r *Router) landed(n uint16, sequence uint64, rd *round, reasons []analytics.Reason, index uint64) {
	sh := &r.shards[n]
	sh.mu.Lock()
	delete(sh.flying, sequence)
	more := len(sh.queue) > 0
	sh.mu.Unlock()
	r.pending.Add(-rd.weight)
	rd.settle(reasons, index, nil)
	if more {
		r.cfg.Notify(n)
	}
}

// Run watches over the batches until ctx ends: none makes its edges wait longer
// than waitMax, and counts of drops are written every second.
func (r *Router) Run(ctx context.Context) error {
	tick := time.NewTicker(dropsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.closed.Store(true)
			return nil
		case <-tick.C:
		}
		late := time.Now().Add(-waitMax)
		for i := range r.shards {
			sh := &r.shards[i]
			sh.mu.Lock()
			notify := len(sh.drops) > 0 || len(sh.queue) > 0
			for _, rd := range sh.flying {
				if rd.since.Before(late) && rd.settle(nil, 0, errLate) {
					r.cfg.Logger.Warn("batch not applied in time", "shard", i, "events", rd.events)
				}
			}
			sh.mu.Unlock()
			if notify {
				r.cfg.Notify(uint16(i))
			}
		}
	}
}

// Drain refuses what is new and waits until everything accepted is applied and
// the counts of drops are written, or ctx ends.
func (r *Router) Drain(ctx context.Context) error {
	r.closed.Store(true)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		open := 0
		for i := range r.shards {
			sh := &r.shards[i]
			sh.mu.Lock()
			left := len(sh.queue) + len(sh.drops)
			open += left + len(sh.flying)
			sh.mu.Unlock()
			if left > 0 {
				r.cfg.Notify(uint16(i))
			}
		}
		if open == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pending is the number of bytes that wait or are under way.
func (r *Router) Pending() int64 { return r.pending.Load() }
