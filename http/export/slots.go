package export

import (
	"strconv"
	"sync"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

// slots bounds the exports that run at a time, in all and of one caller, so that
// nobody takes them all. Safe for concurrent use.
type slots struct {
	most, each int

	mu     sync.Mutex
	used   int
	of     map[string]int
	closed bool
}

func newSlots(most int) *slots {
	return &slots{most: most, each: max(1, most-1), of: map[string]int{}}
}

// take begins an export of a caller. Overloaded: others run; TooMany: the
// caller's own do; Unavailable: the door is closed. began is called with the slot
// taken and nothing else happening.
func (s *slots) take(caller string, began func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return analytics.Errorf(analytics.Unavailable, "export: the server is stopping")
	case s.of[caller] >= s.each:
		return analytics.Errorf(analytics.TooMany, "export: %d of yours is running already; try again when it has ended", s.of[caller])
	case s.used >= s.most:
		return analytics.Errorf(analytics.Overloaded, "export: %d exports are running already; try again in a while", s.used)
	}
	s.used++
	s.of[caller]++
	began()
	return nil
}

func (s *slots) give(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.of[caller]--; s.of[caller] == 0 {
		delete(s.of, caller)
	}
}

// refuse lets nobody in any more.
func (s *slots) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *slots) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// callerOf is under what name the exports of a caller are counted. All strangers,
// who read public sites, are one.
func callerOf(who accounts.Identity) string {
	switch {
	case who.User != 0:
		return "user " + strconv.FormatUint(who.User, 10)
	case who.Key != 0:
		return "key " + strconv.FormatUint(who.Key, 10)
	case who.Operator:
		return "operator"
	}
	return "anyone"
}
