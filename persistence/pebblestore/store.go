// Package pebblestore keeps a node's bytes in one Pebble database and is the
// only package that knows Pebble.
//
// It must never let a process go on after a write to the log of the database
// failed: what the kernel threw away then cannot be asked for again. It must
// never guess at a format it does not know.
//
// Start at Open; options.go holds every setting with its reason.
package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence"
)

var _ persistence.Store = (*Store)(nil)

// Store is a persistence.Store on Pebble. Safe for concurrent use.
type Store struct {
	db      *pebble.DB
	dir     string
	fs      vfs.FS
	pebble  *pebble.Options // with its defaults, for tables outside of the database
	stageTo uint64          // Options.StageFileBytes
	now     func() time.Time
	watch   io.Closer // ends the watch for slow disk operations, or nil
	ident   atomic.Pointer[Ident]
	joining sync.Mutex // held by SetMembership, which is rare, while it writes
	events  *events
	views   views
	stages  stages
	syncs   atomic.Uint64
	commits atomic.Uint64

	installs atomic.Uint64
}

// Open opens the store in dir and creates it when nothing is there. A store
// that was made by a newer version, that belongs to something else or that
// lost bytes in the middle of its log is refused with an error that says so.
//
// A new store is opened, closed and opened again before it is handed out: in
// the very first log of a Pebble database a damaged byte is taken for the end
// of the log and everything behind it vanishes silently (fact P2, see
// TestP2DamageInTheFirstLogIsFound).
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	s, created, err := open(dir, o)
	if err == nil && created {
		if err := s.Close(); err != nil {
			return nil, fmt.Errorf("close new store %s before first use: %w", dir, err)
		}
		s, _, err = open(dir, o)
	}
	if err != nil {
		return nil, err
	}
	if err := s.clearStages(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), s.Close())
	}
	return s, nil
}

func open(dir string, o Options) (s *Store, created bool, err error) {
	ev := newEvents(o)
	po := o.pebble(ev)
	defer po.Cache.Unref()
	s = &Store{dir: dir, events: ev, stageTo: uint64(o.StageFileBytes), now: o.Now}
	if po.FS == nil {
		// Pebble would do the same, and forget the watch when it cannot open.
		po.FS, s.watch = vfs.WithDiskHealthChecks(vfs.Default, diskSlowMin, nil, func(vfs.DiskSlowInfo) { ev.stalls.Add(1) })
	}
	po.FS = failStop{po.FS, ev}
	po.EnsureDefaults()
	s.fs, s.pebble = po.FS, po
	if s.db, err = pebble.Open(dir, po); err != nil {
		return nil, false, errors.Join(fmt.Errorf("open store %s: %w", dir, err), s.closeWatch())
	}
	var ident Ident
	if ident, created, err = s.loadIdent(o); err == nil {
		s.ident.Store(&ident)
		_, _, err = s.Membership() // a damaged one is not found out later
	}
	if err == nil {
		err = ev.failed()
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("open store %s: %w", dir, err), s.Close())
	}
	return s, created, nil
}

// Ident tells which store this is.
func (s *Store) Ident() Ident { return *s.ident.Load() }

// Get implements persistence.Store.
func (s *Store) Get(key []byte) ([]byte, error) {
	if err := s.events.failed(); err != nil {
		return nil, err
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, persistence.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get key %x: %w", key, damaged(err))
	}
	out := append(make([]byte, 0, len(v)), v...)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("get key %x: %w", key, err)
	}
	return out, nil
}

// Scan implements persistence.Store. A nil from starts at the first key, a nil
// to ends after the last.
func (s *Store) Scan(from, to []byte, fn func(key, value []byte) error) error {
	if err := s.events.failed(); err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return fmt.Errorf("scan from %x: %w", from, damaged(err))
	}
	return scan(it, from, fn)
}

// scan moves through all of it and closes it.
func scan(it *pebble.Iterator, from []byte, fn func(key, value []byte) error) (err error) {
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = fmt.Errorf("scan from %x: %w", from, damaged(e))
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("scan at key %x: %w", it.Key(), damaged(err))
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	return nil // it.Close reports what ended the iteration early
}

// Verify reads every block of every table and returns the first damage found.
// It takes as long as reading the whole store takes; ctx ends it early. Blocks
// that are in the cache are not read again from disk; Scrub reads them.
func (s *Store) Verify(ctx context.Context) error {
	n := 0
	return s.Scan(nil, nil, func(_, _ []byte) error {
		if n++; n&0xfff == 0 {
			return ctx.Err()
		}
		return nil
	})
}

// NewBatch implements persistence.Store.
func (s *Store) NewBatch() persistence.Batch { return &batch{b: s.db.NewBatch(), owner: s} }

// Commit implements persistence.Store. When Pebble cannot write or sync its
// log, Options.Fatal is called and does not return in a real process; where it
// does, this and every later call return the same error.
func (s *Store) Commit(pb persistence.Batch, sync bool) (err error) {
	b, ok := pb.(*batch)
	if !ok || b.owner != s {
		panic(fmt.Sprintf("commit of a %T that does not belong to this store", pb))
	}
	if b.b == nil {
		panic("commit of a batch that was committed or discarded before")
	}
	if err := s.events.failed(); err != nil {
		return err
	}
	if b.err != nil {
		return errors.Join(b.err, b.close())
	}
	defer s.caught("commit", &err)
	opts := pebble.NoSync
	if sync {
		opts = pebble.Sync
	}
	if err := s.db.Apply(b.b, opts); err != nil {
		return s.events.fail(fmt.Errorf("commit: %w", err))
	}
	// Apply reports a broken log only to the logger.
	if err := s.events.failed(); err != nil {
		return err
	}
	s.commits.Add(1)
	if sync {
		s.syncs.Add(1)
	}
	return b.close()
}

// caught makes a failure of the store of a panic: Pebble panics when an earlier
// unsynced write broke its log.
func (s *Store) caught(what string, err *error) {
	if r := recover(); r != nil {
		*err = s.events.fail(fmt.Errorf("%s: %v", what, r))
	}
}

// guard runs a write that is not a commit. What Pebble could not survive during
// it is a failure of the store; any other error is fn's.
func (s *Store) guard(what string, fn func() error) (err error) {
	if err := s.events.failed(); err != nil {
		return err
	}
	defer s.caught(what, &err)
	if err := fn(); err != nil {
		return errors.Join(err, s.events.failed())
	}
	return s.events.failed()
}

// Close implements persistence.Store. After a failure it leaves the database
// alone and returns the failure. Stages that are not finished are left behind for
// the next Open to remove.
func (s *Store) Close() error {
	s.stopStages()
	if err := s.events.failed(); err != nil {
		return errors.Join(err, s.closeWatch())
	}
	if err := errors.Join(s.db.Close(), s.closeWatch()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return s.events.failed()
}

func (s *Store) closeWatch() error {
	if s.watch == nil {
		return nil
	}
	return s.watch.Close()
}

type batch struct {
	b     *pebble.Batch // nil after commit or discard
	owner *Store
	err   error // first wrong call, returned by Commit
}

func (b *batch) Set(key, value []byte) { b.note(b.b.Set(key, value, nil)) }

func (b *batch) Delete(key []byte) { b.note(b.b.Delete(key, nil)) }

func (b *batch) DeleteRange(from, to []byte) {
	if to == nil {
		b.note(fmt.Errorf("delete range from %x: no end given", from))
		return
	}
	if bytes.Compare(from, to) < 0 {
		b.note(b.b.DeleteRange(from, to, nil))
	}
}

func (b *batch) Size() int {
	if b.b == nil {
		return 0
	}
	return b.b.Len()
}

func (b *batch) Discard() { b.note(b.close()) }

func (b *batch) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *batch) close() error {
	pb := b.b
	if pb == nil {
		return nil
	}
	b.b = nil
	if err := pb.Close(); err != nil {
		return fmt.Errorf("release batch: %w", err)
	}
	return nil
}
