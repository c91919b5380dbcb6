// Package saltfile keeps the two salts that visitor ids are made with, and
// destroys them in time: one per UTC day, the one before it until the day after.
//
// A salt must never be written anywhere else: the store and its logs keep old
// bytes for as long as they like. It must never be made from anything but the
// randomness given.
//
// Start at Open and File.At. The file:
//
//	magic "ffsl"(4) version(1) count(1)  then per salt, the current one first:
//	day(4) salt(16)                      days since 1970, UTC
//	crc32c(4)                            of everything before it; big-endian
//
// A new version of the file is made beside it, synced and renamed over it; the
// old one is kept under a second name until then, so that its bytes can be
// overwritten in place and synced before the last name goes. A file system that
// never writes in place (or a disk that remaps blocks) can keep them still.
//
// Cost of At on the hot path: one atomic load, one division, no allocation, no
// lock.
package saltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const (
	dayMS   = 24 * 60 * 60 * 1000
	version = 1
	magic   = "ffsl"

	headLen = 4 + 1 + 1
	saltLen = 4 + 16
	sumLen  = 4
)

// keepDays is how many days a salt lives, its own included: what was made on
// one day is gone when the second day after it begins, 48 hours later.
const keepDays = 2

type salt struct {
	day   int64
	bytes [16]byte
}

// pair is the salts at one moment. Immutable.
type pair struct {
	current  salt
	previous *salt // nil when there is none that is young enough
}

// File is the salts of a node. Safe for concurrent use.
type File struct {
	path string
	now  atomic.Pointer[pair] // nil until the first At of a new file

	mu      sync.Mutex // one rotation at a time; held over the write
	rand    io.Reader
	unsaved bool         // the file does not hold what now does
	failure atomic.Value // of errBox: the last rotation's, or nil inside
}

type errBox struct{ err error }

// Open reads the salts at path; a missing file is an empty one. A damaged file
// is an error that names it and never replaced: new salts would make new
// visitors of everybody. What an interrupted rotation left beside it is
// destroyed.
func Open(path string, rand io.Reader) (*File, error) {
	f := &File{path: path, rand: rand}
	if err := f.sweepLeftovers(); err != nil {
		return nil, fmt.Errorf("salt file %s: remove what an interrupted rotation left: %w", path, err)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("salt file: %w", err)
	}
	p, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("salt file %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("salt file: %w", err)
	}
	f.now.Store(p)
	return f, nil
}

// At gives the salt of the UTC day of nowMS, in milliseconds since 1970, and the
// one of the day before, or nil when there is none. They must not be changed
// and not be kept beyond the use at hand. The first call of a day makes the new
// salt and writes it down; calls that meet it wait. When the file cannot be
// written the new salt counts all the same and Err tells; Sweep tries again.
//
// A clock that is set back by up to a day gets the salts it left; one that goes
// back further gets new ones, so that a wrong date cannot keep a salt alive.
func (f *File) At(nowMS int64) (current, previous *[16]byte) {
	day := dayOf(nowMS)
	p := f.now.Load()
	if p == nil || stale(p, day) {
		p = f.turn(day)
	}
	if p.previous == nil {
		return &p.current.bytes, nil
	}
	return &p.current.bytes, &p.previous.bytes
}

// Sweep does what At does for its salts: it destroys those that are too old and
// writes what could not be written before. An owner's timer calls it every
// minute or so, so that a node without visitors forgets in time as well.
func (f *File) Sweep(nowMS int64) error {
	day := dayOf(nowMS)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.now.Load()
	switch {
	case p == nil: // nothing to forget yet
		return nil
	case stale(p, day):
		f.rotateLocked(day)
	case f.unsaved:
		f.saveLocked(p)
	}
	return f.Err()
}

// Rotate makes a new salt now; the current one becomes the previous.
func (f *File) Rotate(nowMS int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rotateLocked(dayOf(nowMS))
	return f.Err()
}

// Err is why the last rotation could not be written, or nil.
func (f *File) Err() error {
	if b, ok := f.failure.Load().(errBox); ok {
		return b.err
	}
	return nil
}

func dayOf(ms int64) int64 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return min(max(day, 0), math.MaxUint32)
}

// stale tells whether day needs another current salt.
func stale(p *pair, day int64) bool {
	return day > p.current.day || day < p.current.day-1
}

func (f *File) turn(day int64) *pair {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.now.Load(); p != nil && !stale(p, day) {
		return p // another call was faster
	}
	return f.rotateLocked(day)
}

func (f *File) rotateLocked(day int64) *pair {
	p := &pair{current: salt{day: day}}
	if _, err := io.ReadFull(f.rand, p.current.bytes[:]); err != nil {
		// Without randomness there is no safe way on.
		panic(fmt.Sprintf("salt file %s: no randomness: %v", f.path, err))
	}
	if old := f.now.Load(); old != nil && old.current.day <= day && day-old.current.day < keepDays {
		previous := old.current
		p.previous = &previous
	}
	f.now.Store(p)
	f.saveLocked(p)
	return p
}

func (f *File) saveLocked(p *pair) {
	err := f.save(encode(p))
	f.unsaved = err != nil
	if err != nil {
		err = fmt.Errorf("write salt file %s: %w", f.path, err)
	}
	f.failure.Store(errBox{err})
}

func encode(p *pair) []byte {
	b := append([]byte(magic), version, 1)
	b = p.current.append(b)
	if p.previous != nil {
		b[headLen-1] = 2
		b = p.previous.append(b)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func (s salt) append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(s.day)), s.bytes[:]...)
}

var errDamaged = errors.New("is damaged; restore it, or remove it and accept that every visitor counts as new")

func decode(b []byte) (*pair, error) {
	if len(b) > headLen && string(b[:4]) == magic && b[4] > version {
		return nil, fmt.Errorf("was written by a newer version (format %d)", b[4])
	}
	n := len(b) - headLen - sumLen
	if n < 0 || string(b[:4]) != magic || b[4] != version ||
		crc32.Checksum(b[:len(b)-sumLen], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[len(b)-sumLen:]) {
		return nil, errDamaged
	}
	count := int(b[headLen-1])
	if count < 1 || count > 2 || n != count*saltLen {
		return nil, errDamaged
	}
	read := func(b []byte) salt {
		return salt{day: int64(binary.BigEndian.Uint32(b)), bytes: [16]byte(b[4:saltLen])}
	}
	p := &pair{current: read(b[headLen:])}
	if count == 2 {
		s := read(b[headLen+saltLen:])
		p.previous = &s
	}
	return p, nil
}

// names of what a rotation has beside the file for a moment.
func (f *File) temporary() string { return f.path + ".new" }
func (f *File) outgoing() string  { return f.path + ".old" }

// save replaces the file by b and destroys the bytes it held. Whatever moment it
// is interrupted at, the file is whole, old or new, and sweepLeftovers finishes
// the destruction.
func (f *File) save(b []byte) error {
	if err := f.sweepLeftovers(); err != nil {
		return err
	}
	if err := writeSynced(f.temporary(), b); err != nil {
		return err
	}
	if err := os.Link(f.path, f.outgoing()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(f.temporary(), f.path); err != nil {
		return err
	}
	if err := syncDir(f.path); err != nil {
		return err
	}
	return destroy(f.outgoing())
}

// sweepLeftovers destroys what an interrupted save left. The outgoing name may
// still be the file itself, when the rename did not happen; then only the name
// goes.
func (f *File) sweepLeftovers() error {
	if err := destroy(f.temporary()); err != nil {
		return err
	}
	out, err := os.Lstat(f.outgoing())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if cur, err := os.Lstat(f.path); err == nil && os.SameFile(out, cur) {
		if err := os.Remove(f.outgoing()); err != nil {
			return err
		}
		return syncDir(f.path)
	}
	return destroy(f.outgoing())
}

func writeSynced(path string, b []byte) (err error) {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Sync()
}

// destroy overwrites a file with zeros, syncs it and removes it. A missing file
// is destroyed already.
func destroy(path string) error {
	if err := wipe(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(path)
}

func wipe(path string) (err error) {
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	info, err := w.Stat()
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return err
	}
	return w.Sync()
}

func syncDir(path string) (err error) {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
