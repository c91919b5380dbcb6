package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Where a range is cut out of a table, Pebble 2.1.7 looks for the last key before
// it and the first behind it, and takes a read that fails for "there is none":
// every record of the table on that side is then gone, without an error. Two
// things stand against it: checkEdges reads the same blocks before, and cutFailed
// ends the process when the read fails all the same, before the change is written.
// TestAReadThatFailsWhileARangeIsCutOutEndsTheProcess pins the second.

// checkEdges reads, past the cache, what cutting [from, to) out will read of the
// tables that lie across its ends.
func (s *Store) checkEdges(from, to []byte) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			first, last := t.Smallest.UserKey, t.Largest.UserKey
			if bytes.Compare(last, from) < 0 || bytes.Compare(first, to) >= 0 ||
				bytes.Compare(first, from) >= 0 && bytes.Compare(last, to) < 0 {
				continue
			}
			file := s.fs.PathJoin(s.dir, fmt.Sprintf("%s.sst", t.BackingSSTNum))
			if err := s.checkTable(file, from, to); err != nil {
				d := &Damage{File: file, From: clone(first), To: behind(last), Err: err}
				s.events.damage(d)
				return fmt.Errorf("the records beside the range would be lost: %w", d)
			}
		}
	}
	return nil
}

func (s *Store) checkTable(file string, from, to []byte) (err error) {
	f, err := s.fs.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a compaction has just read it
	}
	if err != nil {
		return err
	}
	in, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	ctx := context.Background()
	r, err := sstable.NewReader(ctx, in, s.pebble.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := scrubFrame(ctx, in, r); err != nil {
		return err
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	it.SeekLT(from, 0)
	if err := it.Error(); err != nil {
		return err
	}
	it.SeekGE(to, 0)
	return it.Error()
}

// cutFailed ends the store when the read that failed is one of those that Pebble
// forgets. It is asked only after a failed read of a table.
func (e *events) cutFailed(err error) {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasSuffix(f.Function, ".determineLeftTableBounds") || strings.HasSuffix(f.Function, ".determineRightTableBounds") {
			_ = e.fail(fmt.Errorf("cut a range out of a table: %w", err))
			return
		}
	}
}

// Open watches the reads of tables.
func (f failStop) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return file, err
	}
	return tableFile{file, name, f.ev}, nil
}

type tableFile struct {
	vfs.File
	name string
	ev   *events
}

func (t tableFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := t.File.ReadAt(p, off)
	if err != nil {
		t.ev.cutFailed(fmt.Errorf("read %s: %w", t.name, err))
	}
	return n, err
}
