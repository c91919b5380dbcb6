package saltfile

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

// Period is a stretch of time for which one salt is in force.
type Period struct {
	Family uint8 // 0 day, 1 week from Monday, 2 month; of UTC
	Start  int64 // its first day since 1970
}

// Families is how many families there are: Period.Family is below it.
const Families = uint8(families)

// PeriodOf gives the period of a family that a time, in Unix ms, is in.
func PeriodOf(of uint8, ms int64) Period {
	return Period{of, family(of).start(dayOf(ms))}
}

// Next gives the period after p.
func (p Period) Next() Period { return Period{p.Family, family(p.Family).end(p.Start)} }

// Begins gives the time, in Unix ms, at which p begins.
func (p Period) Begins() int64 { return p.Start * dayMS }

func (p Period) valid() bool {
	return p.Family < Families && p.Start >= 0 && family(p.Family).start(p.Start) == p.Start
}

// ID names a salt. It is random and says nothing of the salt.
type ID [16]byte

// held is a salt that this node knows. Which of a period's salts is in force is
// not its own to say.
type held struct {
	Period
	id    ID
	bytes [16]byte
}

// heldMax bounds the file; a healthy cluster has about a dozen salts.
const heldMax = 200

// Shared is the salts of a node of a cluster. Which salt is in force in a period
// is a choice that all nodes share; the salt itself goes from node to node and
// into this file, and nowhere else. Times of destruction are those of File. Safe
// for concurrent use.
type Shared struct {
	disk disk
	rand io.Reader
	now  atomic.Pointer[pairs] // never nil

	mu      sync.Mutex // guards what follows; held over writes
	held    []held
	choices map[Period]ID
	failure atomic.Value // of errBox
}

// pairs is what the families have at one moment. Immutable.
type pairs [families]*pair

// OpenShared reads the salts at path, those of a node that was alone too. A
// missing file is an empty one; a damaged one is an error, see Open.
func OpenShared(path string, rand io.Reader) (*Shared, error) {
	s := &Shared{disk: disk{path}, rand: rand, choices: map[Period]ID{}}
	s.now.Store(&pairs{})
	if err := s.disk.sweepLeftovers(); err != nil {
		return nil, fmt.Errorf("salt file %s: remove what an interrupted rotation left: %w", path, err)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		s.held, err = decodeHeld(b)
	}
	if err != nil {
		return nil, fmt.Errorf("salt file %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("salt file: %w", err)
	}
	return s, nil
}

// Make gives the id of a salt of p: one that this node holds already, or a new
// one that it draws and writes down.
func (s *Shared) Make(p Period) (id ID, err error) {
	if !p.valid() {
		return ID{}, fmt.Errorf("make a salt: there is no period %v", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.held, func(h held) bool { return h.Period == p }); i >= 0 {
		return s.held[i].id, nil
	}
	h := held{Period: p}
	if _, err := io.ReadFull(s.rand, h.bytes[:]); err != nil {
		return ID{}, fmt.Errorf("make a salt: %w", err)
	}
	if h.id, err = s.newID(); err != nil {
		return ID{}, fmt.Errorf("make a salt: %w", err)
	}
	return h.id, s.addLocked(h)
}

// newID draws the name of a salt, which says nothing of it.
func (s *Shared) newID() (id ID, err error) {
	for id == (ID{}) && err == nil {
		_, err = io.ReadFull(s.rand, id[:])
	}
	return id, err
}

// Put takes in a salt of another node; one that is held already is no error, one
// that differs is.
func (s *Shared) Put(p Period, id ID, bytes [16]byte) error {
	if !p.valid() || id == (ID{}) {
		return fmt.Errorf("take a salt: there is no period %v or no id", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.held {
		if h := &s.held[i]; h.Period == p && h.id == id {
			if subtle.ConstantTimeCompare(h.bytes[:], bytes[:]) != 1 {
				return fmt.Errorf("take a salt: number %x of %v is another one here", id, p)
			}
			return nil
		}
	}
	return s.addLocked(held{p, id, bytes})
}

// addLocked writes the salts down with h among them.
func (s *Shared) addLocked(h held) error {
	next := append(slices.Clip(s.held), h)
	if len(next) > heldMax {
		return fmt.Errorf("salt file %s: more than %d salts", s.disk.path, heldMax)
	}
	if err := s.disk.save(encodeHeld(next)); err != nil {
		return fmt.Errorf("write salt file %s: %w", s.disk.path, err)
	}
	s.held = next
	s.now.Store(&pairs{}) // chosen anew when next asked for
	return nil
}

// Get gives a salt to be sent to another node.
func (s *Shared) Get(p Period, id ID) (bytes [16]byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h.Period == p && h.id == id {
			return h.bytes, true
		}
	}
	return bytes, false
}

// Choose says which salts are in force, by period.
func (s *Shared) Choose(choices map[Period]ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choices = choices
	s.now.Store(&pairs{})
}

// Missing lists the chosen salts that this node needs at a time, in Unix ms, and
// does not hold: of the period, the one before while it is offered, and the next.
func (s *Shared) Missing(ms int64) (out []Period, ids []ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, id := range s.choices {
		now := PeriodOf(p.Family, ms)
		wanted := p == now || p == now.Next() || p.Next() == now && dayOf(ms) == now.Start
		if wanted && s.findLocked(p) == nil {
			out, ids = append(out, p), append(ids, id)
		}
	}
	return out, ids
}

func (s *Shared) findLocked(p Period) *salt {
	id, ok := s.choices[p]
	if !ok {
		return nil
	}
	for _, h := range s.held {
		if h.Period == p && h.id == id {
			return &salt{from: p.Start, bytes: h.bytes}
		}
	}
	return nil
}

// At gives the salt of the UTC day of a time and the one of the day before, as
// File.At does. current is nil while the node does not have the salt that was
// chosen, or none was.
func (s *Shared) At(nowMS int64) (current, previous *[16]byte) { return s.of(daily, nowMS) }

// Weekly does what At does for ISO weeks.
func (s *Shared) Weekly(nowMS int64) (current, previous *[16]byte) { return s.of(weekly, nowMS) }

// Monthly does what At does for months.
func (s *Shared) Monthly(nowMS int64) (current, previous *[16]byte) { return s.of(monthly, nowMS) }

func (s *Shared) of(m family, nowMS int64) (current, previous *[16]byte) {
	day := dayOf(nowMS)
	p := s.now.Load()[m]
	if p == nil || p.stale(day) || day < p.current.from {
		if p = s.turn(m, day); p == nil {
			return nil, nil
		}
	}
	if p.previous == nil {
		return &p.current.bytes, nil
	}
	return &p.current.bytes, &p.previous.bytes
}

// turn finds the salts that family m has on day.
func (s *Shared) turn(m family, day int64) *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := Period{uint8(m), m.start(day)}
	current := s.findLocked(now)
	if current == nil {
		return nil
	}
	p := &pair{current: *current, end: m.end(day)}
	if day == now.Start && now.Start > 0 {
		before := Period{uint8(m), m.start(now.Start - 1)}
		if p.previous = s.findLocked(before); p.previous == nil && s.choices[before] != (ID{}) {
			return p // it may still come: not remembered
		}
	}
	next := *s.now.Load()
	next[m] = p
	s.now.Store(&next)
	return p
}

// Sweep destroys the salts whose time is over. An owner's timer calls it every
// minute or so.
func (s *Shared) Sweep(nowMS int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := dayOf(nowMS)
	kept := slices.DeleteFunc(slices.Clone(s.held), func(h held) bool { return day > h.Next().Start })
	if len(kept) == len(s.held) {
		return nil
	}
	if err := s.disk.save(encodeHeld(kept)); err != nil {
		err = fmt.Errorf("write salt file %s: %w", s.disk.path, err)
		s.failure.Store(errBox{err})
		return err
	}
	s.held = kept
	s.failure.Store(errBox{})
	s.now.Store(&pairs{})
	return nil
}

// Err is why salts could not be destroyed in time, or nil.
func (s *Shared) Err() error {
	if b, ok := s.failure.Load().(errBox); ok {
		return b.err
	}
	return nil
}
