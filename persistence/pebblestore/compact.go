package pebblestore

import (
	"bytes"
	"context"
	"fmt"
)

// Compact rewrites the tables that hold keys of [from, to), so that what was
// deleted there is no longer in any of them. It flushes what is in memory before,
// costs as much as reading and writing the tables that it meets, and stops with
// ctx. Segments of the write-ahead log that were kept for reuse are overwritten by
// and by.
func (s *Store) Compact(ctx context.Context, from, to []byte) error {
	if err := s.events.failed(); err != nil {
		return err
	}
	if bytes.Compare(from, to) >= 0 {
		return fmt.Errorf("compact from %x: the end %x is not behind it", from, to)
	}
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("flush before compacting from %x: %w", from, err)
	}
	if err := s.db.Compact(ctx, from, to, false); err != nil {
		return fmt.Errorf("compact from %x: %w", from, err)
	}
	return nil
}
