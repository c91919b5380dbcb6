package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"footfall/analytics/entry"
	"footfall/cluster/spool"
)

// What goes by time, and bounds of what is read back from the spool.
const (
	tickEvery      = 50 * time.Millisecond
	spoolBatchMax  = 8 << 20 // bytes written with one sync
	loadedRounds   = 8       // spooled batches of a shard under way
	loadedBytesMax = 32 << 20
	flightBytesMax = 1 << 20 // of a shard, beyond the first
)

// Run watches over the batches until ctx ends: none makes its edges wait longer
// than 15 seconds, what finds no leader is written to the spool and read back
// later, and counts of drops are written every second. When it returns nobody
// waits any more.
func (r *Router) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { r.watch(ctx) })
	if r.cfg.Spool != nil {
		parts.Go(func() { r.each(ctx, r.spooling, r.spoolAll) })
		parts.Go(func() { r.each(ctx, r.loading, r.loadAll) })
		signal(r.loading)
	}
	parts.Wait()
	r.closed.Store(true)
	r.settleAll(errClosed, true)
	return nil
}

func (r *Router) each(ctx context.Context, kick <-chan struct{}, f func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
			f()
		}
	}
}

func (r *Router) watch(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	lastDrops := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		drops := now.Sub(lastDrops) >= dropsEvery
		if drops {
			lastDrops = now
		}
		for n := range r.shards {
			r.check(uint16(n), now, drops)
		}
	}
}

// check looks after one shard.
func (r *Router) check(n uint16, now time.Time, drops bool) {
	sh := &r.shards[n]
	sh.mu.Lock()
	if len(sh.flight) == 0 && len(sh.queue) == 0 && len(sh.spans) == 0 && len(sh.waiting) == 0 && len(sh.drops) == 0 {
		sh.mu.Unlock()
		return
	}
	expired := sh.expireLocked(now)
	_, local, led := r.leaderLocked(n, sh)
	if r.cfg.Spool != nil && (!local || !r.cfg.Alone(n)) && sh.oldest(now) >= r.cfg.SpoolAfter || !led && r.cfg.Spool != nil && len(sh.queue) > 0 || sh.broken {
		sh.stalled = true
		signal(r.spooling)
	}
	again := resendAfter
	if local {
		again = resendLocal
	}
	for i, rd := range sh.flight {
		if rd.sent && now.Sub(rd.sentAt) >= again && !(local && r.cfg.Alone(n)) {
			r.cfg.Logger.Warn("a batch was not answered in time and is handed out again", "shard", n, "epoch", rd.epoch,
				"sequence", rd.sequence, "leads", local, "after", now.Sub(rd.sentAt), "waiting", len(sh.waiting), "flight", len(sh.flight), "applied", rd.landed)
			r.rewindLocked(sh, i)
			break
		}
	}
	if !led { // what was read back takes no memory meanwhile
		for _, rd := range sh.flight {
			if rd.loaded > 0 && !rd.sent {
				r.loaded.Add(-int64(rd.loaded))
				rd.loaded, rd.buf = 0, nil
			}
		}
	}
	late := r.lateLocked(sh, now.Add(-waitMax))
	ready := drops && len(sh.drops) > 0 || len(sh.spans) > 0 || len(sh.queue) > 0 && len(sh.flight) < windowRounds
	for _, rd := range sh.flight {
		ready = ready || !rd.sent
	}
	sh.mu.Unlock()
	for _, of := range expired {
		r.offered.Add(-int64(len(of.buf)))
		of.reply(Reply{Verdict: Lost})
	}
	if late > 0 {
		r.cfg.Logger.Warn("batches not applied in time", "shard", n, "events", late)
	}
	if ready {
		r.wake(n)
	}
}

// oldest is how long the longest wait of a view is that could be spooled.
func (sh *shard) oldest(now time.Time) (longest time.Duration) {
	for _, rd := range sh.flight {
		if !rd.spooled && !rd.settled.Load() {
			longest = max(longest, now.Sub(rd.since))
		}
	}
	for _, rd := range sh.queue {
		if !rd.alone {
			return max(longest, now.Sub(rd.since))
		}
	}
	return longest
}

// lateLocked answers those who have waited since before a time. A batch without
// a number is given up; one with a number stays under way.
func (r *Router) lateLocked(sh *shard, late time.Time) (events int) {
	for _, rd := range sh.flight {
		if rd.since.Before(late) && rd.settle(nil, 0, errLate) {
			events += rd.events
		}
	}
	kept := sh.queue[:0]
	for _, rd := range sh.queue {
		if !rd.since.Before(late) {
			kept = append(kept, rd)
			continue
		}
		r.releaseLocked(rd)
		rd.settle(nil, 0, errLate)
		events += rd.events
	}
	clear(sh.queue[len(kept):])
	if sh.queue = kept; len(kept) == 0 {
		sh.queue = nil
	}
	return events
}

// spooled is a batch on its way into the spool.
type spooled struct {
	n      uint16
	rd     *round
	queued bool // had no number before
}

// spoolAll writes what stalls of all shards to the spool, in few synced writes.
func (r *Router) spoolAll() {
	var group []spooled
	var batches []spool.Batch
	bytes := 0
	flush := func() {
		if len(group) > 0 {
			r.spoolGroup(group, batches)
		}
		group, batches, bytes = nil, nil, 0
	}
	for i := range r.shards {
		n, sh := uint16(i), &r.shards[i]
		sh.mu.Lock()
		if !sh.stalled {
			sh.mu.Unlock()
			continue
		}
		sh.stalled = false
		if sh.broken {
			sh.mu.Unlock()
			if err := r.renumber(n); err != nil {
				r.cfg.Logger.Error("begin a stream anew", "shard", n, "error", err)
			}
			continue
		}
		add := func(rd *round, queued bool) {
			group = append(group, spooled{n, rd, queued})
			batches = append(batches, spool.Batch{Key: spool.Key{Shard: n, Epoch: rd.epoch, Sequence: rd.sequence}, Data: rd.buf})
			bytes += len(rd.buf)
		}
		before := len(group)
		for _, rd := range sh.flight {
			if !rd.spooled {
				add(rd, false)
			}
		}
		kept := sh.queue[:0:0]
		for _, rd := range sh.queue {
			if rd.alone { // a command waits for its turn
				kept = append(kept, rd)
				continue
			}
			r.numberLocked(sh, rd)
			add(rd, true)
		}
		sh.queue, sh.writing = kept, len(group) > before // until spoolGroup is done with them
		sh.mu.Unlock()
		if bytes >= spoolBatchMax {
			flush()
		}
	}
	flush()
}

// spoolGroup writes batches and answers those who wait for them. Those of a shard
// are together.
func (r *Router) spoolGroup(group []spooled, batches []spool.Batch) {
	err := spool.ErrFull
	if r.cfg.Writable() {
		err = r.cfg.Spool.Write(batches)
	}
	if err != nil && !errors.Is(err, spool.ErrFull) {
		r.cfg.Logger.Error("write the spool", "error", err)
	}
	for len(group) > 0 {
		n, end := group[0].n, 1
		for end < len(group) && group[end].n == n {
			end++
		}
		if err != nil {
			r.notSpooled(n, group[:end])
		} else {
			r.isSpooled(n, group[:end])
		}
		group = group[end:]
		r.wake(n)
	}
}

// isSpooled answers those who wait for batches of a shard that are in the spool
// now, and forgets the bytes.
func (r *Router) isSpooled(n uint16, group []spooled) {
	sh := &r.shards[n]
	var gone []spooled
	sh.mu.Lock()
	for _, x := range group {
		rd := x.rd
		r.counts.spooled.Add(1)
		r.releaseLocked(rd)
		rd.spooled = true
		if rd.landed {
			gone = append(gone, x)
		}
		if !x.queued {
			continue
		}
		if l := len(sh.spans); l > 0 && sh.spans[l-1].Epoch == rd.epoch && sh.spans[l-1].Last+1 == rd.sequence {
			sh.spans[l-1].Last = rd.sequence
		} else {
			sh.spans = append(sh.spans, spool.Span{Shard: n, Epoch: rd.epoch, First: rd.sequence, Last: rd.sequence})
		}
	}
	sh.writing = false
	sh.mu.Unlock()
	for _, x := range group {
		if !x.rd.alone {
			x.rd.settle(nil, 0, nil)
		}
	}
	for _, x := range gone {
		r.unspool(spool.Key{Shard: n, Epoch: x.rd.epoch, Sequence: x.rd.sequence}, x.rd.size)
	}
	signal(r.loading)
}

// notSpooled answers those who wait for batches that found no room: what was
// never sent is given up, together with its numbers.
func (r *Router) notSpooled(n uint16, group []spooled) {
	sh := &r.shards[n]
	sh.mu.Lock()
	for _, x := range group {
		if x.queued {
			sh.sequence--
			r.releaseLocked(x.rd)
		}
	}
	sh.writing = false
	sh.mu.Unlock()
	for _, x := range group {
		if !x.rd.alone {
			x.rd.settle(nil, 0, errSpoolFull)
		}
	}
}

// loadAll reads back from the spool what can be sent.
func (r *Router) loadAll() {
	for n := range r.shards {
		for r.load(uint16(n)) {
		}
	}
}

// load reads one batch of a shard back; false if there is none to read now.
func (r *Router) load(n uint16) bool {
	sh := &r.shards[n]
	sh.mu.Lock()
	key, inFlight, ok := r.wantedLocked(n, sh)
	sh.mu.Unlock()
	if !ok {
		return false
	}
	b, found, err := r.cfg.Spool.Next(key)
	if err == nil && found {
		var hd entry.Reader
		if hd, err = entry.Open(b.Data); err == nil && (hd.Edge != r.cfg.Edge || hd.Epoch != b.Epoch || hd.Sequence != b.Sequence) {
			err = errors.New("the batch is not the one that its key names")
		}
	}
	if err == nil && inFlight && (!found || b.Key != key) {
		err = errors.New("the batch is gone")
	}
	sh.mu.Lock()
	if err != nil { // nothing may overtake it: the shard waits until it can be read
		sh.pause = time.Now().Add(time.Second)
		sh.mu.Unlock()
		r.cfg.Logger.Error("a spooled batch cannot be read", "shard", n, "epoch", key.Epoch, "sequence", key.Sequence, "error", err)
		return false
	}
	done := r.loadedLocked(sh, key, inFlight, b, found)
	sh.mu.Unlock()
	r.wake(n)
	return done
}

// wantedLocked names the batch that is to be read next.
func (r *Router) wantedLocked(n uint16, sh *shard) (key spool.Key, inFlight, ok bool) {
	if len(sh.flight) == 0 && len(sh.spans) == 0 || sh.broken || r.loaded.Load() >= loadedBytesMax || time.Now().Before(sh.pause) {
		return key, false, false
	}
	if _, _, led := r.leaderLocked(n, sh); !led {
		return key, false, false
	}
	bytes := 0
	for _, rd := range sh.flight {
		if rd.buf == nil && !rd.sent {
			return spool.Key{Shard: n, Epoch: rd.epoch, Sequence: rd.sequence}, true, true
		}
		bytes += rd.size
	}
	if len(sh.spans) == 0 || len(sh.flight) >= loadedRounds || bytes >= flightBytesMax ||
		len(sh.flight) > 0 && sh.flight[0].epoch != sh.spans[0].Epoch {
		return key, false, false
	}
	return spool.Key{Shard: n, Epoch: sh.spans[0].Epoch, Sequence: sh.spans[0].First}, false, true
}

// loadedLocked puts a batch that was read back into flight, unless the stream
// moved on meanwhile; only the goroutine that reads takes spans away, or renumber
// does.
func (r *Router) loadedLocked(sh *shard, key spool.Key, inFlight bool, b spool.Batch, found bool) bool {
	if sh.broken {
		return false
	}
	if inFlight {
		if i := sh.findLocked(key.Epoch, key.Sequence); i >= 0 && sh.flight[i].buf == nil && !sh.flight[i].sent {
			sh.flight[i].buf, sh.flight[i].loaded = b.Data, len(b.Data)
			r.loaded.Add(int64(len(b.Data)))
		}
		return true
	}
	if len(sh.spans) == 0 || sh.spans[0].Epoch != key.Epoch || sh.spans[0].First != key.Sequence {
		return true
	}
	span := &sh.spans[0]
	if !found || b.Sequence > span.Last {
		sh.spans = sh.spans[1:]
		return true
	}
	if span.First = b.Sequence + 1; span.First > span.Last {
		sh.spans = sh.spans[1:]
	}
	rd := &round{buf: b.Data, size: len(b.Data), loaded: len(b.Data), epoch: b.Epoch, sequence: b.Sequence, spooled: true, since: time.Now(), done: make(chan struct{})}
	rd.settle(nil, 0, nil)
	r.loaded.Add(int64(rd.loaded))
	sh.enterLocked(rd)
	return true
}

// Drain refuses what is new and waits until everything accepted is applied, or in
// the spool, and the counts of drops are written, or ctx ends. Run is running.
func (r *Router) Drain(ctx context.Context) error {
	r.closed.Store(true)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		open := 0
		for i := range r.shards {
			open += r.drain(uint16(i))
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

// drain urges a shard and counts what is left of it.
func (r *Router) drain(n uint16) (open int) {
	sh := &r.shards[n]
	sh.mu.Lock()
	left := len(sh.queue)
	if _, _, led := r.leaderLocked(n, sh); led {
		left += len(sh.drops)
	}
	open = left + len(sh.waiting)
	for _, rd := range sh.flight {
		if !rd.spooled {
			open++
		}
	}
	if sh.writing {
		open++
	}
	sh.mu.Unlock()
	if left > 0 {
		r.wake(n)
	}
	return open
}
