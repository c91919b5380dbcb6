package pebblestore

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence"
)

// formatMajor is the newest format of Pebble 2.1.7, written out because a later
// Pebble must not change the bytes on disk by itself: there is no way back.
// Formats below 20 lose a damaged log in silence (fact P1).
const formatMajor = pebble.FormatValueSeparation

// Options of a store. The zero value is right for a node.
type Options struct {
	// FS replaces the operating system's files in tests.
	FS vfs.FS
	// Logger receives what is worth an operator's attention. Default: discard.
	Logger *slog.Logger
	// Fatal is called at most once, with the reason, when the log of the database
	// cannot be written or synced. It must end the process; the default writes
	// the reason to Logger and standard error and exits with code 1.
	Fatal func(error)
	// Corrupt is told of every damaged file that a read, a compaction or Scrub
	// meets; the error holds a *Damage. It is called on the goroutine that met it,
	// possibly often for one file and from several at once; it must not block and
	// must not call the store. The read returns an error too. Whatever it does, the
	// damage is counted and logged; by default nothing else happens, since one
	// damaged block must not take every site down.
	Corrupt func(error)
	// CacheBytes bounds the block cache. Default 32 MiB.
	CacheBytes int64
	// MemTableBytes is the size that memtables grow to, from 256 KiB by doubling;
	// up to four may wait to be flushed. Default 32 MiB.
	MemTableBytes uint64
	// StageFileBytes is the size at which a stage begins its next file. Default
	// 32 MiB.
	StageFileBytes int64
	// Rand gives the node id of a new store. Default: the system's.
	Rand io.Reader
	// Now limits the rate of repeated messages and of Scrub, and tells the age of
	// views. Default: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		log := o.Logger
		o.Fatal = func(err error) {
			log.Error("the store cannot be written; stopping so that nothing unsaved is acknowledged", "err", err)
			fmt.Fprintln(os.Stderr, "footfall: the store cannot be written:", err)
			os.Exit(1)
		}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	if o.StageFileBytes <= 0 {
		o.StageFileBytes = 32 << 20
	}
	if o.Corrupt == nil {
		o.Corrupt = func(error) {}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// pebble gives the database's options. The caller releases Cache.
func (o Options) pebble(ev *events) *pebble.Options {
	po := &pebble.Options{
		FormatMajorVersion: formatMajor,
		// The comparer's name is stored; it stays the default for ever. A whole key
		// is its own prefix, so bloom filters serve Get.
		Comparer:                    pebble.DefaultComparer,
		Cache:                       pebble.NewCache(o.CacheBytes),
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       20,
		BytesPerSync:                512 << 10,
		MaxManifestFileSize:         16 << 20,
		MaxOpenFiles:                1000,
		// Deleting a large file at once stalls syncs on many disks.
		TargetByteDeletionRate: 128 << 20,
		Logger:                 ev,
		EventListener:          ev.listener(),
		FS:                     o.FS,
	}
	// Bytes written once and read rarely earn a better compression than young
	// ones, which are mostly log entries that are compressed already or deleted
	// before they sink.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
		po.Levels[i].BlockSize = 16 << 10
	}
	po.Experimental.SpanPolicyFunc = spanPolicy
	return po
}

// spanPolicy keeps the log in tables of its own, lightly compressed: it is
// mostly deleted before it sinks, and its tables are then dropped whole.
// Measured once with 4 KiB entries and memtables of 16 MiB: 36 instead of 43 µs
// of CPU per entry, flushes and compactions included.
func spanPolicy(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	switch {
	case len(start) == 0 || start[0] < persistence.TableLog:
		return pebble.SpanPolicy{}, []byte{persistence.TableLog}, nil
	case start[0] == persistence.TableLog:
		return pebble.SpanPolicy{PreferFastCompression: true}, []byte{persistence.TableLog + 1}, nil
	}
	return pebble.SpanPolicy{}, nil, nil
}
