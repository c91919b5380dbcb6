package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes a copy of the store as of now in dir, which must not exist:
// everything committed before the call is in it, synced or not, and on return it
// would survive a power cut. Tables are linked when dir lies on the same file
// system and copied otherwise. The copy has the ident and the membership of the
// store and must not run beside it; stages are not copied.
func (s *Store) Checkpoint(dir string) error {
	return s.guard("checkpoint", func() error {
		if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
			return fmt.Errorf("copy the store to %s: %w", dir, err)
		}
		return nil
	})
}
