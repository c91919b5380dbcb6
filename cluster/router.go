// Package cluster joins edges and shards: the router collects views into one
// batch per shard, numbers the batches, brings each to the shard's leader, here
// or on another node, and tells each waiting edge what became of its view once
// the entry is on disk and applied. A batch that finds no leader in time goes
// into the node's spool, synced, and is delivered later under the same number.
// It takes the batches of other nodes for the shards that this one leads. It
// knows nothing of HTTP and of how things are counted. Start at Router;
// stream.go is the way of a batch, offers.go the side that takes them, keep.go
// what goes by time.
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
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster/spool"
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

// Bounds of what waits in memory, and of time.
const (
	entryBytesMax   = 1 << 20   // one log entry
	pendingBytesMax = 128 << 20 // all batches that wait or are under way
	windowRounds    = 2         // batches of a shard under way at once
	waitMax         = 15 * time.Second
	dropsEvery      = time.Second // how often counts of dropped events are written
	spoolAfter      = 300 * time.Millisecond
)

// Sites applies entries; actors.Sites implements it.
type Sites interface {
	Apply(shard uint16, index uint64, data []byte, done func(delivery.Outcome)) error
}

// Config is what a Router needs. Fields up to Fatal are required. A node that
// leads all of its shards alone needs no other; batches that it does not number
// (Epoch 0) are applied whenever they come, and sent once.
type Config struct {
	Sites    Sites
	Notify   func(shard uint16) // tells the log that Next has something
	Writable func() bool        // false while the disk is nearly full
	Clock    func() time.Time
	Edge     uint64 // of this node's disk
	Logger   *slog.Logger
	Fatal    func(error) // a damaged log entry, or the disk's copy runs elsewhere: the process must not go on

	// Epoch numbers this process among those of the edge; it rises with each, see
	// spool.NextEpoch. 0: batches are not numbered.
	Epoch uint32
	// Self is this node's number, 0 if it has none yet; nil: 0.
	Self func() uint16
	// Local tells whether this node leads a shard now; nil: always. Leader gives
	// the node that does, if it is known. Alone tells whether this node is the only
	// voter of a shard that it leads: then nothing of it is spooled; nil: it is
	// where Send is nil. All are called under a lock: they take none that is held
	// while the Router is called, and do not wait.
	Local  func(shard uint16) bool
	Leader func(shard uint16) (node uint16, ok bool)
	Alone  func(shard uint16) bool
	// Send brings a batch to another node's Offered. done is called exactly once,
	// on any goroutine, within 2 seconds; Lost says that no answer came. It does
	// not block and does not change batch, which stays valid.
	Send func(node uint16, shard uint16, batch []byte, done func(Reply))
	// Spool keeps what is not acknowledged in time; nil: there is none, and views
	// wait for up to 15 seconds. SpoolAfter is that time; default 300 ms.
	Spool      *spool.Spool
	SpoolAfter time.Duration
}

// Router is the way of a view. Safe for concurrent use.
type Router struct {
	cfg     Config
	shards  [Shards]shard
	pending atomic.Int64 // bytes
	offered atomic.Int64 // bytes of other nodes' batches
	loaded  atomic.Int64 // bytes read back from the spool
	epoch   atomic.Uint32
	closed  atomic.Bool
	fenced  atomic.Bool

	spooling chan struct{} // wakes the goroutine that writes the spool
	loading  chan struct{} // wakes the one that reads it
	counts   counts
}

// counts are totals since the start.
type counts struct {
	resent, spooled, gaps, duplicates, renumbered atomic.Uint64
}

// shard is the outgoing stream of one shard, and what other nodes sent for it.
// The batches not acknowledged are, in order of their numbers: flight, then
// spans; those in queue have no number yet.
type shard struct {
	mu       sync.Mutex // guards all below
	queue    []*round   // the last one is open; those before are full
	flight   []*round   // of one epoch only
	spans    []spool.Span
	epoch    uint32 // of the last number given
	sequence uint64 // the last number given
	acked    uint64 // last sequence acknowledged, of flight's epoch
	ackedAt  uint64 // its log index; 0: acknowledged before this process began
	// ackedEpoch is the epoch that acked is of.
	ackedEpoch uint32
	warned     time.Time // of a shard that expects what was acknowledged
	drops      map[dropKey]uint64

	turn    uint64    // rises whenever what was handed out is handed out again
	pause   time.Time // nothing is sent before
	hint    uint16    // node that is said to lead, 0 for none
	pumping bool      // a goroutine is sending
	writing bool      // queued batches are being written to the spool
	stalled bool      // the spool is asked for
	broken  bool      // the shard has forgotten the stream: it must be renumbered
	ended   bool      // Run has returned: nobody would answer

	offers   []*offer            // not handed out yet
	waiting  map[offerKey]*offer // all that are to be answered
	turnover bool                // own batches and offers take turns
}

type dropKey struct {
	site   analytics.SiteID
	reason int
	day    int32
}

// NewRouter makes a Router. Run must be running for answers to be bounded in
// time, for drops to be written and for the spool to be used.
func NewRouter(cfg Config) *Router {
	if cfg.SpoolAfter == 0 {
		cfg.SpoolAfter = spoolAfter
	}
	if cfg.Local == nil {
		cfg.Local = func(uint16) bool { return true }
	}
	if cfg.Leader == nil {
		cfg.Leader = func(uint16) (uint16, bool) { return 0, false }
	}
	if cfg.Self == nil {
		cfg.Self = func() uint16 { return 0 }
	}
	if cfg.Alone == nil {
		alone := cfg.Send == nil
		cfg.Alone = func(uint16) bool { return alone }
	}
	r := &Router{cfg: cfg, spooling: make(chan struct{}, 1), loading: make(chan struct{}, 1)}
	r.epoch.Store(cfg.Epoch)
	for i := range r.shards {
		r.shards[i].epoch = cfg.Epoch
	}
	if cfg.Spool != nil {
		for _, s := range cfg.Spool.Backlog() {
			if int(s.Shard) < Shards {
				sh := &r.shards[s.Shard]
				sh.spans = append(sh.spans, s)
			}
		}
	}
	return r
}

var (
	errFull       = &analytics.Error{Code: analytics.Unavailable, Text: "the disk is nearly full: views are refused until there is room"}
	errSpoolFull  = &analytics.Error{Code: analytics.Unavailable, Text: "the site's shard cannot be reached and the spool is full: views are refused until there is room"}
	errOverload   = &analytics.Error{Code: analytics.Overloaded, Text: "too many views are waiting"}
	errClosed     = &analytics.Error{Code: analytics.Unavailable, Text: "the node is shutting down"}
	errQuarantine = &analytics.Error{Code: analytics.Unavailable, Text: "the site is quarantined: its state cannot be read"}
	errLate       = &analytics.Error{Code: analytics.Unavailable, Text: "the log did not answer in time; the view may or may not be counted"}
	errFenced     = &analytics.Error{Code: analytics.Unavailable, Text: "a copy of this node's disk is in use elsewhere: this process takes no more views"}
)

func (r *Router) admit() error {
	switch {
	case r.closed.Load():
		return errClosed
	case r.fenced.Load():
		return errFenced
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
		rd = newRound(1024)
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
// with what became of it; or when it is in the spool, synced, from where it will
// be counted: then it is Counted without a token; or with an error: then it is
// not known to be counted and may be sent again with the same id. ev is not kept.
func (r *Router) Record(id analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error) {
	if err := r.admit(); err != nil {
		return analytics.Receipt{}, err
	}
	n := ShardOf(id)
	sh := &r.shards[n]
	sh.mu.Lock()
	if sh.ended {
		sh.mu.Unlock()
		return analytics.Receipt{}, errClosed
	}
	rd, place := r.addLocked(sh, id, ev)
	first := place == 0
	sh.mu.Unlock()
	if first {
		r.wake(n)
	}
	<-rd.done
	return rd.receipt(n, place)
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
	if sh.ended {
		sh.mu.Unlock()
		return errClosed
	}
	for i := range evs {
		rounds[i], places[i] = r.addLocked(sh, id, &evs[i])
	}
	sh.mu.Unlock()
	r.wake(n)
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
// It does not come back from the spool: while its shard has no leader it waits.
// When ctx ends first it may or may not be applied. item is not kept.
func (r *Router) Command(ctx context.Context, id analytics.SiteID, item []byte) (analytics.Token, error) {
	if err := r.admit(); err != nil {
		return analytics.Token{}, err
	}
	rd := newRound(entry.HeaderLen + len(item))
	rd.alone, rd.events, rd.weight = true, 1, int64(len(item))
	rd.buf = append(rd.buf, item...)
	n := ShardOf(id)
	sh := &r.shards[n]
	sh.mu.Lock()
	if sh.ended {
		sh.mu.Unlock()
		return analytics.Token{}, errClosed
	}
	r.pending.Add(rd.weight)
	sh.queue = append(sh.queue, rd)
	sh.mu.Unlock()
	r.wake(n)
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

// Pending is the number of bytes that wait or are under way.
func (r *Router) Pending() int64 { return r.pending.Load() }

// Stats are totals since the start, and what the spool holds now.
type Stats struct {
	Spooled    uint64 // batches written to the spool
	Resent     uint64 // batches handed out again
	Gaps       uint64 // batches refused because an earlier one was missing
	Duplicates uint64 // batches that had been counted before
	Renumbered uint64 // streams begun anew because their shard had forgotten them
	SpoolBytes int64
}

// Stats tells how batches fare.
func (r *Router) Stats() Stats {
	c := &r.counts
	s := Stats{Spooled: c.spooled.Load(), Resent: c.resent.Load(), Gaps: c.gaps.Load(), Duplicates: c.duplicates.Load(), Renumbered: c.renumbered.Load()}
	if r.cfg.Spool != nil {
		s.SpoolBytes = r.cfg.Spool.Bytes()
	}
	return s
}
