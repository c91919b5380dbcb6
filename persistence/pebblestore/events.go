package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// repeatEvery is the least time between two log lines about background errors.
// On a full disk Pebble retries several hundred times a second (fact P6).
const repeatEvery = 10 * time.Second

// diskSlowMin is when a single disk operation counts as slow.
const diskSlowMin = 5 * time.Second

// events hears what Pebble reports: it is its logger and its listener. Safe for
// concurrent use.
type events struct {
	log     *slog.Logger
	fatal   func(error)
	corrupt func(error)
	now     func() time.Time

	failure atomic.Pointer[error] // why the store is dead; set once
	dead    sync.Mutex            // orders fail

	backgroundErrors atomic.Uint64
	corruptions      atomic.Uint64
	stalls           atomic.Uint64
	stalled          atomic.Bool

	mu         sync.Mutex // guards the two below
	lastLine   time.Time
	suppressed int
}

func newEvents(o Options) *events {
	return &events{log: o.Logger, fatal: o.Fatal, corrupt: o.Corrupt, now: o.Now}
}

// failed gives the error that ended the store, or nil.
func (e *events) failed() error {
	if p := e.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends the store: the first error is kept and given to Options.Fatal,
// later ones are not. It returns the error kept.
func (e *events) fail(err error) error {
	e.dead.Lock()
	first := e.failed() == nil
	if first {
		err = fmt.Errorf("store failed: %w", err)
		e.failure.Store(&err)
	}
	e.dead.Unlock()
	if first {
		e.fatal(err)
	}
	return e.failed()
}

// Infof implements pebble.Logger: Pebble's diary is of no use to an operator.
func (e *events) Infof(format string, args ...any) {}

// Errorf implements pebble.Logger.
func (e *events) Errorf(format string, args ...any) { e.background(fmt.Errorf(format, args...)) }

// Fatalf implements pebble.Logger. Pebble calls it when its log or manifest
// could not be written, and goes on as if nothing had happened when it returns
// (fact P5).
func (e *events) Fatalf(format string, args ...any) { _ = e.fail(fmt.Errorf(format, args...)) }

// background reports an error of a flush or compaction, which Pebble retries.
func (e *events) background(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return
	}
	e.backgroundErrors.Add(1)
	// The words of an error of Pebble only: a logger that prints it whole would
	// print where in Pebble it came to be, too.
	if n, quiet := e.rate(); !quiet {
		e.log.Error("the store could not write in the background and tries again", "err", err.Error(), "more_since_last_line", n)
	}
}

// rate tells whether a line is to be left out, and how many were since the last.
func (e *events) rate() (suppressed int, quiet bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if quiet = !e.lastLine.IsZero() && now.Sub(e.lastLine) < repeatEvery; quiet {
		e.suppressed++
		return 0, true
	}
	suppressed, e.suppressed, e.lastLine = e.suppressed, 0, now
	return suppressed, false
}

// damage counts, logs and tells what is broken.
func (e *events) damage(d *Damage) {
	e.corruptions.Add(1)
	if n, quiet := e.rate(); !quiet {
		e.log.Error("a file of the store is damaged and what is in it does not serve; have the node rebuilt from the others, or, alone, restore a copy of its data",
			"file", d.File, "err", d.Err.Error(), "more_since_last_line", n)
	}
	e.corrupt(d)
}

func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: e.background,
		// One damaged block must not take every site down: the read that met it
		// returns an error, and the count is a metric with an alarm.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			d := damageOf(info)
			e.damage(d)
			e.cutFailed(d)
		},
		WriteStallBegin: func(pebble.WriteStallBeginInfo) {
			e.stalls.Add(1)
			e.stalled.Store(true)
		},
		WriteStallEnd: func() { e.stalled.Store(false) },
	}
}
