package inspect

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"footfall/analytics"
)

// ring holds the last events of one site.
type ring struct {
	looked atomic.Int64 // Unix ms
	since  int64        // Unix ms; tells rings of one site apart

	mu      sync.Mutex
	closed  bool // it is not in the map any more
	slots   []slot
	next    uint64 // number of the next event, from 0
	bytes   int    // capacity of all slots' texts, and the slots
	readers []chan struct{}
}

// fields are the texts of an event, in the order in which a slot has them.
const (
	fieldName = iota
	fieldPage
	fieldHost
	fieldReferrer
	fieldSource
	fieldCountry
	fieldRegion
	fieldCity
	fieldBrowser
	fieldOS
	fieldDevice
	fieldScreen
	fieldLanguage
	fieldRule
	fields
)

// slot is one event. Its text buffer is used again by the event that takes its
// place.
type slot struct {
	time    int64 // Unix ms
	kind    analytics.Kind
	verdict analytics.Reason // one of the constants, so it points to nothing else
	text    []byte
	ends    [fields]uint16 // of each field in text
}

// slotBytes is about what a slot takes besides its text.
const slotBytes = 96

func newRing(now int64) *ring { return &ring{since: now} }

// add puts an event into the oldest place and tells by how many bytes the ring
// has grown.
func (r *ring) add(ev *analytics.Event, verdict analytics.Reason, rule string, most int) (grown int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0
	}
	before := r.bytes
	var s *slot
	if len(r.slots) < most {
		r.slots = append(r.slots, slot{})
		s = &r.slots[len(r.slots)-1]
		r.bytes += slotBytes
	} else {
		s = &r.slots[r.next%uint64(most)]
	}
	r.next++
	capacity := cap(s.text)
	s.fill(ev, verdict, rule)
	r.bytes += cap(s.text) - capacity
	if verdict == analytics.Counted {
		for _, ch := range r.readers {
			signal(ch)
		}
	}
	return r.bytes - before
}

func (s *slot) fill(ev *analytics.Event, verdict analytics.Reason, rule string) {
	s.time, s.kind, s.verdict = ev.Time, ev.Kind, known(verdict)
	text := s.text[:0]
	for i, t := range [fields]string{
		fieldName: ev.Name, fieldPage: ev.Page, fieldHost: ev.Host,
		fieldReferrer: ev.Acquisition.Referrer, fieldSource: ev.Acquisition.Source,
		fieldCountry: ev.Place.Country, fieldRegion: ev.Place.Region, fieldCity: ev.Place.City,
		fieldBrowser: ev.Agent.Browser, fieldOS: ev.Agent.OS, fieldDevice: ev.Agent.Device,
		fieldScreen: ev.Screen, fieldLanguage: ev.Language, fieldRule: rule,
	} {
		if len(t) <= textBytesMax {
			text = append(text, t...)
		} else {
			text = append(append(text, whole(t[:textBytesMax])...), "…"...)
		}
		s.ends[i] = uint16(len(text))
	}
	s.text = text
}

// known gives the constant that says what reason says: the text of a slot must
// not point into a request.
func known(reason analytics.Reason) analytics.Reason { return analytics.Reasons[reason.Number()] }

// whole cuts a character off that was cut in two.
func whole(t string) string {
	for i := 1; i <= utf8.UTFMax && i <= len(t); i++ {
		if c := t[len(t)-i]; utf8.RuneStart(c) {
			if !utf8.FullRuneInString(t[len(t)-i:]) {
				return t[:len(t)-i]
			}
			break
		}
	}
	return t
}

// part gives the newest events that ask wants, oldest first.
func (r *ring) part(ask Ask) Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Part{Since: time.UnixMilli(r.since).UTC()}
	size := uint64(len(r.slots))
	for n := r.next; n > r.next-size && len(p.Events) < ask.Limit; n-- {
		s := &r.slots[(n-1)%size]
		if ask.Wants(s.verdict) {
			p.Events = append(p.Events, s.event(r.since, n))
		}
	}
	slices.Reverse(p.Events)
	return p
}

// event makes the event that a slot holds, with texts of its own.
func (s *slot) event(since int64, n uint64) Event {
	all := strings.ToValidUTF8(string(s.text), "\uFFFD")
	if len(all) != len(s.text) { // replaced texts have other ends; each by itself then
		all = ""
	}
	var t [fields]string
	from := uint16(0)
	for i, end := range s.ends {
		if all != "" {
			t[i] = all[from:end]
		} else {
			t[i] = strings.ToValidUTF8(string(s.text[from:end]), "\uFFFD")
		}
		from = end
	}
	return Event{
		ID:   strconv.FormatInt(since, 36) + "-" + strconv.FormatUint(n, 10),
		Time: time.UnixMilli(s.time).UTC(), Kind: kindWord(s.kind),
		Name: t[fieldName], Page: t[fieldPage], Host: t[fieldHost], Referrer: t[fieldReferrer], Source: t[fieldSource],
		Country: t[fieldCountry], Region: t[fieldRegion], City: t[fieldCity],
		Browser: t[fieldBrowser], OS: t[fieldOS], Device: t[fieldDevice], Screen: t[fieldScreen], Language: t[fieldLanguage],
		Verdict: VerdictOf(s.verdict), Rule: t[fieldRule],
	}
}

func (r *ring) subscribe(ch chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.readers = append(r.readers, ch)
	return true
}

func (r *ring) unsubscribe(ch chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.readers, ch); i >= 0 {
		r.readers = slices.Delete(r.readers, i, i+1)
	}
}

// close tells how much the ring held; nothing is added any more. Its readers are
// signalled, so that they subscribe anew.
func (r *ring) close() (bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, ch := range r.readers {
		signal(ch)
	}
	return r.bytes
}

func (r *ring) gone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
