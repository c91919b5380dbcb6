package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

// scrubErrorsMax bounds the damaged tables that one Scrub names.
const scrubErrorsMax = 100

// Scrub reads from the files, past the cache, every block that a read of [from,
// to) could need, and checks its sum, so that a byte that changed in a table
// nobody reads is found before it is needed. A nil to means the end of the key
// space. It reads at most limit bytes per second, as fast as it can when limit is
// 0, and ends early with ctx's error. What is still in memory or in the log is
// not looked at; a table that a compaction replaces meanwhile is skipped, since
// the compaction has read it.
//
// Each damaged table is told to Options.Corrupt and is a *Damage in the error,
// with the keys of [from, to) that it may hold. Any number of calls may run.
func (s *Store) Scrub(ctx context.Context, limit int64, from, to []byte) error {
	if err := s.events.failed(); err != nil {
		return err
	}
	levels, err := s.db.SSTables()
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	var found []error
	p := &pace{limit: limit, now: s.now}
	framed := map[string]bool{} // files whose frame was read: several tables may share one
	for _, tables := range levels {
		for _, t := range tables {
			lower, upper := t.Smallest.UserKey, behind(t.Largest.UserKey)
			if bytes.Compare(lower, from) < 0 {
				lower = from
			}
			if to != nil && bytes.Compare(to, upper) < 0 {
				upper = to
			}
			if bytes.Compare(lower, upper) >= 0 {
				continue
			}
			file := s.fs.PathJoin(s.dir, fmt.Sprintf("%s.sst", t.BackingSSTNum))
			err := s.scrubTable(ctx, p, file, lower, upper, !framed[file])
			framed[file] = true
			switch {
			case err == nil:
			case ctx.Err() != nil:
				return errors.Join(append(found, ctx.Err())...)
			default:
				d := &Damage{File: file, From: clone(lower), To: clone(upper), Err: err}
				s.events.damage(d)
				if found = append(found, d); len(found) == scrubErrorsMax {
					return errors.Join(found...)
				}
			}
		}
	}
	return errors.Join(found...)
}

// scrubTable reads the blocks of [from, to), and with frame all that belong to
// the table as a whole: indexes, properties, filter and range deletions.
func (s *Store) scrubTable(ctx context.Context, p *pace, file string, from, to []byte, frame bool) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := s.fs.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	plain, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	in := paced{plain, ctx, p}
	r, err := sstable.NewReader(ctx, in, s.pebble.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, plain.Close())
	}
	defer func() {
		if e := r.Close(); err == nil {
			err = e
		}
	}()
	if frame {
		if err := scrubFrame(ctx, in, r); err != nil {
			return err
		}
	}
	it, err := r.NewIter(sstable.NoTransforms, from, to, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	n := 0
	for kv := it.SeekGE(from, 0); kv != nil; kv = it.Next() {
		if n++; n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, _, err := kv.Value(nil); err != nil {
			return err
		}
	}
	return it.Error()
}

func scrubFrame(ctx context.Context, in objstorage.Readable, r *sstable.Reader) error {
	l, err := r.Layout() // reads every index
	if err != nil {
		return err
	}
	if _, err := r.ReadPropertiesBlock(ctx, nil); err != nil {
		return err
	}
	for _, h := range l.Filter {
		b := make([]byte, h.Length+block.TrailerLen)
		if err := in.ReadAt(ctx, b, int64(h.Offset)); err != nil {
			return err
		}
		// The only kind of sum that the store's tables have.
		if err := block.ValidateChecksum(block.ChecksumTypeCRC32c, b, h.Handle); err != nil {
			return err
		}
	}
	dels, err := r.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil {
		return err
	}
	if dels != nil {
		dels.Close()
	}
	return nil
}

// pace spreads reads over time. Not safe for concurrent use.
type pace struct {
	limit int64 // bytes per second; 0 = none
	now   func() time.Time
	next  time.Time // when what was read so far would have been read at the limit
}

// paceStep is the least time worth waiting.
const paceStep = 10 * time.Millisecond

func (p *pace) wait(ctx context.Context, bytes int) error {
	if p.limit <= 0 {
		return ctx.Err()
	}
	now := p.now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(int64(bytes) * int64(time.Second) / p.limit))
	d := p.next.Sub(now)
	if d < paceStep {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// paced reads no faster than its pace, and not at all once ctx has ended, which
// not every caller inside the database asks about.
type paced struct {
	objstorage.Readable
	ctx  context.Context
	pace *pace
}

func (r paced) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := r.pace.wait(r.ctx, len(p)); err != nil {
		return err
	}
	return r.Readable.ReadAt(ctx, p, off)
}

func (r paced) NewReadHandle(objstorage.ReadBeforeSize) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(r)
	return &h
}
