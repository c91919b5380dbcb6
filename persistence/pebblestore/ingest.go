package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ingest replaces [from, to) by the n tables of a stage. In Pebble 2.1.7 that is
// one edit of its manifest; it takes format 16 (FormatMinForSharedObjects) or
// newer, links the tables where it can, removes the names that it was given once
// it has them, and leaves iterators that are open alone, though not snapshots.
// What is in memory is flushed first, since a replacement that meets memory is
// only noted in the log, and done by a flush, whose errors reach nobody.
func (s *Store) ingest(dir string, n int, from, to []byte) error {
	links := s.fs.PathJoin(dir, "links")
	if err := s.fs.RemoveAll(links); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(links, 0o755); err != nil {
		return err
	}
	paths := make([]string, n)
	for i := range paths {
		paths[i] = s.fs.PathJoin(links, stageTable(i))
		if err := vfs.LinkOrCopy(s.fs, s.fs.PathJoin(dir, stageTable(i)), paths[i]); err != nil {
			return err
		}
	}
	if err := s.syncLog(); err != nil {
		return err
	}
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := s.checkEdges(from, to); err != nil {
		return err
	}
	// The context of an ingestion is only for tracing.
	span := pebble.KeyRange{Start: clone(from), End: clone(to)}
	if _, err := s.db.IngestAndExcise(context.Background(), paths, nil, nil, span); err != nil {
		return fmt.Errorf("replace records: %w", damaged(err))
	}
	return s.syncLog()
}

// syncLog makes everything committed so far durable.
func (s *Store) syncLog() error {
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return s.events.fail(fmt.Errorf("sync the log: %w", err))
	}
	return s.events.failed()
}
