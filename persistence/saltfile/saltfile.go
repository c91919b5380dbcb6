// Package saltfile keeps the salts that visitor ids are made with, and destroys
// them in time. There are three families: a salt per UTC day, per ISO week from
// Monday 00:00 UTC and per month of UTC. A salt is in force for its period, is
// offered as the one before for the first 24 hours of the next period, so that a
// visit over the turn goes on, and is destroyed then: a day's salt 48 hours
// after its day began, a week's after 8 days, a month's after at most 32. A
// family has salts only once somebody has asked for them.
//
// A salt must never be written anywhere else: the store and its logs keep old
// bytes for as long as they like. It must never be made from anything but the
// randomness given.
//
// Start at Open and File.At; format.go draws the file.
//
// A new version of the file is made beside it, synced and renamed over it; the
// old one is kept under a second name until then, so that its bytes can be
// overwritten in place and synced before the last name goes. A file system that
// never writes in place (or a disk that remaps blocks) can keep them still.
//
// Cost of At, Weekly and Monthly on the hot path: one atomic load, one division,
// no allocation, no lock.
package saltfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// salt is a secret and the UTC day, since 1970, from which it is in force: the
// first of its period, or the day of a rotation by hand.
type salt struct {
	from  int64
	bytes [16]byte
}

// pair is the salts of a family at one moment. Immutable.
type pair struct {
	current  salt
	previous *salt // nil when there is none that is young enough
	end      int64 // the first day of the next period
}

// stale tells whether day needs other salts: it is in a later period, the
// previous salt is over, or the clock was set back by more than a day.
func (p *pair) stale(day int64) bool {
	return day >= p.end || p.previous != nil && day > p.current.from || day < p.current.from-1
}

// state is the salts of all families, nil where nobody has asked. Immutable.
type state [families]*pair

// File is the salts of a node. Safe for concurrent use.
type File struct {
	disk
	now atomic.Pointer[state] // never nil

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
	f := &File{disk: disk{path}, rand: rand}
	f.now.Store(&state{})
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
	s, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("salt file %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("salt file: %w", err)
	}
	f.now.Store(s)
	return f, nil
}

// At gives the salt of the UTC day of nowMS, in milliseconds since 1970, and the
// one of the day before, or nil when there is none. They must not be changed
// and not be kept beyond the use at hand. The first call of a day makes the new
// salt and writes it down; calls that meet it wait. When the file cannot be
// written the new salt counts all the same and Err tells; Sweep tries again.
//
// A clock that is set back by up to a day gets the salts it left; one that goes
// back further, to before the salt was in force, gets new ones, so that a wrong
// date cannot keep a salt alive.
func (f *File) At(nowMS int64) (current, previous *[16]byte) { return f.of(daily, nowMS) }

// Weekly does what At does for ISO weeks of UTC. The week before is given on
// Mondays only.
func (f *File) Weekly(nowMS int64) (current, previous *[16]byte) { return f.of(weekly, nowMS) }

// Monthly does what At does for months of UTC. The month before is given on the
// first of a month only.
func (f *File) Monthly(nowMS int64) (current, previous *[16]byte) { return f.of(monthly, nowMS) }

func (f *File) of(m family, nowMS int64) (current, previous *[16]byte) {
	day := dayOf(nowMS)
	p := f.now.Load()[m]
	if p == nil || p.stale(day) {
		p = f.turn(m, day)
	}
	if p.previous == nil {
		return &p.current.bytes, nil
	}
	return &p.current.bytes, &p.previous.bytes
}

// Sweep does what At and its kin do for their salts: it destroys those that are
// too old and writes what could not be written before. An owner's timer calls it
// every minute or so, so that a node without visitors forgets in time as well.
func (f *File) Sweep(nowMS int64) error {
	day := dayOf(nowMS)
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, changed := f.turnedLocked(day); changed || f.unsaved {
		f.setLocked(s)
	}
	return f.Err()
}

// Rotate makes new salts now, of the day and of every family in use; the current
// ones become the previous, until the UTC day is over.
func (f *File) Rotate(nowMS int64) error {
	day := dayOf(nowMS)
	f.mu.Lock()
	defer f.mu.Unlock()
	s := *f.now.Load()
	for m := range s {
		if p := s[m]; p != nil || family(m) == daily {
			s[m] = f.nextLocked(family(m), p, day, day)
		}
	}
	f.setLocked(&s)
	return f.Err()
}

// Err is why the last rotation could not be written, or nil.
func (f *File) Err() error {
	if b, ok := f.failure.Load().(errBox); ok {
		return b.err
	}
	return nil
}

// turn gives the salts that family m has on day, and brings all others up to
// date with it, so that a midnight costs one write.
func (f *File) turn(m family, day int64) *pair {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, changed := f.turnedLocked(day)
	if s[m] == nil {
		s[m], changed = f.nextLocked(m, nil, day, m.start(day)), true
	}
	if changed { // else another call was faster
		f.setLocked(s)
	}
	return s[m]
}

// turnedLocked gives what the state is on day; changed tells whether that is
// something else than now.
func (f *File) turnedLocked(day int64) (s *state, changed bool) {
	next := *f.now.Load()
	for i, p := range next {
		m := family(i)
		switch {
		case p == nil || !p.stale(day):
			continue
		case day >= p.end || day < p.current.from-1:
			next[i] = f.nextLocked(m, p, day, m.start(day))
		default: // only the time of the previous one is over
			next[i] = &pair{current: p.current, end: p.end}
		}
		changed = true
	}
	return &next, changed
}

// nextLocked makes the salt that is in force from a day on; old's becomes the one
// before if it was in force until now, and its 24 hours are not over on day.
func (f *File) nextLocked(m family, old *pair, day, from int64) *pair {
	p := &pair{current: salt{from: from}, end: m.end(day)}
	if _, err := io.ReadFull(f.rand, p.current.bytes[:]); err != nil {
		// Without randomness there is no safe way on.
		panic(fmt.Sprintf("salt file %s: no randomness: %v", f.path, err))
	}
	if old != nil && old.current.from <= day && day <= old.end {
		previous := old.current
		p.previous = &previous
	}
	return p
}

// setLocked makes s what counts and writes it down.
func (f *File) setLocked(s *state) {
	f.now.Store(s)
	err := f.save(s.encode())
	f.unsaved = err != nil
	if err != nil {
		err = fmt.Errorf("write salt file %s: %w", f.path, err)
	}
	f.failure.Store(errBox{err})
}
